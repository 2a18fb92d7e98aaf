from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.decide.ranking import NOBODY, Rule, rank

VALUES = st.floats(0.001, 1000)


def winner(*rules: Rule, eligible: list[bool] | None = None) -> int:
    count = len(rules[0].values)
    alive = np.array(eligible or [True] * count)[:, np.newaxis]
    return int(rank(rules, alive).winner[0])


def rule(figure: str, *values: float, tolerance: float = 0.02, error_s: float = 0.0) -> Rule:
    return Rule(figure, np.array(values)[:, np.newaxis], tolerance, error_s)


NAN = float("nan")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule("quality", 0.7, 0.9)], 1),
        ([rule("e2e_p95", 0.7, 0.9)], 0),
        ([rule("quality", 0.86, 0.84), rule("e2e_p95", 0.9, 0.7)], 1),
        ([rule("quality", 0.86, 0.8399), rule("e2e_p95", 0.9, 0.7)], 0),
        ([rule("throughput", 100, 98), rule("disk", 9, 7)], 1),
        ([rule("throughput", 100, 97.9), rule("disk", 9, 7)], 0),
        ([rule("e2e_p95", 1.0, 1.02), rule("disk", 9, 7)], 1),
        ([rule("e2e_p95", 0.005, 0.007, error_s=0.002), rule("disk", 9, 7)], 1),
        ([rule("e2e_p95", 0.005, 0.0071, error_s=0.002), rule("disk", 9, 7)], 0),
        ([rule("decode_tps", 5, 7, error_s=100.0)], 1),
        ([rule("quality", 0.8, 0.8), rule("e2e_p95", 1, 1.01), rule("disk", 100, 99)], 0),
        ([rule("quality", 0.8, 0.8), rule("disk", 100, 99)], 1),
        ([rule("quality", 0.8, 0.8)], 0),
        ([rule("quality", 0.8, 0.8), rule("peak_memory", NAN, 99)], 1),
        ([rule("quality", 0.8, 0.8), rule("peak_memory", NAN, NAN), rule("disk", 5, 3)], 1),
    ],
)
def test_rules_decide_in_turn(rules: list[Rule], expected: int) -> None:
    assert winner(*rules) == expected


def test_the_ineligible_neither_win_nor_set_the_best() -> None:
    rules = [rule("quality", 0.99, 0.81, 0.8), rule("disk", 1, 9, 7)]
    assert winner(*rules, eligible=[False, True, True]) == 2
    assert winner(*rules, eligible=[False, False, False]) == NOBODY


def test_replicates_are_ranked_each_by_itself() -> None:
    values = np.array([[0.9, 0.5, 0.9], [0.7, 0.8, 0.7]])
    eligible = np.array([[True, True, False], [True, True, False]])
    assert rank([Rule("quality", values, 0.02)], eligible).winner.tolist() == [0, 1, NOBODY]


def test_who_is_out_is_told_by_which_rule() -> None:
    rules = [rule("quality", 0.9, 0.7, 0.9, 0.9), rule("e2e_p95", 1.0, 0.1, 5.0, 1.01)]
    assert rank(rules, np.ones((4, 1), dtype=np.bool_)).dropped == (None, 0, 1, 3)


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=2, max_size=6), st.floats(0, 0.5))
def test_the_dominated_never_win(candidates: list[tuple[float, float, float]], tolerance: float) -> None:
    speed, time, size = zip(*candidates, strict=True)
    rules = [
        rule("throughput", *speed, tolerance=tolerance),
        rule("e2e_p95", *time, tolerance=tolerance, error_s=0.01),
        rule("disk", *size, tolerance=tolerance),
    ]
    best = candidates[winner(*rules)]
    # By more than the last bits, which rank lets pass on purpose.
    assert not any(
        s > best[0] * (1 + 1e-9) and t < best[1] * (1 - 1e-9) and d < best[2] * (1 - 1e-9) for s, t, d in candidates
    )


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=6, unique=True))
def test_the_order_of_candidates_means_nothing_but_between_equals(
    candidates: list[tuple[float, float]],
) -> None:
    def best(given_: list[tuple[float, float]]) -> tuple[float, float]:
        speed, size = zip(*given_, strict=True)
        return given_[winner(rule("throughput", *speed), rule("disk", *size))]

    assert best(candidates) == pytest.approx(best(candidates[::-1]), rel=1e-9)
