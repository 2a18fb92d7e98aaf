"""LM Studio's models: ``publisher/repository/file.gguf`` below one folder. Only read."""

from __future__ import annotations

from pathlib import Path

from assay.errors import BadInput
from assay.formats import read_json_object
from assay.store.entries import Entry, entries

POINTER = ".lmstudio-home-pointer"
SETTINGS = "settings.json"


def folders(home: Path) -> list[Path]:
    """Where models may lie: below the home that LM Studio points at or its usual ones, and where its settings say."""
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    if pointed := _first_line(home / POINTER):
        homes.insert(0, Path(pointed))
    found = []
    for own in homes:
        found += [*_downloads(own), own / "models"]
    return found


def models(folder: Path) -> list[tuple[str, Entry]]:
    """Every model with its name: its path below the folder, ``publisher/repository/file.gguf``."""
    return [
        (name, entry) for entry in entries(folder) if (name := entry.path.relative_to(folder).as_posix()).count("/")
    ]


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, ValueError):
        return ""


def _downloads(own: Path) -> list[Path]:
    try:
        folder = read_json_object(own / SETTINGS).get("downloadsFolder")
    except BadInput:
        return []
    return [Path(folder)] if isinstance(folder, str) and folder else []
