from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from assay.measure.schedule import CandidateKey, Plan, fits_together, plan, remaining, total_requests
from assay.types import Prompt, Workload


def workload(
    prompts: int = 4, rounds: int = 3, warmup: int = 1, concurrency: tuple[int, ...] = (1,), seed: int = 0
) -> Workload:
    names = tuple(Prompt(id=f"p{n}", prompt="x") for n in range(prompts))
    return Workload(prompts=names, rounds=rounds, warmup=warmup, concurrency=concurrency, seed=seed)


WORKLOADS = st.builds(
    workload,
    prompts=st.integers(1, 6),
    rounds=st.integers(1, 4),
    warmup=st.integers(0, 3),
    concurrency=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 99),
)
CANDIDATES: list[CandidateKey] = [("a", "x"), ("a", "y"), ("b", "x")]
COUNTS = st.integers(1, 3)


def keys(whole: Plan, phase: str) -> Counter[tuple[object, ...]]:
    return Counter(request.key for stage in whole for request in stage.requests if request.phase == phase)


@given(work=WORKLOADS, count=COUNTS, interleave=st.booleans())
def test_every_request_is_planned_exactly_once(work: Workload, count: int, interleave: bool) -> None:
    whole = plan(work, CANDIDATES[:count], interleave=interleave)
    expected = {
        (*candidate, level, "measure", round_, prompt.id)
        for candidate in CANDIDATES[:count]
        for level in work.concurrency
        for round_ in range(work.rounds)
        for prompt in work.prompts
    }
    assert keys(whole, "measure") == Counter(expected)
    assert set(keys(whole, "warmup").values()) <= {1}


@given(work=WORKLOADS, count=COUNTS, interleave=st.booleans())
def test_blocks_are_of_one_candidate_that_is_live_and_warm(work: Workload, count: int, interleave: bool) -> None:
    for stage in plan(work, CANDIDATES[:count], interleave=interleave):
        warm = Counter[object]()
        for block in stage.blocks:
            assert block.candidate in stage.candidates
            load = {(one.candidate, one.concurrency, one.phase) for one in block.requests}
            assert load == {(block.candidate, block.concurrency, block.phase)}
            if block.phase == "warmup":
                warm[block.candidate, block.concurrency] += len(block.requests)
            else:
                assert warm[block.candidate, block.concurrency] == work.warmup * block.concurrency


@given(work=WORKLOADS, count=COUNTS)
def test_serially_one_candidate_is_live_at_a_time(work: Workload, count: int) -> None:
    whole = plan(work, CANDIDATES[:count])
    assert [stage.candidates for stage in whole] == [(candidate,) for candidate in CANDIDATES[:count]]


@given(work=WORKLOADS, count=st.integers(2, 3))
def test_interleaved_each_is_alone_first_and_rounds_do_not_mix(work: Workload, count: int) -> None:
    *alone, together = plan(work, CANDIDATES[:count], interleave=True)
    assert [stage.candidates for stage in alone] == [(candidate,) for candidate in CANDIDATES[:count]]
    assert together.candidates == tuple(CANDIDATES[:count])
    for level in work.concurrency:
        measured = [one for one in together.requests if one.phase == "measure" and one.concurrency == level]
        assert [one.round for one in measured] == sorted(one.round for one in measured)


def test_candidates_alternate_within_a_round_at_concurrency_1() -> None:
    together = plan(workload(prompts=20, rounds=1), CANDIDATES[:2], interleave=True)[-1]
    order = [request.candidate for request in together.requests if request.phase == "measure"]
    assert sum(a != b for a, b in pairwise(order)) > 8


def test_each_round_has_an_order_of_its_own_that_all_candidates_share() -> None:
    first, second = plan(workload(prompts=10, rounds=2), CANDIDATES[:2])
    orders = [
        [request.prompt for request in stage.requests if request.phase == "measure" and request.round == round_]
        for stage in (first, second)
        for round_ in (0, 1)
    ]
    assert orders[0] == orders[2]
    assert orders[1] == orders[3]
    assert orders[0] != orders[1]


def test_the_seed_decides_the_order() -> None:
    one, same, other = (plan(workload(prompts=10, seed=seed), CANDIDATES, interleave=True) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_the_plan_is_the_same_in_every_process() -> None:
    program = (
        "from assay.measure.schedule import plan; from assay.types import *;"
        "w = Workload(prompts=tuple(Prompt(id=f'p{n}', prompt='x') for n in range(9)), concurrency=(1, 4));"
        "print(plan(w, [('a', 'x'), ('b', 'x')], interleave=True))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


@given(work=WORKLOADS, count=COUNTS, interleave=st.booleans(), data=st.data())
def test_resuming_measures_what_is_left_and_repeats_no_key(
    work: Workload, count: int, interleave: bool, data: st.DataObject
) -> None:
    whole = plan(work, CANDIDATES[:count], interleave=interleave)
    done: set[tuple[str, str, int, str, int, str]] = set()
    for _ in range(3):
        left = remaining(whole, done)
        order = [request for stage in left for request in stage.requests]
        assert not done & {request.key for request in order}
        assert keys(left, "measure") == keys(whole, "measure") - Counter(done)
        cut = data.draw(st.integers(0, len(order)))
        done |= {request.key for request in order[:cut]}
    left = remaining(whole, done)
    for stage in left:
        levels = {(one.candidate, one.concurrency) for one in stage.blocks if one.phase == "measure"}
        warmed = {(one.candidate, one.concurrency) for one in stage.blocks if one.phase == "warmup"}
        assert not work.warmup or levels <= warmed


def test_a_finished_plan_leaves_nothing() -> None:
    for interleave in (False, True):
        whole = plan(workload(concurrency=(1, 2)), CANDIDATES, interleave=interleave)
        assert remaining(whole, {request.key for stage in whole for request in stage.requests}) == ()


def test_a_total_counts_warmups() -> None:
    assert total_requests(plan(workload(prompts=4, rounds=3, warmup=2, concurrency=(1, 4)), CANDIDATES[:1])) == 34


@given(sizes=st.lists(st.integers(0, 1000)), budget=st.integers(0, 3000))
def test_what_fits_together(sizes: list[int], budget: int) -> None:
    assert fits_together(sizes, budget) == (sum(sizes) <= budget)
    assert not fits_together([*sizes, None], budget)
    assert not fits_together(sizes, None)
