from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from assay.decide import parse_policy, summarise
from assay.types import NS, Figure, RunData, Score, Summary

Make = Callable[..., RunData]
SECONDS = st.floats(0.01, 5.0)


def only(data: RunData, **options: Any) -> Summary:
    [summary] = summarise(data, **options)
    return summary


def figure(summary: Summary, name: str) -> Figure:
    return summary.figures[name]


def test_figures_worked_out_by_hand(make: Make) -> None:
    summary = only(
        make(
            {
                "m": {
                    "a": [{"ttft": 0.1, "e2e": 0.5, "tokens": 5}, {"ttft": 0.3, "e2e": 0.7, "tokens": 3}],
                    "b": [{"ttft": 0.2, "e2e": 1.2, "tokens": 11}],
                }
            },
            sizes={"m": 4000},
            memory={"m": 7_000_000},
        )
    )
    expected = {
        "ttft_mean": 0.2,
        "ttft_p50": 0.2,
        "ttft_p90": 0.28,
        "ttfa_mean": 0.2,
        "e2e_mean": 0.8,
        "e2e_p50": 0.7,
        "e2e_p95": 1.15,
        "tpot_mean": (0.1 + 0.2 + 0.1) / 3,
        "gap_mean": (4 * 0.1 + 2 * 0.2 + 10 * 0.1) / 16,
        "gap_p50": 0.1,
        "decode_tps": (4 + 2 + 10) / (0.4 + 0.4 + 1.0),
        "prefill_tps": 30 / 0.6,
        "request_tps": 19 / 2.4,
        "total_tps": 49 / 2.4,
        "tokens_per_chunk": 1.0,
        "throughput": 19 / 2.4,
        "load_time": 2.0,
        "peak_memory": 7_000_000,
        "disk": 4000,
        "stability": 1.0,
        "error_rate": 0.0,
    }
    assert {name: summary.value(name) for name in expected} == pytest.approx(expected)
    assert set(summary.figures) == {
        *(
            f"{time}_{s}"
            for time in ("ttft", "ttfa", "e2e", "tpot", "gap")
            for s in ("mean", "p50", "p90", "p95", "p99")
        ),
        *expected,
    }
    assert (summary.requests, summary.failures, summary.retries, summary.output_tokens) == (3, 0, 0, 19)
    assert figure(summary, "gap_p50").n == 16
    assert figure(summary, "ttft_p50").n == 3


def test_failures_and_warm_ups_are_in_no_latency(make: Make) -> None:
    summary = only(
        make(
            {
                "m": {
                    "a": [{"e2e": 9.0, "phase": "warmup"}, {"e2e": 0.5, "round": 0}],
                    "b": [{"e2e": 8.0, "error": "late", "round": 0}, {"e2e": 0.7, "attempt": 1, "round": 0}],
                    "c": [{"e2e": 7.0, "error": "late", "round": 0}, {"e2e": 6.0, "error": "late", "round": 0}],
                }
            }
        )
    )
    assert summary.value("e2e_p99") == pytest.approx(0.698)
    assert (summary.requests, summary.failures, summary.retries) == (3, 1, 2)
    assert summary.value("error_rate") == pytest.approx(1 / 3)
    assert summary.value("throughput") == pytest.approx(10 / (0.5 + 8.0 + 0.7 + 7.0 + 6.0))


def test_throughput_under_load_takes_the_wall_time_of_each_block(make: Make) -> None:
    at_once = {"concurrency": 2, "tokens": 5, "e2e": 1.0}
    summary = only(
        make(
            {
                "m": {
                    "a": [at_once | {"start": 0.0, "block": 0}, at_once | {"start": 100.0, "block": 2}],
                    "b": [at_once | {"start": 0.5, "block": 0}, at_once | {"start": 100.0, "block": 2}],
                }
            }
        )
    )
    assert summary.concurrency == 2
    assert summary.value("throughput") == pytest.approx(20 / (1.5 + 1.0))


def test_each_level_has_its_own_summary(make: Make) -> None:
    found = summarise(make({"m": {"a": [{"e2e": 1.0}, {"e2e": 3.0, "concurrency": 4}]}, "n": {"a": [{"e2e": 2.0}]}}))
    assert [(s.label, s.concurrency, s.value("e2e_mean")) for s in found] == [
        ("m @ e", 1, 1.0),
        ("m @ e", 4, 3.0),
        ("n @ e", 1, 2.0),
    ]


def test_what_is_not_known_is_not_there(make: Make) -> None:
    data = make({"m": {"a": [{"output_tokens": None}], "b": [{}]}}, stream=False, temperature=0.7, rounds=1)
    summary = only(data)
    assert set(summary.figures) == {
        *(f"e2e_{s}" for s in ("mean", "p50", "p90", "p95", "p99")),
        "request_tps",
        "total_tps",
        "load_time",
        "disk",
        "error_rate",
    }
    assert summary.output_tokens is None


