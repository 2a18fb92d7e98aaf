"""The Pareto front of quality against latency."""

from __future__ import annotations

from msgspec import Struct

from assay.report.subject import Report
from assay.types import Candidate, Figure


class Point(Struct, frozen=True, kw_only=True):
    """A candidate that has both figures; ``front`` when no other is at least as good in both and better in one."""

    index: int
    candidate: Candidate
    latency: Figure
    quality: Figure
    front: bool


def pareto_front(points: list[tuple[float, float]]) -> list[bool]:
    """Whether each ``(cost, gain)`` is on the front: no other costs no more and gains no less, one of them strictly."""
    return [
        not any(cost <= own_cost and gain >= own_gain and (cost, gain) != (own_cost, own_gain) for cost, gain in points)
        for own_cost, own_gain in points
    ]


def quality_against_latency(report: Report, level: int) -> list[Point]:
    """Every candidate with a known quality and a known E2E p50 at ``level``, in the order of the run."""
    known: list[tuple[int, Candidate, Figure, Figure]] = []
    for index, candidate in enumerate(report.candidates):
        summary = report.summary(candidate.key, level)
        latency = summary.figures.get("e2e_p50") if summary else None
        quality = summary.figures.get("quality") if summary else None
        if latency and quality:
            known.append((index, candidate, latency, quality))
    front = pareto_front([(latency.value, quality.value) for _, _, latency, quality in known])
    return [
        Point(index=index, candidate=candidate, latency=latency, quality=quality, front=on_front)
        for (index, candidate, latency, quality), on_front in zip(known, front, strict=True)
    ]
