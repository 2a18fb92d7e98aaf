"""Records on disk: one JSON file per variant, replaced at once or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import structs

from assay import disk
from assay.errors import NoRoom, StoreError
from assay.store.layout import slug
from assay.types import Stored

SCHEMA: Final = 1
"""Version of a record's shape. A newer one is not read."""


class _Record(msgspec.Struct):
    schema: int
    stored: msgspec.Raw


_decode = msgspec.json.Decoder(_Record).decode
_decode_stored = msgspec.json.Decoder(Stored).decode


def read_record(path: Path) -> Stored:
    """The record in ``path``.

    Raises:
        FileNotFoundError: there is none.
        StoreError: it is damaged, or was written by a newer Assay.
    """
    try:
        record = _decode(path.read_bytes())
        if record.schema > SCHEMA:
            raise StoreError(
                f"{path} was written by a newer Assay (schema {record.schema}; this one reads up to {SCHEMA})",
                remedy="pip install -U assay",
            )
        stored = _decode_stored(record.stored)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path} cannot be read", why=str(error), remedy="remove that file and download or import the model again"
        ) from error
    if slug(stored.variant.id) != path.stem:
        raise StoreError(
            f"{path} is the record of {stored.variant.id}",
            why="its name does not fit, so it was renamed or copied",
            remedy="remove that file",
        )
    return stored


def write_record(path: Path, stored: Stored) -> None:
    """Put ``stored`` in the place of what ``path`` held: readers see the old one or the new one, never half of one.

    Where the variant lies is not written: the folder may be moved.

    Raises:
        NoRoom: the disk is full.
        StoreError: it cannot be written.
    """
    stored = structs.replace(stored, variant=structs.replace(stored.variant, path=None))
    content = msgspec.json.encode({"schema": SCHEMA, "stored": stored})
    write_whole(path, msgspec.json.format(content, indent=1) + b"\n")


def write_whole(path: Path, content: bytes) -> None:
    """Replace a small file at once, after a power cut too. Raises as `write_record` does."""
    try:
        disk.write_whole(path, content)
    except OSError as error:
        kind = NoRoom if disk.is_full(error) else StoreError
        raise kind(
            f"cannot write {path}", why=error.strerror or str(error), remedy="make room, or choose another folder"
        ) from error
