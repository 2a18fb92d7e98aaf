"""Small kernel files, read so that a missing one is an empty one."""

from __future__ import annotations

from pathlib import Path


def lines(path: Path) -> list[str]:
    """Lines of a kernel file; none where it is absent or must not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def number(path: Path) -> int | None:
    """The whole number a kernel file holds; None where it holds a word (``max``) or nothing."""
    text = "".join(lines(path)[:1]).strip()
    return int(text) if text.isdecimal() else None


def keyed_number(path: Path, key: str) -> int | None:
    """The number after ``key`` in a file of ``key number`` lines."""
    for line in lines(path):
        name, _, value = line.partition(" ")
        if name == key and value.strip().isdecimal():
            return int(value)
    return None
