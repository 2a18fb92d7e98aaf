"""Room on a disk: what a fetch needs, and whether it is there."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from assay.amounts import format_amount
from assay.errors import NoRoom

_FULL: Final = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Wanted(NamedTuple):
    """A file that is to come: its size (None: not told), and how much of it lies in the store's folder."""

    size: int | None
    here: int


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room: the disk, a quota or a limit on file sizes."""
    return error.errno in _FULL


def needed(files: Iterable[Wanted]) -> int:
    """Bytes that are still to be written; a file of unknown size counts for nothing."""
    return sum(max(0, file.size - file.here) for file in files if file.size is not None)


def free(folder: Path) -> int:
    """Bytes that can be written below ``folder``, which need not be there yet."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def refuse_full(folder: Path, need: int, what: str) -> None:
    """Raise `NoRoom` where ``need`` bytes for ``what`` do not fit below ``folder``."""
    there = free(folder)
    if need > there:
        raise NoRoom(
            f"{what}: {format_amount(need)} are needed and {format_amount(there)} are free in {folder}",
            remedy="make room (assay cache prune), or keep the models elsewhere: assay cache cd PATH",
        )
