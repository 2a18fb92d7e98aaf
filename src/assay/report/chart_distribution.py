"""Latency distributions: every request of every candidate as a tick, with p50 and p95."""

from __future__ import annotations

from typing import Any

from assay.report.drawing import Drawing, axis, colours, data, names, scale, spans_decades
from assay.report.outliers import measured
from assay.report.palette import Theme
from assay.report.subject import Report
from assay.report.units import UNKNOWN, Unit, number, unit_for
from assay.types import Figure

TICKS = 100
"""At most so many ticks a row; a larger set is drawn by its quantiles, one for each per cent of requests."""
ROW = 46
PANELS = (("ttft", "Time to first text (TTFT)"), ("e2e", "Whole answer (E2E)"))


def quantiles(values: list[float], points: int = TICKS) -> list[float]:
    """Values themselves where there are at most ``points``, else that many evenly spread quantiles of them."""
    ordered = sorted(values)
    if len(ordered) <= points:
        return ordered
    found = []
    for i in range(points):
        at = (i + 0.5) / points * (len(ordered) - 1)
        low = int(at)
        found.append(ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]))
    return found


def latency_distribution(report: Report, width: int, theme: Theme) -> Drawing | None:
    """One panel for TTFT, where answers were streamed, and one for E2E; a row for each candidate."""
    import altair as alt

    stacked = width < 560
    panels = [
        panel
        for name, title in PANELS
        if (panel := _panel(report, name, title, width - 20 if stacked else (width - 56) // 2, theme))
    ]
    if not panels:
        return None
    return Drawing(
        name="latency_distribution",
        title="Latency of single requests",
        description=_description(report),
        chart=alt.vconcat(*panels) if stacked else alt.hconcat(*panels),
    )


def _panel(report: Report, name: str, title: str, width: int, theme: Theme) -> Any:
    import altair as alt

    values = _values(report, name)
    everything = [v for own in values for v in own]
    if not everything:
        return None
    unit = unit_for("duration", everything)
    log = spans_decades(everything)
    low, high = min(everything) / unit.scale, max(everything) / unit.scale
    domain = (low / 1.2, high * 1.2) if log else (0.0, high * 1.04 or 1.0)
    rows = _rows(report, name, values, unit)
    ticks = [
        {
            "candidate": row["candidate"],
            "x": v / unit.scale,
            "words": f"{row['candidate']}: {number(v, unit)} {unit.name}",
        }
        for row, own in zip(rows, values, strict=True)
        for v in quantiles(own)
    ]
    x = alt.X(
        "x:Q",
        title=f"{title}, {unit.name}",
        scale=scale(domain, log=log),
        axis=axis(domain, log=log, ticks=4),
    )
    y = alt.Y("candidate:N", sort=names(report), axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    colour = colours(report, theme)
    marks = alt.Chart(data(rows)).encode(y=y)
    heading: dict[str, Any] = {"baseline": "middle", "dy": -15, "aria": False}
    halo: dict[str, Any] = {"stroke": theme.paper, "strokeWidth": 4}
    left, right = ({"x": alt.value(0), "text": "candidate:N"}, {"x": alt.value(width), "text": "figures:N"})
    return alt.layer(
        alt.Chart(data(ticks))
        .mark_tick(thickness=1.6, size=15, opacity=0.4, yOffset=4)
        .encode(x=x, y=y, color=colour, description="words:N", tooltip="words:N"),
        marks.transform_filter("isValid(datum.p50)")
        .mark_point(size=70, filled=True, stroke=theme.paper, strokeWidth=1.5, opacity=1, yOffset=4)
        .encode(x="p50:Q", color=colour, description="words:N", tooltip="words:N"),
        marks.transform_filter("isValid(datum.p95)")
        .mark_tick(thickness=2.4, size=20, opacity=1, yOffset=4)
        .encode(x="p95:Q", color=colour, description="words:N", tooltip="words:N"),
        marks.mark_text(align="left", **halo, **heading).encode(**left),
        marks.mark_text(align="left", color=theme.ink, **heading).encode(**left),
        marks.mark_text(align="right", **halo, **heading).encode(**right),
        marks.mark_text(align="right", color=theme.quiet, **heading).encode(**right),
    ).properties(width=width, height=ROW * len(rows))


def _values(report: Report, name: str) -> list[list[float]]:
    """Seconds of each candidate's measured requests, in the order of the run."""
    return [
        [v for sample in measured(report, c.key, report.level) if (v := getattr(sample, name)) is not None]
        for c in report.candidates
    ]


def _rows(report: Report, name: str, values: list[list[float]], unit: Unit) -> list[dict[str, Any]]:
    rows = []
    for candidate, label, own in zip(report.candidates, names(report), values, strict=True):
        summary = report.summary(candidate.key, report.level)
        figures = summary.figures if summary else {}
        p50, p95 = figures.get(f"{name}_p50"), figures.get(f"{name}_p95")
        words = f"p50 {_text(p50, unit)} · p95 {_text(p95, unit)}" if own else "not measured"
        rows.append(
            {
                "candidate": label,
                "p50": p50.value / unit.scale if p50 else None,
                "p95": p95.value / unit.scale if p95 else None,
                "figures": words,
                "words": f"{label}: {words} {unit.name}",
            }
        )
    return rows


def _text(figure: Figure | None, unit: Unit) -> str:
    return number(figure.value, unit) + ("" if figure.enough else "†") if figure else UNKNOWN


def _description(report: Report) -> str:
    counts = [len(measured(report, c.key, report.level)) for c in report.candidates]
    answered = sum(n > 0 for n in counts)
    return f"Latency of {sum(counts):,} requests of {answered} candidates, one row each; dot p50, bar p95."