def test_a_candidate_that_failed_to_start_has_its_reason_and_its_disk(make: Make) -> None:
    data = make({"m": {}, "n": {"a": [{}]}}, reasons={"m": "failed to start: exit code 1"})
    failed, _ = summarise(data)
    assert (failed.status, failed.reason) == ("failed", "failed to start: exit code 1")
    assert (failed.requests, failed.concurrency, failed.output_tokens) == (0, 1, None)
    assert set(failed.figures) == {"disk", "load_time"}


def test_percentiles_are_marked_where_they_rest_on_too_few(make: Make) -> None:
    def enough(n: int) -> set[str]:
        summary = only(make({"m": {f"p{i}": [{}] for i in range(n)}}), replicates=10)
        return {
            name.removeprefix("ttft_") for name, f in summary.figures.items() if name.startswith("ttft") and f.enough
        }

    assert enough(2) == set()
    assert enough(5) == {"mean"}
    assert enough(6) == {"mean", "p50"}
    assert enough(30) == {"mean", "p50", "p90"}
    assert enough(59) == {"mean", "p50", "p90"}
    assert enough(60) == {"mean", "p50", "p90", "p95"}
    assert enough(299) == {"mean", "p50", "p90", "p95"}
    assert enough(300) == {"mean", "p50", "p90", "p95", "p99"}


def test_stability_counts_prompts_whose_answers_repeat(make: Make) -> None:
    answers = {
        "same": [{"text": "x"}, {"text": "x"}],
        "other": [{"text": "x"}, {"text": "y"}],
        "once": [{"text": "x"}, {"error": "late"}],
    }
    assert only(make({"m": answers})).value("stability") == 0.5
    assert only(make({"m": answers})).figures["stability"].n == 2
    assert only(make({"m": answers}, temperature=0.8)).value("stability") is None
    assert only(make({"m": {"once": [{}], "too": [{}]}})).value("stability") is None


def test_every_prompt_weighs_the_same_in_quality(make: Make) -> None:
    answers = {"a": [{"quality": 1.0}, {"quality": 1.0}, {"quality": 1.0}], "b": [{"quality": 0.0}], "c": [{}]}
    summary = only(make({"m": answers}))
    assert summary.value("quality") == summary.value("quality.answer") == 0.5
    assert summary.figures["quality"].n == 4


def test_quality_is_the_mean_of_criteria_and_a_person_counts_where_there_is_no_check(make: Make) -> None:
    data = make({"m": {"a": [{}], "b": [{}]}})
    person = [
        Score(sample=0, judge="person", criterion="fluency", value=1.0, raw=5, who="ann"),
        Score(sample=0, judge="person", criterion="fluency", value=0.5, raw=3, who="bob"),
        Score(sample=0, judge="person", criterion="relevance", value=0.25, raw=2, who="ann"),
        Score(sample=1, judge="person", criterion="fluency", value=0.0, raw=1, who="ann"),
    ]
    summary = only(structs.replace(data, scores=tuple(person)))
    assert summary.value("quality.fluency") == pytest.approx((0.75 + 0.0) / 2)
    assert summary.value("quality.relevance") == 0.25
    assert summary.value("quality") == pytest.approx(((0.75 + 0.25) / 2 + 0.0) / 2)

    check = Score(sample=1, judge="check", criterion="answer", value=1.0)
    again = only(structs.replace(data, scores=(*person, check)))
    assert again.value("quality") == 1.0
    assert again.value("quality.fluency") == summary.value("quality.fluency")


def test_a_later_score_by_the_same_judge_replaces_the_earlier(make: Make) -> None:
    data = make({"m": {"a": [{"quality": 0.0}], "b": [{"quality": 0.0}]}})
    better = Score(sample=0, judge="check", criterion="answer", value=1.0)
    assert only(structs.replace(data, scores=(*data.scores, better))).value("quality") == 0.5


def test_goodput_is_the_share_of_requests_within_every_limit(make: Make) -> None:
    data = make(
        {
            "m": {
                "a": [{"ttft": 0.1, "e2e": 0.5}, {"ttft": 0.3, "e2e": 0.5}],
                "b": [{"ttft": 0.1, "e2e": 2.0, "tokens": 50}, {"error": "late"}],
                "c": [{"ttft": 0.2, "e2e": 0.2, "tokens": 1}],
            }
        }
    )
    policy = parse_policy('[require]\nttft_p95 = "200ms"\ne2e_mean = "1s"\ndecode_tps = 5\nquality = 0.9\ndisk = "1B"')
    assert only(data, policy=policy).value("goodput") == pytest.approx(2 / 5)
    assert only(data).value("goodput") is None
    assert only(data, policy=parse_policy('[require]\ndisk = "1B"')).value("goodput") is None
    gaps = parse_policy('[require]\ngap_p95 = "90ms"')
    assert only(data, policy=gaps).value("goodput") == pytest.approx(3 / 5)
    one_shot = structs.replace(data, samples=tuple(structs.replace(s, first_text_ns=None) for s in data.samples))
    assert only(one_shot, policy=policy).value("goodput") is None


