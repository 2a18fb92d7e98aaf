"""Results on stdout: lines, or one JSON document with keys in a fixed order."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from assay.errors import BadInput
from assay.types import Silent


class Notes(Silent):
    """A reporter of notes alone, for work that is too short for a bar."""

    def note(self, text: str) -> None:
        print(f"assay: {text}", file=sys.stderr)


def piece(text: str) -> None:
    """A piece of an answer, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """One JSON document, indented, its keys as the structs order them."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def width() -> int | None:
    """Columns of the terminal; None where stdout is none, and nothing need be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lines(texts: Iterable[str]) -> None:
    """Each text on a line of its own."""
    sys.stdout.write("".join(f"{text}\n" for text in texts))


def require_place(path: Path) -> None:
    """Refuse a result file that could not be written, before the work for it begins.

    Raises:
        BadInput: its folder cannot be made, or nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written", why=str(error), remedy="give another path") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadInput(f"{path} cannot be written", why="it is a folder, or not yours", remedy="give another path")


def write(path: Path, text: str | bytes) -> None:
    """Write a result file whole.

    Raises:
        BadInput: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    except OSError as error:
        raise BadInput(f"{path} cannot be written", why=str(error), remedy="give another path") from error
