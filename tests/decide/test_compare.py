from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from assay.decide import Comparison, Difference, compare
from assay.decide.alike import workload_differences
from assay.errors import RunsUnlike
from assay.types import Decoding, Prompt, RunData, Workload

Make = Callable[..., RunData]
PROMPTS = [f"p{n:02}" for n in range(20)]


def answers(**given: Any) -> dict[str, list[dict[str, Any]]]:
    """An answer to every prompt, slower from prompt to prompt by as much as differences between runs are small."""
    e2e = given.pop("e2e", 1.0)
    return {prompt: [given | {"e2e": e2e + n}] for n, prompt in enumerate(PROMPTS)}


def difference(found: Comparison, name: str) -> Difference:
    [pair] = found.pairs
    return pair.differences[name]


def test_differences_are_paired_by_prompt(make: Make) -> None:
    found = compare(make({"m": answers()}, run_id="a"), make({"m": answers(e2e=1.1)}, run_id="b"))
    assert (found.a, found.b, found.error_s, found.warnings) == ("a", "b", 0.001, ())
    mean = difference(found, "e2e_mean")
    assert (mean.a, mean.b, mean.difference) == pytest.approx((10.5, 10.6, 0.1))
    assert (mean.low, mean.high) == pytest.approx((0.1, 0.1))
    assert mean.relative == pytest.approx(0.1 / 10.5)
    assert (mean.real, mean.improved) == (True, False)
    throughput = difference(found, "throughput")
    assert (throughput.real, throughput.improved) == (True, False)
    assert found.pairs[0].prompts == 20


def test_less_is_better_where_it_is(make: Make) -> None:
    found = compare(make({"m": answers(e2e=1.1, quality=0.5)}), make({"m": answers(quality=0.8)}))
    assert difference(found, "e2e_p50").improved is True
    assert difference(found, "quality").improved is True
    assert difference(found, "quality.answer").improved is True


def test_what_is_smaller_than_the_instruments_error_is_not_real(make: Make) -> None:
    before, after = {"m": answers()}, {"m": answers(e2e=1.004)}
    assert difference(compare(make(before), make(after)), "e2e_mean").real
    coarse = compare(make(before), make(after, error_s=0.005))
    assert coarse.error_s == 0.005
    assert not difference(coarse, "e2e_mean").real
    unknown = compare(make(before), make(after, error_s=None))
    assert not difference(unknown, "e2e_mean").real
    assert "no latency difference is called real" in unknown.warnings[0]


def test_noise_is_not_real(make: Make) -> None:
    noisy = {prompt: [{"e2e": 1.0 + n + (0.3 if n % 2 else -0.3)}] for n, prompt in enumerate(PROMPTS)}
    found = compare(make({"m": answers()}), make({"m": noisy}))
    mean = difference(found, "e2e_mean")
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low < 0 < mean.high
    assert (mean.real, mean.improved) == (False, None)


def test_single_readings_are_never_real_and_disk_is_exact(make: Make) -> None:
    a = make({"m": answers()}, memory={"m": 100}, sizes={"m": 5})
    b = make({"m": answers()}, memory={"m": 900}, sizes={"m": 4})
    found = compare(a, b)
    memory, disk = difference(found, "peak_memory"), difference(found, "disk")
    assert (memory.difference, memory.low, memory.real) == (800, None, False)
    assert (disk.difference, disk.real, disk.improved) == (-1, True, True)


def test_candidates_without_a_counterpart_are_listed(make: Make) -> None:
    found = compare(make({"m": answers(), "n": answers()}), make({"m": answers(), "o": answers()}))
    assert [(pair.a, pair.b) for pair in found.pairs] == [("m @ e", "m @ e")]
    assert (found.only_a, found.only_b) == (("n @ e",), ("o @ e",))


def test_the_only_candidates_of_two_runs_are_a_pair(make: Make) -> None:
    found = compare(make({"m": answers()}), make({"n": answers(e2e=2.0)}))
    assert [(pair.a, pair.b, pair.concurrency) for pair in found.pairs] == [("m @ e", "n @ e", 1)]
    assert (found.only_a, found.only_b) == ((), ())