def test_one_prompt_gives_no_interval(make: Make) -> None:
    summary = only(make({"m": {"a": [{"e2e": 0.5}, {"e2e": 0.6}]}}))
    assert (figure(summary, "e2e_mean").low, figure(summary, "e2e_mean").high) == (None, None)
    part = only(make({"m": {"a": [{"e2e": 0.5}], "b": [{"error": "late"}]}}))
    assert figure(part, "e2e_mean").low is None
    assert figure(part, "error_rate").low == 0.0


def test_tokens_that_one_read_brings_together_do_not_rule_the_decode_rate(make: Make) -> None:
    usual = {"ttft": 0.1, "e2e": 1.1, "tokens": 11}
    burst = {"ttft": 0.1, "e2e": 0.1 + 1e-7, "tokens": 3}
    summary = only(make({"m": {"a": [usual], "b": [burst]}}))
    assert summary.value("decode_tps") == pytest.approx(12, rel=1e-3)


@settings(max_examples=25)
@given(times=st.lists(SECONDS, min_size=4, max_size=10), copies=st.integers(2, 5))
def test_asking_the_same_prompts_again_does_not_narrow_an_interval(make: Make, times: list[float], copies: int) -> None:
    once = only(make({"m": {f"p{i}": [{"e2e": t, "ttft": 0.005}] for i, t in enumerate(times)}}))
    often = only(make({"m": {f"p{i}": [{"e2e": t, "ttft": 0.005}] * copies for i, t in enumerate(times)}}))
    for name in ("e2e_mean", "request_tps", "throughput"):
        few, many = figure(once, name), figure(often, name)
        assert (many.low, many.high) == pytest.approx((few.low, few.high))
        assert many.n == copies * few.n


@settings(max_examples=25)
@given(times=st.lists(SECONDS, min_size=3, max_size=10), more=st.floats(0.01, 3.0))
def test_a_constant_delay_moves_latencies_and_their_intervals_by_itself(
    make: Make, times: list[float], more: float
) -> None:
    before = only(make({"m": {f"p{i}": [{"e2e": t, "ttft": t / 2}] for i, t in enumerate(times)}}))
    after = only(make({"m": {f"p{i}": [{"e2e": t + more, "ttft": t / 2 + more}] for i, t in enumerate(times)}}))
    for name in before.figures:
        if name.startswith(("ttft", "e2e")):
            for end in ("value", "low", "high"):
                moved = getattr(figure(after, name), end) - getattr(figure(before, name), end)
                assert moved == pytest.approx(more, abs=1e-7)
        if name.startswith(("tpot", "gap")):
            assert figure(after, name).value == pytest.approx(figure(before, name).value, abs=1e-7)


@settings(max_examples=15)
@given(times=st.lists(st.lists(SECONDS, min_size=1, max_size=3), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_the_order_of_lines_means_nothing(make: Make, times: list[list[float]], seed: int) -> None:
    data = make(
        {v: {f"p{i}": [{"e2e": t, "quality": t / 5} for t in each] for i, each in enumerate(times)} for v in ("m", "n")}
    )
    rng = random.Random(seed)
    mixed = structs.replace(
        data,
        samples=tuple(rng.sample(data.samples, len(data.samples))),
        scores=tuple(rng.sample(data.scores, len(data.scores))),
    )
    for one, other in zip(summarise(data), summarise(mixed), strict=True):
        assert one.figures.keys() == other.figures.keys()
        for name, known in one.figures.items():
            again = other.figures[name]
            assert (again.value, again.low, again.high) == pytest.approx((known.value, known.low, known.high))


@settings(max_examples=25)
@given(times=st.lists(SECONDS, min_size=2, max_size=8))
def test_figures_keep_their_order(make: Make, times: list[float]) -> None:
    summary = only(make({"m": {f"p{i}": [{"e2e": t, "ttft": t / 3}] for i, t in enumerate(times)}}))
    for time in ("ttft", "ttfa", "e2e", "tpot", "gap"):
        values = [figure(summary, f"{time}_{s}").value for s in ("p50", "p90", "p95", "p99")]
        assert values == sorted(values)
    for known in summary.figures.values():
        if known.low is not None and known.high is not None:
            assert known.low <= known.high


def test_confidence_widens_and_seed_repeats(make: Make) -> None:
    data = make({"m": {f"p{i}": [{"e2e": 1 + i / 10}] for i in range(10)}})
    narrow, wide = (figure(only(data, confidence=c), "e2e_mean") for c in (0.5, 0.99))
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low < narrow.value
    assert only(data) == only(data)
    assert only(data, seed=1) != only(data)


def test_peak_memory_is_the_highest_reading(make: Make) -> None:
    data = make({"m": {"a": [{}]}}, memory={"m": 5})
    higher = structs.replace(data.readings[0], memory=9, t_ns=3 * NS)
    unknown = structs.replace(data.readings[0], memory=None)
    summary = only(structs.replace(data, readings=(*data.readings, higher, unknown)))
    assert summary.figures["peak_memory"] == Figure(value=9, n=2)
