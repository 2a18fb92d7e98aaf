"""The lock that lets one process at a time do one thing. The operating system lets go of it when its holder dies."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from assay.disk import try_lock
from assay.errors import StoreError

_PAUSE_S: Final = 0.1

Waits = Callable[[int | None], None]
"""Told once that another process is waited for: its number, where that is known."""


class Stopped(Exception):
    """The wait was called off."""


@contextlib.contextmanager
def locked(path: Path, waits: Waits | None = None, cancelled: threading.Event | None = None) -> Iterator[None]:
    """Hold the lock file ``path``, also against other threads of this process; it is gone again afterwards.

    Raises:
        Stopped: ``cancelled`` was set while waiting.
        StoreError: the folder cannot be written, or knows no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path, waits, cancelled)
    except OSError as error:
        raise StoreError(
            f"cannot lock {path}",
            why=f"{error.strerror or error}: some network drives know no locks",
            remedy="keep the models on a disk that you can write to: assay cache cd PATH",
        ) from error
    try:
        yield
    finally:
        if os.name == "posix":
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path, waits: Waits | None, cancelled: threading.Event | None) -> int:
    told = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            locked = try_lock(descriptor)
            if locked and _is_same(descriptor, path):
                with contextlib.suppress(OSError):  # a full disk: it is locked all the same, and can be made room on
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, str(os.getpid()).encode())
                return descriptor
            if not locked:
                if not told and waits is not None:
                    waits(_holder(path))
                told = True
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if cancelled is not None and cancelled.wait(_PAUSE_S):
            raise Stopped
        if cancelled is None:
            time.sleep(_PAUSE_S)


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether the file that was locked is still the one of that name: its last holder may have taken it away."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _holder(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return None
