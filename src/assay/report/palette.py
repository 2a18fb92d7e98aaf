"""Colours of charts: one per candidate, the same in every chart, told apart by colour-blind readers as well."""

from __future__ import annotations

from msgspec import Struct

LIGHT_SERIES = ("#0b63b5", "#c2500a", "#00795c", "#a8378a", "#8a6500", "#5647b8", "#237f97", "#9b2c3d")
DARK_SERIES = ("#6db1f2", "#f09a57", "#3fc8a0", "#e48acb", "#d9b44a", "#a99cf5", "#6cc7dd", "#f28b98")
"""After Okabe and Ito's hues, darkened or lightened until each has a contrast of 4.5 with its paper."""


class Theme(Struct, frozen=True, kw_only=True):
    """What a chart is painted with; every field is a CSS colour or a font list."""

    ink: str
    quiet: str
    rule: str
    paper: str
    series: tuple[str, ...]
    font: str = "Helvetica Neue, Arial, Liberation Sans, sans-serif"

    def colour(self, index: int) -> str:
        """The colour of the run's candidate number ``index``; colours repeat after eight, labels tell them apart."""
        return self.series[index % len(self.series)]


PAPER = Theme(ink="#1c1e21", quiet="#5c626b", rule="#dfe2e6", paper="#ffffff", series=LIGHT_SERIES)
"""For charts in files of their own."""

PAGE = Theme(
    ink="var(--ink)",
    quiet="var(--quiet)",
    rule="var(--rule)",
    paper="var(--paper)",
    series=tuple(f"var(--c{i})" for i in range(len(LIGHT_SERIES))),
)
"""For charts inside the page, whose style sheet gives the colours, so that one drawing serves light, dark and print."""
