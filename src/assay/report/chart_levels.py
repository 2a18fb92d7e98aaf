"""Throughput and latency against the number of requests at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from assay.report.drawing import AXIS_FORMAT, Drawing, colours, data, names
from assay.report.palette import Theme
from assay.report.subject import Report
from assay.report.units import Kind, number, unit_for

HEIGHT = 220
LINE = 15
"""Pixels between two labels at the end of the lines."""
PANELS: tuple[tuple[str, str, Kind], ...] = (
    ("throughput", "All output tokens", "rate"),
    ("e2e_p50", "E2E p50 latency", "duration"),
)


def concurrency(report: Report, width: int, theme: Theme) -> Drawing | None:
    """One line for each candidate, labelled at its end; None where only one level was measured."""
    if len(report.levels) < 2:
        return None
    import altair as alt

    stacked = width < 560
    room = 30 + 6 * max(map(len, names(report)))
    inner = max(90, width - room - 60) if stacked else (width - room - 130) // 2
    found = [_rows(report, figure, kind) for figure, _, kind in PANELS]
    shown = [i for i, (_, rows) in enumerate(found) if rows]
    if not shown:
        return None
    panels = [
        _panel(report, found[i][1], f"{PANELS[i][1]}, {found[i][0]}", inner, theme, labels=stacked or i == shown[-1])
        for i in shown
    ]
    return Drawing(
        name="concurrency",
        title="More requests at once",
        description=f"Throughput and latency at {', '.join(map(str, sorted(report.levels)))} requests at once.",
        chart=alt.vconcat(*panels) if stacked else alt.hconcat(*panels),
    )


def spread(values: list[float], gap: float) -> list[float]:
    """``values`` moved apart until neighbours are at least ``gap`` from each other; their order stays."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    placed = dict(enumerate(values))
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + gap)
    return [placed[i] for i in range(len(values))]


def _rows(report: Report, figure: str, kind: Kind) -> tuple[str, list[dict[str, Any]]]:
    known = [s for s in report.summaries if s.value(figure) is not None]
    unit = unit_for(kind, [s.value(figure) for s in known])
    label = dict(zip((c.key for c in report.candidates), names(report), strict=True))
    rows = [
        {
            "candidate": label[s.key],
            "x": s.concurrency,
            "y": (s.value(figure) or 0.0) / unit.scale,
            "words": f"{label[s.key]}, {s.concurrency} at once: {number(s.value(figure), unit)} {unit.name}",
        }
        for s in known
        if s.key in label
    ]
    return unit.name, rows


def _panel(report: Report, rows: list[dict[str, Any]], title: str, width: int, theme: Theme, *, labels: bool) -> Any:
    import altair as alt

    levels = sorted(report.levels)
    top = max(row["y"] for row in rows) * 1.08 or 1
    x = alt.X(
        "x:O",
        title="Requests at once",
        scale=alt.Scale(type="point", domain=levels, padding=0.15),
        axis=alt.Axis(labelAngle=0),
    )
    y = alt.Y(
        "y:Q", title=title, scale=alt.Scale(domain=[0, top], nice=False), axis=alt.Axis(tickCount=5, format=AXIS_FORMAT)
    )
    colour = colours(report, theme)
    chart = alt.Chart(data(rows)).encode(x=x, y=y, color=colour)
    layers = [
        chart.mark_line(strokeWidth=1.8, aria=False),
        chart.mark_point(size=60, filled=True, opacity=1).encode(description="words:N", tooltip="words:N"),
    ]
    if labels:
        ends = [row for row in rows if row["x"] == levels[-1]]
        places = spread([row["y"] for row in ends], LINE / HEIGHT * top)
        texts = [{**row, "y": place} for row, place in zip(ends, places, strict=True)]
        layers.append(
            alt.Chart(data(texts))
            .mark_text(align="left", dx=10, aria=False)
            .encode(x=x, y=y, text="candidate:N", color=colour)
        )
    return alt.layer(*layers).properties(width=width, height=HEIGHT)
