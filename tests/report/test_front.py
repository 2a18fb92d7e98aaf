"""The Pareto front."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.report import Report
from assay.report.front import pareto_front, quality_against_latency

POINTS = st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), min_size=1, max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[tuple[float, float]]) -> None:
    front = pareto_front(points)
    assert any(front)
    for (cost, gain), on_front in zip(points, front, strict=True):
        better = [p for p in points if p[0] <= cost and p[1] >= gain and p != (cost, gain)]
        assert on_front == (not better)


def test_the_slower_and_worse_one_is_off_the_front(report: Report) -> None:
    front = {p.candidate.variant.id: p.front for p in quality_against_latency(report, 1)}
    assert front == {
        "notes-0.5m:q8_0": True,
        "notes-1.5m:q8_0": True,
        "notes-4m:q8_0": True,
        "notes-4m:int4": False,
    }


def test_without_figures_there_are_no_points(bare: Report) -> None:
    assert quality_against_latency(bare, 1) == []
