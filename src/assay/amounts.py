"""Amounts as people write them: of memory (``8``, ``"8"``, ``"2.4 GB"``, ``"6GiB"``), and of time (``"7d"``)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

UNITS = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}  # fmt: skip
AMOUNT = re.compile(r"\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>[a-zA-Z]*)\s*")
SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
SPAN = re.compile(r"(?P<count>[0-9]{1,6})\s*(?P<unit>[hdw])", re.IGNORECASE)


def parse_amount(value: float | str, unit: str) -> int:
    """Bytes; ``unit`` holds where the text names none. 1 GB is 10^9 bytes, 1 GiB 2^30.

    Raises:
        ValueError: no amount, less than nothing, or endless.
    """
    if isinstance(value, str):
        match = AMOUNT.fullmatch(value)
        if match is None or (match["unit"] or unit).lower() not in UNITS:
            raise ValueError(f"{value!r} is no amount; 8 or 8 GB would be")
        number, unit = float(match["number"]), match["unit"] or unit
    else:
        number = float(value)
    size = number * UNITS[unit.lower()]
    if not math.isfinite(size) or size < 0:
        raise ValueError(f"{value!r} is no amount; 8 or 8 GB would be")
    return round(size)


def parse_moment(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """``12h``, ``7d`` or ``2w`` before ``now``, after it with ``ahead``; or a date, in UTC unless it names a zone.

    Raises:
        ValueError: neither, or beyond the calendar.
    """
    span = SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            length = int(span["count"]) * SPANS[span["unit"].lower()]
            return now + length if ahead else now - length
        when = datetime.fromisoformat(text.strip())
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is beyond the calendar") from error


def format_amount(size: int) -> str:
    """Bytes for people: ``812.0 MB``, ``4.4 GB``; what would be rounded to a thousand is one of the next unit."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_ - bytes_ // 20_000:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size} bytes"