def test_each_level_is_compared_with_its_own(make: Make) -> None:
    data = make({"m": {p: [{}, {"concurrency": 4}] for p in PROMPTS}})
    assert [pair.concurrency for pair in compare(data, data).pairs] == [1, 4]


def test_only_prompts_that_both_answered_count(make: Make) -> None:
    part = answers(e2e=1.1) | {prompt: [{"error": "late", "e2e": 99.0}] for prompt in PROMPTS[:5]}
    found = compare(make({"m": answers()}), make({"m": part}))
    assert found.pairs[0].prompts == 15
    assert difference(found, "e2e_mean").difference == pytest.approx(0.1)


def test_a_pair_that_answered_nothing_in_common_has_no_latency(make: Make) -> None:
    silent = {prompt: [{"error": "late"}] for prompt in PROMPTS}
    [pair] = compare(make({"m": answers()}), make({"m": silent})).pairs
    assert pair.prompts == 0
    assert set(pair.differences) == {"disk", "load_time"}


def test_unlike_machines_are_refused_with_what_differs(make: Make) -> None:
    a, b = make({"m": answers()}, run_id="a"), make({"m": answers()}, run_id="b", cpu="another")
    with pytest.raises(RunsUnlike) as caught:
        compare(a, b)
    assert str(caught.value) == (
        "runs a and b were made on unlike machines\n"
        "  why: cpu cpu and another\n"
        "  try: measure both alike, or allow it by name: machine"
    )
    assert compare(a, b, allow=("machine",)).warnings == ("machine differs between a and b: cpu cpu and another",)


def test_unlike_workloads_are_refused_and_where_allowed_common_prompts_count(make: Make) -> None:
    more = answers(e2e=1.1) | {"extra": [{"e2e": 50.0}]}
    a, b = make({"m": answers()}), make({"m": more}, rounds=5)
    with pytest.raises(RunsUnlike, match="unlike workloads") as caught:
        compare(a, b)
    assert caught.value.why == "prompts only in the second: extra; rounds 3 and 5"
    found = compare(a, b, allow=("workload",))
    assert found.pairs[0].prompts == 20
    assert difference(found, "e2e_mean").difference == pytest.approx(0.1)


def test_equal_ids_with_other_words_are_other_prompts(make: Make) -> None:
    with pytest.raises(RunsUnlike, match="no prompt in common"):
        compare(make({"m": answers()}), make({"m": answers()}, words="!"), allow=("workload",))


def test_differences_of_workloads_in_words() -> None:
    one = Workload(prompts=tuple(Prompt(id=f"p{n}", prompt="?") for n in range(9)), concurrency=(1,))
    other = structs.replace(
        one,
        prompts=(Prompt(id="p0", prompt="!"),),
        concurrency=(1, 4),
        stream=False,
        decoding=Decoding(max_tokens=8, seed=3),
    )
    assert workload_differences(one, one) == []
    assert workload_differences(one, other) == [
        "prompts only in the first: p1, p2, p3, p4, p5 and 3 more",
        "prompts that changed: p0",
        "concurrency 1 and 1, 4",
        "stream True and False",
        "decoding max_tokens 256 and 8",
        "decoding seed unknown and 3",
    ]
    backwards = structs.replace(one, prompts=one.prompts[::-1])
    assert workload_differences(one, backwards) == ["prompts come in another order"]


@settings(max_examples=25)
@given(st.lists(st.floats(0.1, 5), min_size=2, max_size=8), st.floats(-0.05, 0.05))
def test_a_run_does_not_differ_from_itself_and_signs_turn_with_the_order(
    make: Make, times: list[float], more: float
) -> None:
    a = make({"m": {f"p{n}": [{"e2e": t, "ttft": 0.01}] for n, t in enumerate(times)}})
    b = make({"m": {f"p{n}": [{"e2e": t + more, "ttft": 0.01}] for n, t in enumerate(times)}})
    assert not any(found.real for found in compare(a, a).pairs[0].differences.values())
    there, back = (difference(compare(x, y), "e2e_mean") for x, y in ((a, b), (b, a)))
    assert there.difference == pytest.approx(-back.difference)
    assert there.difference == pytest.approx(more, abs=1e-7)
    assert there.real == back.real
