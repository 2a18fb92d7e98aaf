"""Per-prompt latencies: a bar for each prompt, a row for each candidate, outliers named."""

from __future__ import annotations

from typing import Any

from assay.report.drawing import AXIS_FORMAT, Drawing, colours, data, names
from assay.report.escape import one_line
from assay.report.outliers import PromptLatency, prompt_latencies
from assay.report.palette import Theme
from assay.report.subject import Report
from assay.report.units import Unit, number, unit_for

ROW = 58
BAR = 40
"""Pixels that a bar is wide at most."""
PROMPTS_DRAWN = 160
"""More bars than this are too thin to be seen; the slowest prompts are kept then."""


def prompt_latency(report: Report, width: int, theme: Theme) -> Drawing | None:
    """Rows have scales of their own: the question is which prompts stand out within a candidate. One prompt cannot."""
    rows = [
        (index, latencies)
        for index, c in enumerate(report.candidates)
        if (latencies := prompt_latencies(report, c.key, report.level))
    ]
    order = drawn_prompts(report, [latencies for _, latencies in rows])
    if len(order) < 2:
        return None
    import altair as alt

    last = rows[-1][0]
    panels = [
        _row(report, index, latencies, order=order, width=width - 64, theme=theme, last=index == last)
        for index, latencies in rows
    ]
    known = len({p.prompt for _, latencies in rows for p in latencies})
    outliers = sum(p.outlier for _, latencies in rows for p in latencies)
    return Drawing(
        name="prompt_latency",
        title="Latency of each prompt",
        description=f"Median E2E latency of {len(order)} prompts for {len(rows)} candidates; {outliers} stand out.",
        chart=alt.vconcat(*panels, spacing=14),
        note=f"Of {known:,} prompts the {len(order)} slowest are drawn." if known > len(order) else "",
    )


def drawn_prompts(report: Report, rows: list[list[PromptLatency]]) -> list[str]:
    """Prompt ids in the order of the workload; only the slowest where there are too many to draw."""
    slowest: dict[str, float] = {}
    for latencies in rows:
        top = max(p.latency for p in latencies) or 1.0
        for p in latencies:
            slowest[p.prompt] = max(slowest.get(p.prompt, 0.0), p.latency / top)
    kept = set(sorted(slowest, key=lambda prompt: -slowest[prompt])[:PROMPTS_DRAWN])
    order = [p.id for p in report.record.workload.prompts if p.id in kept]
    return order + [prompt for prompt in slowest if prompt in kept and prompt not in set(order)]


def _row(
    report: Report,
    index: int,
    latencies: list[PromptLatency],
    *,
    order: list[str],
    width: int,
    theme: Theme,
    last: bool,
) -> Any:
    import altair as alt

    unit = unit_for("duration", [p.latency for p in latencies])
    label = names(report)[index]
    rows = _rows(latencies, label, order, unit)
    top = max(row["y"] for row in rows) * 1.22 or 1
    for row in _named(rows, width / max(1, len(order))):
        row["name"] = row["prompt"]
    bars = alt.Chart(data(rows)).encode(
        x=alt.X(
            "place:O",
            scale=alt.Scale(domain=list(range(len(order))), paddingInner=0.25),
            axis=alt.Axis(title="Prompts, in the order of the workload", labels=False) if last else None,
        ),
        y=alt.Y(
            "y:Q",
            title=None,
            scale=alt.Scale(domain=[0, top], nice=False),
            axis=alt.Axis(tickCount=2, format=AXIS_FORMAT, grid=False, minExtent=34),
        ),
    )
    names_above = bars.transform_filter("isValid(datum.name)").encode(text="name:N")
    return alt.layer(
        bars.mark_bar(width=min(BAR, 0.75 * width / len(order))).encode(
            color=colours(report, theme),
            opacity=alt.condition("datum.outlier", alt.value(1), alt.value(0.42)),
            description="words:N",
            tooltip="words:N",
        ),
        names_above.mark_text(dy=-7, fontSize=10.5, color=theme.ink, aria=False),
    ).properties(
        width=width,
        height=ROW,
        title=alt.Title(
            f"{label}, {unit.name}", anchor="start", fontSize=11.5, fontWeight="normal", color=theme.ink, offset=4
        ),
    )


def _rows(latencies: list[PromptLatency], label: str, order: list[str], unit: Unit) -> list[dict[str, Any]]:
    place = {prompt: i for i, prompt in enumerate(order)}
    return [
        {
            "candidate": label,
            "prompt": one_line(p.prompt, 18),
            "place": place[p.prompt],
            "y": p.latency / unit.scale,
            "outlier": p.outlier,
            "score": abs(p.score),
            "words": f"{label}, {one_line(p.prompt, 40)}: {number(p.latency, unit)} {unit.name}"
            + (", an outlier" if p.outlier else ""),
        }
        for p in latencies
        if p.prompt in place
    ]


def _named(rows: list[dict[str, Any]], step: float) -> list[dict[str, Any]]:
    """Outliers that have room for their name, the furthest out first; every outlier is in the list below the chart."""
    kept: list[dict[str, Any]] = []
    for row in sorted((r for r in rows if r["outlier"]), key=lambda r: -r["score"]):
        half = len(row["prompt"]) * 3.1 + 4
        if all(abs(row["place"] - k["place"]) * step > half + len(k["prompt"]) * 3.1 for k in kept):
            kept.append(row)
    return kept
