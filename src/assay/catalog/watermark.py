"""When the hub was last looked at, and what was seen then: a small JSON file that only moves forward."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from assay.amounts import parse_moment
from assay.disk import write_whole
from assay.errors import BadInput

FIRST_LOOK = timedelta(days=7)
"""How far back a first look goes."""
REMEMBERED = 20_000
"""Ids that are kept, the newest; a look sees some hundreds."""


class Watermark(Struct, frozen=True, kw_only=True):
    """``looked`` is the time of the last look that succeeded; ``ids`` are the repositories seen, oldest first."""

    looked: datetime
    ids: tuple[str, ...] = ()


def read_watermark(path: Path) -> Watermark | None:
    """What the file says; None where it is missing, damaged or without a zone: then the next look is a first one."""
    try:
        mark = msgspec.json.decode(path.read_bytes(), type=Watermark)
    except (OSError, msgspec.MsgspecError):
        return None
    return mark if mark.looked.tzinfo is not None else None


def move_watermark(path: Path, looked: datetime, ids: Collection[str]) -> Watermark:
    """Remember a look that succeeded, whole or not at all; the time never goes back, and nothing seen is forgotten
    but the oldest of more than ``REMEMBERED``.

    Raises:
        BadInput: the file cannot be written.
    """
    before = read_watermark(path)
    seen = dict.fromkeys([*(before.ids if before else ()), *ids])
    latest = looked if before is None else max(looked, before.looked)
    mark = Watermark(looked=latest.astimezone(UTC), ids=tuple(seen)[-REMEMBERED:])
    try:
        write_whole(path, msgspec.json.encode(mark))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written, so the next look will show the same again",
            why=error.strerror or str(error),
            remedy="make its folder writable",
        ) from error
    return mark


def start_of_look(text: str | None, mark: Watermark | None, now: datetime) -> datetime:
    """From when on to look: what ``text`` says, else the watermark's time, else ``FIRST_LOOK`` ago; at most ``now``.

    ``text`` is a duration (``12h``, ``7d``, ``2w``) or a date, with or without a time (``2026-11-01``), in UTC unless
    it names a zone.

    Raises:
        BadInput: neither, or in the future.
    """
    if text is None:
        return min(now, mark.looked) if mark is not None else now - FIRST_LOOK
    remedy = "write it like 12h, 7d, 2w or 2026-11-01"
    try:
        when = parse_moment(text, now)
    except ValueError as error:
        raise BadInput(f"{text!r} is no time to look back to", remedy=remedy) from error
    if when > now:
        raise BadInput(f"{text!r} is in the future", remedy=remedy)
    return when
