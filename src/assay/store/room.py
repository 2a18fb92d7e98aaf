"""Room on a disk: what a fetch needs, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from assay.amounts import format_amount
from assay.disk import free
from assay.errors import NoRoom


class Wanted(NamedTuple):
    """A file that is to come: its size (None: not told), and how much of it lies in the store's folder."""

    size: int | None
    here: int


def needed(files: Iterable[Wanted]) -> int:
    """Bytes that are still to be written; a file of unknown size counts for nothing."""
    return sum(max(0, file.size - file.here) for file in files if file.size is not None)


def refuse_full(folder: Path, need: int, what: str) -> None:
    """Raise `NoRoom` where ``need`` bytes for ``what`` do not fit below ``folder``."""
    there = free(folder)
    if need > there:
        raise NoRoom(
            f"{what}: {format_amount(need)} are needed and {format_amount(there)} are free in {folder}",
            remedy="make room (assay cache prune), or keep the models elsewhere: assay cache cd PATH",
        )
