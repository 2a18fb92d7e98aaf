"""How much of a variant's files the system holds in memory already: a start that reads them is warm or cold by that."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from assay.types import Variant

WARM, COLD = 0.9, 0.1
"""From this share of the files' bytes in memory a start is warm, and up to this one it is cold."""
WINDOW = 2**30
"""Bytes of a file that are looked at in one call; a multiple of every page size."""
LOWEST_BIT = bytes(value & 1 for value in range(256))
"""The kernel keeps the other bits to itself."""


def load_kind(variant: Variant) -> Literal["cold", "warm"] | None:
    """What a start of ``variant`` would be at this moment; None for what is between, or is not known."""
    if variant.path is None:
        return None
    path = Path(variant.path)
    folder = path if path.is_dir() else path.parent
    share = resident_share([folder / file.path for file in variant.files] or _all(path))
    if share is None or COLD < share < WARM:
        return None
    return "warm" if share >= WARM else "cold"


def resident_share(paths: Iterable[Path]) -> float | None:
    """The share, 0..1, of the files' bytes that lie in the page cache; nothing of them is read.

    None where the system does not tell (it does on Linux, to those who may write the files or own them), where a file
    cannot be opened, and for no bytes at all.
    """
    if sys.platform != "linux":
        return None
    resident = pages = 0
    try:
        for path in paths:
            with path.open("rb") as file:
                if not _may_know(file.fileno()):
                    return None
                size = os.fstat(file.fileno()).st_size
                for start in range(0, size, WINDOW):
                    held = _held(file.fileno(), start, min(WINDOW, size - start))
                    resident += held.count(1)
                    pages += len(held)
    except OSError:
        return None
    return resident / pages if pages else None


def _all(path: Path) -> list[Path]:
    return [found for found in path.rglob("*") if found.is_file()] if path.is_dir() else [path]


def _may_know(file: int) -> bool:
    """To others the kernel says that every page is resident."""
    return os.fstat(file).st_uid == os.geteuid() or os.access(f"/proc/self/fd/{file}", os.W_OK)


def _held(file: int, start: int, length: int) -> bytes:
    """For each page of that part of the file 1 where it is in memory, else 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = (ctypes.c_ubyte * -(-length // mmap.PAGESIZE))()
    # A private mapping is never written, and gives the address that mincore asks for.
    with mmap.mmap(file, length, flags=mmap.MAP_PRIVATE, offset=start) as view:
        address = ctypes.addressof(begin := ctypes.c_char.from_buffer(view))
        failed = libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(length), found)
        del begin
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return bytes(found).translate(LOWEST_BIT)
