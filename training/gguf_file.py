"""Write a checkpoint as a GGUF file that says whose model it is."""

from __future__ import annotations

from pathlib import Path

from assay.compile import read_checkpoint
from assay.compile.gguf_file import write_gguf as write

ABOUT: dict[str, str | list[str]] = {
    "general.author": "Assay",
    "general.license": "apache-2.0",
    "general.description": "Meeting notes: action items, summaries, questions. A model for demonstrations and tests.",
    "general.languages": ["en"],
}


def write_gguf(checkpoint: Path, path: Path, name: str, quantisation: str) -> None:
    """Write `checkpoint` (a transformers folder) to `path`; norms stay F32, and a tied embedding Q8_0."""
    write(read_checkpoint(checkpoint, name=name), quantisation, path, lambda *_told: None, ABOUT)
