"""Who uses a variant now: one mark per use, made by the process itself. A dead process's mark counts for nothing."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import Final

import msgspec

from assay.store.records import write_whole

_SLACK_S: Final = 2.0
"""Start times are reckoned from the time of the boot, which moves when the clock is set."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A process that uses a variant: its number, when it was started (seconds since 1970), and the use's begin."""

    pid: int
    started: float | None
    since: str


_decode = msgspec.json.Decoder(Holder).decode


def mark(folder: Path, since: str) -> Path:
    """Leave a mark of this process in ``folder``; gives the file, which ends the use when it is removed."""
    path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.json"
    started = _started(os.getpid())
    write_whole(path, msgspec.json.encode(Holder(pid=os.getpid(), started=started, since=since)))
    return path


def unmark(path: Path) -> None:
    """Take a mark away; no error when that is done already."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def holders(folder: Path) -> list[Holder]:
    """The live processes that have marks in ``folder``, each once, oldest first; marks of others are swept."""
    found: dict[int, Holder] = {}
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.glob("[!.]*.json")):
            holder = _read(path)
            if holder is None or not _is_alive(holder):
                unmark(path)
            elif holder.pid not in found or holder.since < found[holder.pid].since:
                found[holder.pid] = holder
    return sorted(found.values(), key=lambda holder: holder.since)


def _read(path: Path) -> Holder | None:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def _is_alive(holder: Holder) -> bool:
    """Whether the process runs; one that may not be looked at counts as running."""
    try:
        started = _started(holder.pid)
    except PermissionError:
        return True
    return started is not None and (holder.started is None or abs(started - holder.started) <= _SLACK_S)


def _started(pid: int) -> float | None:
    """When the process was started; None where there is none of that number, or it has ended and was not reaped.

    Raises `PermissionError` where it may not be looked at.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.AccessDenied as error:
        raise PermissionError(str(error)) from error
    except psutil.Error:
        return None
