"""The figures of a divergence, held against sums done by hand and against what must hold for every distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assay.compile.divergence import Rows, compare, divergence, exp_mean_interval, mean_interval, shared

SCORES = arrays.arrays(np.float32, (3, 7), elements=st.floats(-30, 30, width=32))


def logs(*rows: list[float]) -> Rows:
    """Natural logarithms of probabilities."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows, np.float64)).astype(np.float32)


def test_the_divergence_is_the_sum_of_its_definition() -> None:
    found = compare(logs([0.5, 0.5]), logs([0.25, 0.75]), [None])
    assert found.kl[0] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-6)
    assert np.isnan(found.surprise).all()


def test_surprise_is_that_of_the_following_token() -> None:
    found = compare(logs([0.5, 0.5], [0.9, 0.1]), logs([0.25, 0.75], [0.9, 0.1]), [1, None])
    assert found.surprise[0] == pytest.approx([math.log(2), -math.log(0.75)], rel=1e-6)
    assert np.isnan(found.surprise[1]).all()


@given(SCORES, SCORES)
def test_no_divergence_is_negative_and_none_from_itself(left: Rows, right: Rows) -> None:
    assert (compare(left, right, [None] * 3).kl >= 0).all()
    assert compare(left, left, [None] * 3).kl == pytest.approx([0, 0, 0], abs=1e-9)


@given(SCORES, st.integers(1, 5))
def test_padding_of_one_vocabulary_changes_nothing(scores: Rows, padding: int) -> None:
    padded = np.pad(scores, ((0, 0), (0, padding)), constant_values=-np.inf)
    assert compare(scores, padded, [0, 1, 2]).kl == pytest.approx([0, 0, 0], abs=1e-9)
    assert compare(padded, scores, [0, 1, 2]).kl == pytest.approx([0, 0, 0], abs=1e-9)


def test_a_token_that_the_original_rules_out_counts_nothing() -> None:
    assert compare(logs([1.0, 0.0]), logs([0.5, 0.5]), [None]).kl[0] == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.parametrize("bad", [[math.nan, 0.5], [0.0, 1.0], [math.nan, math.nan]])
def test_what_is_not_finite_is_marked_and_nothing_else(bad: list[float]) -> None:
    left = logs([0.5, 0.5], [0.5, 0.5])
    found = compare(left, logs(bad, [0.5, 0.5]), [0, 0])
    assert np.isnan(found.kl).tolist() == [True, False]
    assert np.isfinite(found.surprise).tolist() == [[True, False], [True, True]]


def test_divergence_survives_more_rows_than_are_taken_at_once() -> None:
    rows = np.zeros((200, 4), np.float32)
    assert compare(rows, rows, [0] * 200).surprise == pytest.approx(np.full((200, 2), math.log(4)))


def test_intervals_draw_clusters_not_values() -> None:
    values = np.repeat([0.0, 1.0] * 5, 100)
    within = mean_interval(values, np.repeat(range(10), 100))
    apart = mean_interval(values, range(1000))
    assert within is not None
    assert apart is not None
    assert within.value == apart.value == 0.5
    assert within.low is not None
    assert apart.low is not None
    assert within.low < 0.3
    assert apart.low > 0.45


def test_an_interval_needs_two_clusters_and_a_mean_one_value() -> None:
    assert mean_interval([], []) is None
    assert mean_interval([math.nan], [0]) is None
    alone = mean_interval([1.0, 3.0, math.nan], [4, 4, 4])
    assert alone is not None
    assert (alone.value, alone.low, alone.high) == (2.0, None, None)


def test_a_perplexity_is_e_to_the_mean_surprise_and_always_a_number() -> None:
    found = exp_mean_interval([math.log(2), math.log(8)], [0, 1])
    assert found is not None
    assert found.value == pytest.approx(4)
    assert found.low == pytest.approx(2)
    assert found.high == pytest.approx(8)
    endless = exp_mean_interval([1e6], [0])
    assert endless is not None
    assert math.isfinite(endless.value)


def test_rows_that_are_given_normalised_need_no_copy() -> None:
    left = np.log(np.array([[0.25, 0.75]]))
    assert divergence(left, left)[0] == 0


@pytest.mark.parametrize(
    ("first", "second", "count"), [((1, 2, 3), (1, 2, 4), 2), ((), (1,), 0), ((1, 2), (1, 2, 3), 2), ((5,), (6,), 0)]
)
def test_shared_counts_to_the_first_other_token(first: tuple[int, ...], second: tuple[int, ...], count: int) -> None:
    assert shared(first, second) == shared(second, first) == count
