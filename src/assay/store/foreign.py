"""Other programs' model folders on this machine: what lies there, and whether a file that is wanted does. Only read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from assay.store import foundry, hf_cache, lm_studio, ollama
from assay.store.entries import Entry
from assay.types import File, Format

Program = Literal["hf-cache", "ollama", "lmstudio", "foundry"]
NAMES: dict[Program, str] = {
    "hf-cache": "Hugging Face cache",
    "ollama": "Ollama",
    "lmstudio": "LM Studio",
    "foundry": "Foundry Local",
}
SEARCHED = 1 << 20
"""Bytes from which on a file is looked for by its size; smaller ones are downloaded sooner than they are found."""


class Place(NamedTuple):
    """A folder in which a program keeps its models."""

    program: Program
    folder: Path


class Found(NamedTuple):
    """A model of another program. ``name`` is what an import takes (``ollama:llama3.2:1b``); ``size`` is in bytes."""

    name: str
    program: str
    where: Path
    path: Path
    format: Format
    size: int


def places(env: Mapping[str, str], home: Path) -> list[Place]:
    """The folders of other programs that are there; ``env`` is the environment, ``home`` the user's folder."""
    candidates: list[Place] = [
        *(Place("hf-cache", folder) for folder in hf_cache.folders(env, home)),
        *(Place("ollama", folder) for folder in ollama.folders(env, home)),
        *(Place("lmstudio", folder) for folder in lm_studio.folders(home)),
        *(Place("foundry", folder) for folder in foundry.folders(home)),
    ]
    there: dict[Path, Place] = {}
    for place in candidates:
        if _is_folder(place.folder):
            there.setdefault(place.folder.resolve(), place)
    return list(there.values())


def models(place: Place) -> list[tuple[str, Entry]]:
    """Every model in ``place`` by the name that its program gives it."""
    readers: dict[Program, Callable[[Path], list[tuple[str, Entry]]]] = {
        "hf-cache": hf_cache.models,
        "ollama": ollama.models,
        "lmstudio": lm_studio.models,
        "foundry": foundry.models,
    }
    return readers[place.program](place.folder)


def found(places: Iterable[Place]) -> list[Found]:
    """Everything that could be imported, in the order of the places and by name."""
    return [
        Found(f"{place.program}:{name}", NAMES[place.program], place.folder, entry.path, entry.format, entry.size)
        for place in places
        for name, entry in sorted(models(place), key=lambda model: model[0])
    ]


def elsewhere(
    places: Iterable[Place], folders: Iterable[Path] = (), *, store: Path | None = None
) -> Callable[[File], Path | None]:
    """A search for files that lie somewhere on this machine: ``File`` -> its path, or None; never one in ``store``.

    By the hash in its name where a program keeps it so, else by size in the programs' folders and in ``folders``
    (read once, at the first such question). The content of what is found is for the caller to check, except that of
    several files with the right size only one with the right content is given.
    """
    searched = list(places)
    tops = [place.folder for place in searched if place.program in {"lmstudio", "foundry", "hf-cache"}]
    tops += list(folders)

    @cache
    def by_size() -> dict[int, list[Path]]:
        sizes: dict[int, list[Path]] = {}
        for path, size in _files(tops, store):
            sizes.setdefault(size, []).append(path)
        return sizes

    def search(file: File) -> Path | None:
        for place in searched:
            named = None
            if place.program == "hf-cache":
                named = hf_cache.blob(place.folder, file)
            elif place.program == "ollama":
                named = ollama.blob(place.folder, file.sha256)
            if named is not None:
                return named
        if file.sha256 is None or file.size is None or file.size < SEARCHED:
            return None
        return _right_one(by_size().get(file.size, []), file.sha256)

    return search


def _files(folders: Iterable[Path], store: Path | None) -> Iterator[tuple[Path, int]]:
    """Every file below ``folders`` that is worth a search, once, with its size; links are left out."""
    seen: set[tuple[int, int]] = set()
    for top in folders:
        for folder, below, names in os.walk(top):
            below[:] = [name for name in below if Path(folder, name) != store]
            for name in names:
                path = Path(folder, name)
                try:
                    state = path.stat(follow_symlinks=False)
                except OSError:
                    continue
                key = (state.st_dev, state.st_ino)
                if state.st_size >= SEARCHED and not path.is_symlink() and key not in seen:
                    seen.add(key)
                    yield path, state.st_size


def _right_one(paths: list[Path], sha256: str) -> Path | None:
    if len(paths) < 2:
        return paths[0] if paths else None
    return next((path for path in paths if _sha256(path) == sha256), None)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
