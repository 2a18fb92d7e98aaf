"""One chart on its way: what it is called, what it shows in words, and its Vega-Lite description."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from assay.report.escape import one_line
from assay.report.palette import Theme
from assay.report.subject import Report

if TYPE_CHECKING:
    import altair as alt

LABEL_LIMIT = 44
AXIS_FORMAT = ",.12~g"
"""Plain numbers with as many digits as they need; without a precision large ticks turn into exponents."""


class Drawing(Struct, frozen=True, kw_only=True):
    """A chart without theme or title. ``description`` says for people who cannot see it what it shows."""

    name: str
    title: str
    description: str
    chart: Any
    note: str = ""
    """What a reader must know of this one drawing: something was left out."""

    def finished(self, theme: Theme, *, titled: bool) -> alt.TopLevelMixin:
        """The chart with the theme's fonts and colours; with its title when it stands by itself."""
        import altair as alt

        chart = self.chart.properties(description=self.description)
        if titled:
            chart = chart.properties(title=alt.Title(self.title, anchor="start", fontSize=15, offset=14))
        themed: alt.TopLevelMixin = chart.properties(config=_config(theme, theme.paper if titled else "transparent"))
        return themed


def _config(theme: Theme, background: str) -> Any:
    import altair as alt

    axis = alt.AxisConfig(
        labelColor=theme.quiet,
        titleColor=theme.quiet,
        gridColor=theme.rule,
        ticks=False,
        domain=False,
        labelFontSize=11,
        titleFontSize=11.5,
        titleFontWeight="normal",
        labelPadding=6,
        titlePadding=8,
    )
    return alt.Config(
        font=theme.font,
        background=background,
        padding=4,
        view=alt.ViewConfig(stroke=None),
        axis=axis,
        title=alt.TitleConfig(color=theme.ink, fontWeight=600),
        text=alt.MarkConfig(color=theme.ink, fontSize=11.5),
        concat=alt.CompositionConfig(spacing=26),
    )


def names(report: Report) -> list[str]:
    """Candidates as charts print them: the variant's id, with its engine where one id ran on several.

    Labels are unlike each other even where they had to be cut.
    """
    ids = [c.variant.id for c in report.candidates]
    told = ids if len(set(ids)) == len(ids) else [c.label for c in report.candidates]
    labels = [one_line(label, LABEL_LIMIT) for label in told]
    return [label if labels.count(label) == 1 else f"{i + 1}. {label}" for i, label in enumerate(labels)]


def colours(report: Report, theme: Theme) -> Any:
    """The colour channel that every chart shares: a candidate has one colour everywhere."""
    import altair as alt

    domain = names(report)
    scale = alt.Scale(domain=domain, range=[theme.colour(i) for i in range(len(domain))])
    return alt.Color("candidate:N", scale=scale, legend=None)


def data(rows: list[dict[str, Any]]) -> Any:
    """Rows as inline data, so that a chart needs nothing but itself.

    They are one JSON text because Altair copies every row anew at every step of building a chart.
    """
    import altair as alt

    return alt.InlineData(values=json.dumps(rows), format=alt.JsonDataFormat(type="json"))


def spans_decades(values: list[float]) -> bool:
    """Whether values differ so much that a logarithmic axis serves better."""
    positive = [v for v in values if v > 0]
    return len(positive) == len(values) > 0 and max(positive) / min(positive) > 30


def scale(domain: tuple[float, float], *, log: bool) -> Any:
    """The scale of an axis over exactly ``domain``."""
    import altair as alt

    return alt.Scale(domain=list(domain), type="log" if log else "linear", nice=False)


def axis(domain: tuple[float, float], *, log: bool, ticks: int, grid: bool = True) -> Any:
    """An axis with about ``ticks`` ticks; on a logarithmic one they stand at 1, 2 and 5, or at the decades alone."""
    import altair as alt

    if not log:
        return alt.Axis(tickCount=ticks, format=AXIS_FORMAT, grid=grid)
    low, high = (math.floor(math.log10(v)) for v in domain)
    steps = (1, 2, 5) if high - low < 3 else (1,)
    values = [step * 10**power for power in range(low, high + 1) for step in steps]
    return alt.Axis(values=[v for v in values if domain[0] <= v <= domain[1]], format=AXIS_FORMAT, grid=grid)
