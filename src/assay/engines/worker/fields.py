"""One field of a request body, checked: its value, or a ``Refused`` that names it and says what is wrong with it.

A field that is left out or null has its default. Where ``body`` is an object within the body, ``of`` is the way to it,
as ``stream_options.``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from assay.engines.worker.model import Refused


def unsupported(name: str) -> Refused:
    """For a field that no engine here has."""
    return Refused(
        f"{name} is not supported by this server, and leaving it out would change the answer",
        param=name,
        code="unsupported_parameter",
    )


def boolean(body: Mapping[str, Any], name: str, *, of: str = "") -> bool:
    """A flag; false by default."""
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong(of + name, "true or false", value)
    return value


def integer(
    body: Mapping[str, Any], name: str, default: int, *, low: int | None = None, high: int | None = None
) -> int:
    """A whole number between ``low`` and ``high``, both allowed; a float with no fraction is one, too."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise wrong(name, "an integer", value)
    if (low is not None and value < low) or (high is not None and value > high):
        raise out_of_range(name, value, low, high)
    return value


def number(
    body: Mapping[str, Any],
    name: str,
    default: float,
    *,
    low: float,
    high: float,
    above_low: bool = False,
    of: str = "",
) -> float:
    """A number between ``low`` and ``high``, both allowed, but for ``low`` where it must be above that."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) not in {int, float} or (type(value) is float and math.isnan(value)):
        raise wrong(of + name, "a number", value)
    if not low <= value <= high or (above_low and value == low):
        raise out_of_range(of + name, value, low, high, above_low=above_low)
    return float(value)


def out_of_range(name: str, value: float, low: float | None, high: float | None, *, above_low: bool = False) -> Refused:
    """For a number that is too small or too large."""
    bounds = [f"{'more than' if above_low else 'at least'} {low}"] if low is not None else []
    bounds += [f"at most {high}"] if high is not None else []
    return Refused(f"{name} is {value}, but must be {' and '.join(bounds)}", param=name)


def wrong(name: str, wanted: str, value: Any) -> Refused:
    """For a value of another kind than ``wanted`` says."""
    shown = repr(value)
    got = f"{type(value).__name__} {shown[:80]}" if value is not None else "nothing"
    return Refused(f"{name} must be {wanted}, not {got}", param=name)
