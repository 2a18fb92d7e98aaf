"""Prompts that stand out."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report import Report
from assay.report.outliers import THRESHOLD, measured, modified_z_scores, prompt_latencies

FLOATS = st.floats(min_value=0.001, max_value=1000)


def test_scores_are_those_of_the_published_rule() -> None:
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2]
    scores = modified_z_scores(values)
    assert scores[-1] == pytest.approx(0.6745 * (8.2 - 2.4) / 0.2)
    assert [s for s in scores[:-1] if abs(s) > THRESHOLD] == []


def test_when_most_values_are_equal_the_mean_deviation_stands_in() -> None:
    assert modified_z_scores([1.0] * 9 + [5.0])[-1] == pytest.approx(4 / (1.253314 * 0.4))
    assert modified_z_scores([3.0] * 4) == [0.0] * 4
    assert modified_z_scores([]) == []


@given(st.lists(FLOATS, min_size=1, max_size=30), st.floats(0.5, 10))
def test_scores_keep_their_order_and_do_not_know_units(values: list[float], unit: float) -> None:
    scores = modified_z_scores(values)
    assert [s for _, s in sorted(zip(values, scores, strict=True))] == sorted(scores)
    assert modified_z_scores([v * unit for v in values]) == pytest.approx(scores, rel=1e-3, abs=1e-6)


def test_the_long_answer_is_named_for_those_that_wrote_it(report: Report) -> None:
    named = {
        c.variant.id: [p.prompt for p in prompt_latencies(report, c.key, 1) if p.outlier] for c in report.candidates
    }
    assert named["notes-4m:q8_0"] == ["note-17"]
    assert named["notes-4m:int4"] == []
    assert named["meadow-7b:f16"] == []


def test_a_prompts_latency_is_the_median_of_its_rounds(report: Report) -> None:
    key = ("notes-4m:q8_0", "llama.cpp")
    first = prompt_latencies(report, key, 1)[0]
    rounds = [s.e2e for s in measured(report, key, 1) if s.prompt == first.prompt and s.e2e is not None]
    assert len(rounds) == 3
    assert first.latency == pytest.approx(median(rounds))


def test_failed_requests_count_in_no_latency(report: Report) -> None:
    samples = measured(report, ("notes-4m:int4", "onnxruntime-genai"), 1)
    assert len(samples) == 24 * 3 - 2
    assert all(s.ok for s in samples)
