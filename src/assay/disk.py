"""What every room asks of a disk: how much is free, a small file written whole, a hash, a lock."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_FAR = 1 << 30
"""Windows locks bytes, and others cannot read a locked one: this one is far behind what a lock's file holds."""
BLOCK = 1 << 22
FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})


class Stamp(NamedTuple):
    """Tells a file or folder from another of its name, and from itself written anew; a change of its rights does not.

    ``written`` is when it was written last, in nanoseconds, ``size`` its bytes, ``number`` its own in the file system.
    """

    written: int
    size: int
    number: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """What ``stat`` told."""
        return cls(status.st_mtime_ns, status.st_size, status.st_ino)


def stamp_of(path: Path) -> Stamp | None:
    """Of what ``path`` leads to, links followed; None where nothing is there or can be asked."""
    try:
        return Stamp.of(path.stat())
    except (OSError, ValueError):  # ValueError: a path with a null byte
        return None


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room: the disk, a quota or a limit on file sizes."""
    return error.errno in FULL


def free(folder: Path) -> int:
    """Bytes that can be written below ``folder``, which need not be there yet; raise ``OSError``."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def write_whole(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replace a small file at once, after a power cut too; its folder is made where it is not there.

    Readers see the old content or the new one. ``mode`` is who may read it from its first byte on, less the umask.
    Raise ``OSError``; then nothing is left behind.
    """
    fresh = path.with_name(f".{uuid.uuid4().hex}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
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


def sha256_of(path: Path, read: Callable[[int], None]) -> str:
    """The file's SHA-256 in hexadecimal; ``read`` hears of the bytes of each piece. Raise ``OSError``."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
            read(len(block))
    return digest.hexdigest()


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Tell whether the lock of an open file could be taken; a holder that dies lets go of it.

        Raise ``OSError`` where the file system knows no locks.
        """
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Tell whether the lock of an open file could be taken; a holder that dies lets go of it.

        Raise ``OSError`` where the file system knows no locks.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # PermissionError: NFS
            return False
        return True
