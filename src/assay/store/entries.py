"""Models within a folder, whoever made it: GGUF files, folders of ONNX Runtime GenAI, folders of safetensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from assay.formats import is_projector, shard_of
from assay.types import Format

DEPTH = 8
"""Folders below each other that are looked into."""


class Entry(NamedTuple):
    """What one opens of a model: a GGUF file (the first part, where it is split), or a folder. ``size`` is in bytes."""

    path: Path
    format: Format
    size: int


def entries(folder: Path, depth: int = DEPTH) -> list[Entry]:
    """Every model in ``folder`` and below, by path; names and sizes alone decide, no weight is opened.

    What cannot be read is passed over; linked folders are not followed.
    """
    return sorted(_entries(folder, depth), key=lambda entry: str(entry.path))


def _entries(folder: Path, depth: int) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
        files = {child.name: child.stat().st_size for child in children if child.is_file()}
    except OSError:
        return
    if "genai_config.json" in files:
        yield Entry(folder, "onnx", sum(files.values()))
        return
    if "config.json" in files and any(name.endswith(".safetensors") for name in files):
        weights = sum(size for name, size in files.items() if name.endswith((".safetensors", ".json")))
        yield Entry(folder, "safetensors", weights)
    yield from _ggufs(folder, files)
    if depth > 1:
        for child in children:
            if child.is_dir(follow_symlinks=False):
                yield from _entries(Path(child.path), depth - 1)


def _ggufs(folder: Path, files: dict[str, int]) -> Iterator[Entry]:
    """Whole models only: no later part of a split one, and no part of a model that reads pictures."""
    for name, size in files.items():
        stem = Path(name).stem
        if Path(name).suffix.lower() != ".gguf" or is_projector(stem):
            continue
        shard = shard_of(stem)
        if shard is None:
            yield Entry(folder / name, "gguf", size)
        elif shard.number == 1:
            parts = {f"{shard.sibling(number)}{Path(name).suffix}" for number in range(1, shard.total + 1)}
            yield Entry(folder / name, "gguf", sum(files.get(part, 0) for part in parts))
