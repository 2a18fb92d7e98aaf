"""Quality against latency, with intervals and the Pareto front."""

from __future__ import annotations

import math
from typing import Any

from assay.report.dimensions import standing
from assay.report.drawing import Drawing, axis, colours, data, names, scale, spans_decades
from assay.report.front import Point, quality_against_latency
from assay.report.palette import Theme
from assay.report.subject import Report
from assay.report.units import Unit, duration, interval, number, unit_for

HEIGHT = 300
CHARACTER = 6.1
"""Width of a character of a label in pixels, on average."""


Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


class _Plane:
    """Pixel positions of the plot, for placing labels where they cover nothing."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], width: float, log: bool) -> None:
        self.x, self.y, self.width, self.log = x, y, width, log

    def pixels(self, x: float, y: float) -> tuple[float, float]:
        low, high = (math.log(v) for v in self.x) if self.log else self.x
        at = math.log(x) if self.log else x
        return (at - low) / (high - low) * self.width, (self.y[1] - y) / (self.y[1] - self.y[0]) * HEIGHT


def quality_latency(report: Report, width: int, theme: Theme) -> Drawing | None:
    """A point for each candidate with both figures; filled on the front, hollow where another is no worse in both."""
    points = quality_against_latency(report, report.level)
    if not points:
        return None
    import altair as alt

    unit = unit_for("duration", [p.latency.value for p in points])
    log = spans_decades([p.latency.value for p in points])
    plane = _plane(points, unit, width - 60, log)
    rows = _rows(report, points, unit, plane)
    x = alt.X(
        "x:Q",
        title=f"E2E p50 latency, {unit.name} (left is faster)",
        scale=scale(plane.x, log=log),
        axis=axis(plane.x, log=log, ticks=6, grid=False),
    )
    y = alt.Y(
        "y:Q",
        title="Quality, mean score (up is better)",
        scale=scale(plane.y, log=False),
        axis=axis(plane.y, log=False, ticks=5),
    )
    chart = alt.Chart(data(rows)).encode(x=x, y=y)
    colour = colours(report, theme)
    text = chart.encode(x="label_x:Q", y="label_y:Q", text="label:N")
    drawn = alt.layer(
        chart.transform_filter("datum.front").mark_line(
            interpolate="step-after", color=theme.quiet, strokeDash=[3, 4], strokeWidth=1.2, aria=False
        ),
        chart.mark_rule(strokeWidth=1.4, opacity=0.55, aria=False).encode(x="x_low:Q", x2="x_high:Q", color=colour),
        chart.mark_rule(strokeWidth=1.4, opacity=0.55, aria=False).encode(y="y_low:Q", y2="y_high:Q", color=colour),
        chart.mark_point(size=110, strokeWidth=2, opacity=1).encode(
            color=colour,
            fill=alt.condition("datum.front", colour, alt.value(theme.paper)),
            description="words:N",
            tooltip="words:N",
        ),
        text.mark_text(align="left", baseline="middle", stroke=theme.paper, strokeWidth=4, aria=False),
        text.mark_text(align="left", baseline="middle", color=theme.ink, aria=False),
    ).properties(width=width - 60, height=HEIGHT)
    return Drawing(
        name="quality_latency",
        title="Quality against latency",
        description=_description(points),
        chart=drawn,
        note="" if all(row["label"] for row in rows) else "Names without room are left out; the table has them all.",
    )


def _plane(points: list[Point], unit: Unit, width: float, log: bool) -> _Plane:
    xs = [v / unit.scale for p in points for v in (p.latency.value, p.latency.low, p.latency.high) if v is not None]
    ys = [v for p in points for v in (p.quality.value, p.quality.low, p.quality.high) if v is not None]
    room = max(0.04, (max(ys) - min(ys)) * 0.12)
    y = (min(ys) - room if min(ys) - room > 0 else -0.02, min(max(ys) + room, 1.05))
    x = (min(xs) / 1.4, max(xs) * 1.6) if log else (0.0, max(xs) * 1.12)
    return _Plane(x, y, width, log)


def _rows(report: Report, points: list[Point], unit: Unit, plane: _Plane) -> list[dict[str, Any]]:
    labels = names(report)
    texts = []
    for point in points:
        rejected = standing(report, point.candidate) == "rejected"
        texts.append(labels[point.index] + (" (rejected)" if rejected else ""))
    places = _places([_cross(p, unit, plane) for p in points], texts, plane)
    return [
        {
            "candidate": labels[p.index],
            "name": name,
            "label": name if place else "",
            "x": p.latency.value / unit.scale,
            "x_low": (p.latency.value if p.latency.low is None else p.latency.low) / unit.scale,
            "x_high": (p.latency.value if p.latency.high is None else p.latency.high) / unit.scale,
            "y": p.quality.value,
            "y_low": p.quality.value if p.quality.low is None else p.quality.low,
            "y_high": p.quality.value if p.quality.high is None else p.quality.high,
            "front": p.front,
            "label_x": place[0] if place else None,
            "label_y": place[1] if place else None,
            "words": f"{name}: quality {_figure(p.quality.value, p.quality.low, p.quality.high)}, "
            f"E2E p50 {_figure(p.latency.value, p.latency.low, p.latency.high, unit)} {unit.name}",
        }
        for p, name, place in zip(points, texts, places, strict=True)
    ]


def _figure(value: float, low: float | None, high: float | None, unit: Unit | None = None) -> str:
    between = interval(low, high, unit)
    return number(value, unit) + (f" ({between})" if between else "")


def _cross(point: Point, unit: Unit, plane: _Plane) -> list[Box]:
    """A point in pixels: its dot, then the arms of its intervals."""
    x, y = plane.pixels(point.latency.value / unit.scale, point.quality.value)
    low, high = (v / unit.scale if v else None for v in (point.latency.low, point.latency.high))
    left, right = (plane.pixels(v, point.quality.value)[0] if v else x for v in (low, high))
    bottom, top = (
        plane.pixels(point.latency.value / unit.scale, v)[1] if v is not None else y
        for v in (point.quality.low, point.quality.high)
    )
    return [(x - 7, y - 7, x + 7, y + 7), (left, y - 1, right, y + 1), (x - 1, top, x + 1, bottom)]


def _places(crosses: list[list[Box]], texts: list[str], plane: _Plane) -> list[tuple[float, float] | None]:
    """Where each label starts, in data coordinates: the first of a few spots round its point that is free, or None."""
    taken = [box for cross in crosses for box in cross]
    places: list[tuple[float, float] | None] = []
    for (dot, _, arm), text in zip(crosses, texts, strict=True):
        x, y = dot[0] + 7, dot[1] + 7
        length = len(text) * CHARACTER
        right, centre, left = x + 9, x - length / 2, x - 9 - length
        spots = [(right, y - 14), (right, y + 14), (centre, min(arm[1], y) - 10), (centre, max(arm[3], y) + 10)]
        spots += [(at, y + dy) for dy in (-14, 14, -28, 28) for at in (left, right, centre)]
        inside = [s for s in spots if s[0] >= 0 and s[0] + length <= plane.width and 8 <= s[1] <= HEIGHT - 8]
        spot = next((s for s in inside if not any(_overlap(_box(s, length), t) for t in taken)), None)
        if spot:
            taken.append(_box(spot, length))
        places.append(_data(spot, plane) if spot else None)
    return places


def _box(spot: tuple[float, float], length: float) -> Box:
    return spot[0], spot[1] - 8, spot[0] + length, spot[1] + 8


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _data(spot: tuple[float, float], plane: _Plane) -> tuple[float, float]:
    share = spot[0] / plane.width
    low, high = plane.x
    x = low * (high / low) ** share if plane.log else low + share * (high - low)
    return x, plane.y[1] - spot[1] / HEIGHT * (plane.y[1] - plane.y[0])


def _description(points: list[Point]) -> str:
    front = sorted((p for p in points if p.front), key=lambda p: p.latency.value)
    listed = "; ".join(f"{p.candidate.label}, {number(p.quality.value)} at {duration(p.latency.value)}" for p in front)
    return f"Quality against E2E p50 latency of {len(points)} candidates. On the Pareto front: {listed}."
