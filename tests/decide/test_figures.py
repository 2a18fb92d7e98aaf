from __future__ import annotations

import pytest

from assay.decide import FIGURES, meaning
from assay.decide.figures import is_latency, is_quality, percent, written


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.612, "ttft_p95", "612 ms"),
        (0.00042, "gap_p50", "420 \u00b5s"),
        (1.2, "e2e_mean", "1.2 s"),
        (0.9999, "e2e_mean", "1 s"),
        (754.0, "load_time", "12.6 min"),
        (4_100_000_000, "peak_memory", "4.1 GB"),
        (999_999_999, "disk", "1 GB"),
        (512, "disk", "512 B"),
        (37.52, "decode_tps", "37.5 tok/s"),
        (12_345.0, "prefill_tps", "12,300 tok/s"),
        (0.8623, "quality", "0.862"),
        (1.0, "quality.answer", "1"),
        (0.0, "error_rate", "0"),
        (0.0, "ttft_p50", "0 \u00b5s"),
        (1e-9, "ttft_p50", "0.001 \u00b5s"),
    ],
)
def test_figures_are_written_for_people(value: float, name: str, text: str) -> None:
    assert written(value, name) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, ">99.9%"), (0.9991, ">99.9%"), (0.974, "97.4%"), (0.5, "50%"), (0.0004, "<0.1%")]
)
def test_a_chance_is_never_shown_as_certain(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_table_knows_units_and_directions() -> None:
    low = {name for name, what in FIGURES.items() if what.better == "low"}
    assert {"ttft_p95", "e2e_mean", "peak_memory", "disk", "load_time", "error_rate", "gap_p99"} <= low
    assert not low & {"decode_tps", "throughput", "quality", "stability", "goodput"}
    assert meaning("quality.answer") == meaning("quality")
    assert meaning("quality.") is None
    assert meaning("speed") is None
    assert [name for name, what in FIGURES.items() if not what.ranked] == ["total_tps"]


def test_what_rests_on_the_clock_and_what_on_scores() -> None:
    assert all(is_latency(name) for name in ("ttft_p95", "gap_mean", "tpot_p50", "e2e_p99"))
    assert not any(is_latency(name) for name in ("load_time", "decode_tps", "quality", "disk"))
    assert is_quality("quality")
    assert is_quality("quality.answer")
    assert not is_quality("stability")
