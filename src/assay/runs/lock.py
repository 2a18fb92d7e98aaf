"""The lock that keeps two processes from writing one run. The operating system lets go of it when its holder dies."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from assay.disk import try_lock
from assay.errors import RunError, RunInUse

NAME: Final = ".lock"
_TRIES: Final = 5
_PAUSE_S: Final = 0.05


class Lock:
    """Holds the lock of the run folder ``path`` until `release`.

    Raises `RunInUse`, or `RunError` where locks do not work. Tries more than once, so that somebody's mere look at the
    lock (`is_held`) passes.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path / NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take(self, path: Path) -> None:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_S)
            try:
                if try_lock(self._descriptor):
                    break
            except OSError as error:
                raise RunError(
                    f"cannot lock run {path.name}",
                    why=f"{error.strerror}: some network drives know no locks",
                    remedy="keep runs on a local disk (ASSAY_HOME)",
                ) from error
        else:
            raise RunInUse(
                f"run {path.name} is being written by {_holder(path)}", remedy="wait until that has ended, or stop it"
            )
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Let go; no error when that is done already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_held(path: Path) -> bool:
    """Whether some process holds the lock of the run folder ``path``."""
    try:
        descriptor = os.open(path / NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    except OSError:  # where there are no locks none is held
        return False
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f"process {int((path / NAME).read_text(encoding='ascii'))}"
    return "another process"
