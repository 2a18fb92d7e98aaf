"""A rate as people write it: ``60/min``."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

UNITS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0,
    "d": 86400.0, "day": 86400.0,
}  # fmt: skip
SHOWN = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "day"}
RATE = re.compile(r"\s*(?P<count>[0-9]{1,9})\s*(?:/\s*(?P<unit>[a-zA-Z]+)\s*)?")


class Rate(Struct, frozen=True):
    """``count`` in ``seconds``."""

    count: Annotated[int, Meta(ge=1)]
    seconds: Annotated[float, Meta(gt=0)]

    def __str__(self) -> str:
        return f"{self.count}/{SHOWN.get(self.seconds) or f'{self.seconds:g} s'}"


def parse_rate(text: str) -> Rate:
    """The rate that ``60/min``, ``5/s`` or ``60`` (a minute) stands for; ``ValueError`` for what is none."""
    match = RATE.fullmatch(text)
    unit = ((match["unit"] or "min") if match else "").lower()
    if match is None or unit not in UNITS or int(match["count"]) < 1:
        raise ValueError(f"{text!r} is no rate; 60/min would be")
    return Rate(int(match["count"]), UNITS[unit])
