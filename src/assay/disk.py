"""What every room asks of a disk: how much is free, whether it is full, a small file written whole."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room: the disk, a quota or a limit on file sizes."""
    return error.errno in FULL


def free(folder: Path) -> int:
    """Bytes that can be written below ``folder``, which need not be there yet; raise ``OSError``."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def write_whole(path: Path, content: bytes) -> None:
    """Replace a small file at once, after a power cut too; its folder is made where it is not there.

    Readers see the old content or the new one. Raise ``OSError``; then nothing is left behind.
    """
    fresh = path.with_name(f".{uuid.uuid4().hex}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def expanded(text: str) -> Path:
    """A path as people write it: ``~`` made a home folder; a name after it that nobody has stays as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)
