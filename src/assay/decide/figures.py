"""What each figure is: its unit, whether low or high is better, and how it is written."""

from __future__ import annotations

import difflib
import math
from typing import Final, Literal, NamedTuple

Unit = Literal["duration", "bytes", "rate", "share"]

TIMES: Final = ("ttft", "ttfa", "e2e", "tpot", "gap")
STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
RATES: Final = ("decode_tps", "prefill_tps", "request_tps", "total_tps")


class Meaning(NamedTuple):
    """What a figure is. ``ranked`` is False for one that no choice may rest on."""

    unit: Unit
    better: Literal["low", "high"]
    ranked: bool = True


FIGURES: Final[dict[str, Meaning]] = {
    **{f"{time}_{statistic}": Meaning("duration", "low") for time in TIMES for statistic in STATISTICS},
    "decode_tps": Meaning("rate", "high"),
    "prefill_tps": Meaning("rate", "high"),
    "request_tps": Meaning("rate", "high"),
    "total_tps": Meaning("rate", "high", ranked=False),
    "throughput": Meaning("rate", "high"),
    "load_time": Meaning("duration", "low"),
    "peak_memory": Meaning("bytes", "low"),
    "disk": Meaning("bytes", "low"),
    "stability": Meaning("share", "high"),
    "quality": Meaning("share", "high"),
    "goodput": Meaning("share", "high"),
    "error_rate": Meaning("share", "low"),
}
"""Every figure that a policy may name; beside these, ``quality.<criterion>`` is a share like ``quality``."""

_QUALITY: Final = "quality."


def meaning(name: str) -> Meaning | None:
    """What the figure ``name`` is, or None where there is no such figure that a policy may name."""
    if name.startswith(_QUALITY) and len(name) > len(_QUALITY):
        return FIGURES["quality"]
    return FIGURES.get(name)


def is_latency(name: str) -> bool:
    """Whether a figure rests on the client's clock, so that the instrument's own error bounds what it can tell."""
    return name.partition("_")[0] in TIMES


def is_quality(name: str) -> bool:
    """Whether a figure comes from scores."""
    return name == "quality" or name.startswith(_QUALITY)


def near(name: str, known: list[str]) -> str:
    """A hint with the names nearest to a mistaken one, and all that are known."""
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}known: {', '.join(known)}"


_SCALES: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    "duration": ((60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "\u00b5s")),
    "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "rate": ((1.0, "tok/s"),),
    "share": ((1.0, ""),),
}


def written(value: float, name: str) -> str:
    """A figure for people, with three significant digits: ``612 ms``, ``4.1 GB``, ``37.5 tok/s``, ``0.862``."""
    known = meaning(name)
    scales = _SCALES[known.unit if known else "share"]
    scale, unit = next(((s, u) for s, u in scales if abs(value) >= s * 0.9995), scales[-1])
    scaled = value / scale
    if scaled == 0:
        return f"0 {unit}".rstrip()
    rounded = float(f"{scaled:.2e}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}".rstrip()


def percent(share: float) -> str:
    """A share in per cent; one that is estimated is never shown as none or certain: ``97%``, ``>99.9%``."""
    if share > 0.999:
        return ">99.9%"
    if share < 0.001:
        return "<0.1%"
    return f"{float(f'{share * 100:.2e}'):g}%"
