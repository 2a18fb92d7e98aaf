"""Amounts as people write them in a policy: ``4GB``, ``500ms``, ``20 tok/s``, ``70%``, or a number in base units."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from assay.decide.figures import Unit

UNITS: Final[dict[Unit, dict[str, float]]] = {
    "duration": {
        "ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0,
    },
    "bytes": {
        "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
        "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
    },
    "rate": {"tok/s": 1.0, "tokens/s": 1.0, "t/s": 1.0},
    "share": {"%": 0.01},
}  # fmt: skip
_EXAMPLES: Final[dict[Unit, str]] = {
    "duration": '"500ms" or "1.2s"',
    "bytes": '"4GB" or "512MiB"',
    "rate": '20 or "20 tok/s"',
    "share": '0.7 or "70%"',
}
_AMOUNT: Final = re.compile(
    r"(?P<number>(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,2})?)(?P<unit>.*)"
)


def parse_amount(given: Any, unit: Unit) -> float:
    """An amount in base units: seconds, bytes, tokens per second, 0..1.

    Units are as they are written everywhere, whatever their case where that is unambiguous. Raises `ValueError` that
    says what would be right.
    """
    if isinstance(given, str):
        amount = _parse(given, unit)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        amount = float(given)
    else:
        raise ValueError(f"{given!r} is no amount: {_EXAMPLES[unit]} would be")
    if not math.isfinite(amount) or amount < 0:
        raise ValueError(f"{given!r} is no amount from 0 up: {_EXAMPLES[unit]} would be")
    if unit == "share" and amount > 1:
        raise ValueError(f"{given!r} is more than everything: a share is 0..1, such as {_EXAMPLES[unit]}")
    return amount


def _parse(text: str, unit: Unit) -> float:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no amount: {_EXAMPLES[unit]} would be")
    word = match["unit"].strip()
    if not word:
        return float(match["number"])
    scale = UNITS[unit].get(word)
    if scale is None:
        folded = {name.casefold(): scale for name, scale in UNITS[unit].items()}
        scale = folded.get(word.casefold())
    if scale is None:
        raise ValueError(f"{word!r} is no unit here ({', '.join(UNITS[unit])}): {_EXAMPLES[unit]} would be right")
    return float(match["number"]) * scale
