"""Figures in words: at most three significant digits, a sensible unit, and a dash for what is not known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

UNKNOWN = "\N{EN DASH}"
"""What stands where nothing was measured."""

Kind = Literal["duration", "bytes", "rate", "share"]


class Unit(Struct, frozen=True):
    """A unit's name and what one of it is in base units (seconds, bytes, tokens per second, 1)."""

    name: str
    scale: float


UNITS: dict[Kind, tuple[Unit, ...]] = {
    "duration": (Unit("µs", 1e-6), Unit("ms", 1e-3), Unit("s", 1.0), Unit("min", 60.0)),
    "bytes": (Unit("B", 1.0), Unit("kB", 1e3), Unit("MB", 1e6), Unit("GB", 1e9), Unit("TB", 1e12)),
    "rate": (Unit("tok/s", 1.0),),
    "share": (Unit("", 1.0),),
}


def unit_for(kind: Kind, values: Iterable[float | None]) -> Unit:
    """The unit that suits a column of values: the largest in which their median is at least 1."""
    known = sorted(abs(v) for v in values if v is not None and math.isfinite(v))
    units = UNITS[kind]
    if not known:
        return {"duration": units[1], "bytes": units[2]}[kind] if kind in {"duration", "bytes"} else units[0]
    middle = known[len(known) // 2]
    fitting = [unit for unit in units if middle >= unit.scale * 0.9995]
    return fitting[-1] if fitting else units[0]


def number(value: float | None, unit: Unit | None = None) -> str:
    """``value`` (base units) in ``unit``, with three significant digits: ``1,230``, ``12.3``, ``0.0123``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    scaled = value / unit.scale if unit else value
    if scaled == 0:
        return "0"
    rounded = float(f"{scaled:.2e}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def quantity(value: float | None, kind: Kind, unit: Unit | None = None) -> str:
    """A figure with its unit: ``12.3 ms``, ``1.48 GB``, ``37.5 tok/s``, ``0.862``; a dash when unknown."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    unit = unit or unit_for(kind, [value])
    return f"{number(value, unit)} {unit.name}".rstrip()


def duration(seconds: float | None) -> str:
    """Seconds in words: ``340 µs``, ``12.3 ms``, ``4.56 s``, ``12.5 min``."""
    return quantity(seconds, "duration")


def size(count: float | None) -> str:
    """Bytes in words, in powers of 1,000: ``4.2 MB``."""
    return quantity(count, "bytes")


def rate(tokens_per_second: float | None) -> str:
    """Tokens per second in words: ``37.5 tok/s``."""
    return quantity(tokens_per_second, "rate")


def parameters(n: int | None) -> str:
    """A model's size in words: ``524 k``, ``4.10 M``, ``7.24 B``."""
    if n is None:
        return UNKNOWN
    unit = next((u for u in (Unit("B", 1e9), Unit("M", 1e6)) if n >= u.scale * 0.9995), Unit("k", 1e3))
    return f"{number(n, unit)} {unit.name}"


def percent(share: float | None) -> str:
    """A share of 0..1 in per cent; one that is not quite none or all is never rounded to it."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{float(f'{share * 100:.2e}'):g}%"


def probability(p: float | None) -> str:
    """A chance in per cent; one estimated by resampling is never shown as certain."""
    if p is None or not math.isfinite(p):
        return UNKNOWN
    if p > 0.999:
        return ">99.9%"
    return percent(p) if p >= 0.001 else "<0.1%"


def interval(low: float | None, high: float | None, unit: Unit | None = None) -> str:
    """Both ends in ``unit`` with an en dash between; empty when there is no interval."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{number(low, unit)}\N{EN DASH}{number(high, unit)}"


def count(n: int | None) -> str:
    """An exact count: ``12,345``."""
    return UNKNOWN if n is None else f"{n:,}"


def plural(n: int, noun: str, nouns: str | None = None) -> str:
    """``1 request``, ``2 requests``, ``2 replies``."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def clock(seconds: float) -> str:
    """A rough time left for people: ``8 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
