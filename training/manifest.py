"""Entries of `bundled.json`: what each shipped artefact is, with the size and the sha256 of its files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from assay.types import File, Format, Variant
from training.model import CONTEXT_LENGTH, SIZES, NotesModel
from training.notes import TASKS
from training.tokenizer import VOCABULARY


def bundled_variant(bundled: Path, path: Path, name: str, kind: Format, quantisation: str) -> Variant:
    """Describe the artefact at `path` (a GGUF file or a folder); `Variant.path` is relative to the bundled folder."""
    folder = path if path.is_dir() else path.parent
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    label = quantisation if kind == "gguf" else f"{kind}-{quantisation}"
    return Variant(
        id=f"{name}:{label}",
        alias=name,
        format=kind,
        source="bundled",
        quantisation=quantisation,
        path=path.relative_to(bundled).as_posix(),
        files=tuple(describe_file(file, folder) for file in found),
        parameters=sum(weight.numel() for weight in NotesModel(SIZES[name], VOCABULARY).parameters()),
        context_length=CONTEXT_LENGTH,
        licence="apache-2.0",
        capabilities=("chat",),
        tasks=TASKS,
        notes="Trained on generated meeting notes; for quickstart, tests and demonstrations. Not an assistant.",
    )


def describe_file(file: Path, folder: Path) -> File:
    """Path relative to the variant's folder, size in bytes and sha256 of one file."""
    data = file.read_bytes()
    return File(path=file.relative_to(folder).as_posix(), size=len(data), sha256=hashlib.sha256(data).hexdigest())
