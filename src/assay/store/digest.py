"""What a file is: SHA-256, the name that git gives its content, and whether that is what was promised."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from assay.store.part_lock import Stopped
from assay.types import Digests, File

_CHUNK: Final = 1 << 20

Tell = Callable[[int, int | None], None]
"""Told how many bytes are done, of how many."""


def hash_file(
    path: Path, *, git: bool = False, tell: Tell | None = None, cancelled: threading.Event | None = None
) -> Digests:
    """Read the whole file; ``git`` asks for its name as a git blob too.

    Raises:
        OSError: it cannot be read.
        Stopped: ``cancelled`` was set.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        file.seek(0)
        sha256 = hashlib.sha256()
        sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if git else None
        done = 0
        buffer = bytearray(_CHUNK)
        while read := file.readinto(buffer):
            if cancelled is not None and cancelled.is_set():
                raise Stopped
            chunk = memoryview(buffer)[:read]
            sha256.update(chunk)
            if sha1 is not None:
                sha1.update(chunk)
            done += read
            if tell is not None:
                tell(done, size)
    return Digests(sha256=sha256.hexdigest(), git_sha1=sha1.hexdigest() if sha1 and done == size else None, size=done)


def hash_as(file: File, path: Path, *, tell: Tell | None = None, cancelled: threading.Event | None = None) -> Digests:
    """Hash ``path`` with what it takes to compare it with ``file``. Raises as `hash_file` does."""
    return hash_file(path, git=file.sha256 is None and file.git_sha1 is not None, tell=tell, cancelled=cancelled)


def mismatch(file: File, found: Digests) -> str | None:
    """What of ``found`` is not as ``file`` says, with both; None where all that is known of it fits.

    The SHA-256 decides; the git name does where there is none, and the size where there is neither.
    """
    if file.size is not None and file.size != found.size:
        return f"expected {file.size} bytes, found {found.size}"
    if file.sha256 is not None:
        if file.sha256.lower() != found.sha256:
            return f"expected SHA-256 {file.sha256.lower()}, found {found.sha256}"
        return None
    if file.git_sha1 is not None and file.git_sha1.lower() != found.git_sha1:
        return f"expected git blob {file.git_sha1.lower()}, found {found.git_sha1}"
    return None
