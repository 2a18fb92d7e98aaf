"""SHA-256 of a variant's files, computed once for each state of a file.

The cache is one JSON file: path -> [modification time in ns, size, inode, digest]. A damaged cache is an empty one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from msgspec import structs

from assay.disk import Stamp, write_whole
from assay.errors import BadInput
from assay.types import File, Reporter, Silent, Variant

SLOW = 1 << 28
"""From this size on, hashing takes long enough to tell of it."""


def folder_of(variant: Variant) -> Path | None:
    """The folder that the paths of the variant's files start from; None where nothing lies on this machine."""
    if variant.path is None:
        return None
    entry = Path(variant.path)
    return entry if entry.is_dir() else entry.parent


def with_digests(variant: Variant, cache: Path | None = None, reporter: Reporter | None = None) -> Variant:
    """The variant with the size and SHA-256 of each of its files; what is known already is kept.

    ``cache`` is the file that remembers digests, made where it is missing.

    Raises:
        BadInput: a file cannot be read.
    """
    folder = folder_of(variant)
    if folder is None or all(file.sha256 for file in variant.files):
        return variant
    known = _load(cache)
    before = dict(known)
    files = [file if file.sha256 else _hashed(folder, file, known, reporter or Silent()) for file in variant.files]
    if cache is not None and known != before:
        _save(cache, {**_load(cache), **known})
    return structs.replace(variant, files=tuple(files))


def _hashed(folder: Path, file: File, known: dict[str, list[Any]], reporter: Reporter) -> File:
    path = folder / file.path
    try:
        stamp, key = Stamp.of(path.stat()), str(path.resolve())
        remembered = known.get(key, [])
        if remembered[:-1] == [*stamp]:
            return File(path=file.path, size=stamp.size, sha256=str(remembered[-1]))
        if stamp.size >= SLOW:
            reporter.stage(f"Hashing {path.name}")
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read", why=error.strerror or str(error), remedy="check the path") from error
    known[key] = [*stamp, digest]
    return File(path=file.path, size=stamp.size, sha256=digest)


def _load(cache: Path | None) -> dict[str, list[Any]]:
    if cache is None:
        return {}
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {k: v for k, v in content.items() if isinstance(v, list)} if isinstance(content, dict) else {}


def _save(cache: Path, known: dict[str, list[Any]]) -> None:
    """Whole or not at all; a cache that cannot be written costs time, and nothing else."""
    with contextlib.suppress(OSError):
        write_whole(cache, json.dumps(known, indent=1, sort_keys=True).encode())
