from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.decide.bootstrap import Observations, draw, interval, means, observations, percentiles, ratios

SHARES = (0.5, 0.9, 0.95, 0.99)
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.floats(-1e6, 1e6)), min_size=1, max_size=40)
PROMPTS = [f"p{n}" for n in range(6)]


def repeated(seen: Observations, weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """A replicate written out: every observation as often as its prompt was drawn."""
    return [v for v, p in zip(seen.values, seen.prompts, strict=True) for _ in range(int(weights[p]))]


def test_each_replicate_draws_as_many_prompts_as_there_are() -> None:
    draws = draw(PROMPTS, 50, seed=1)
    assert draws.weights.shape == (51, 6)
    assert draws.replicates == 50
    assert (draws.weights.sum(axis=1) == 6).all()
    assert (draws.weights[0] == 1).all()
    assert draws.prompts == {prompt: n for n, prompt in enumerate(PROMPTS)}


def test_equal_seeds_draw_alike() -> None:
    assert (draw(PROMPTS, 50, seed=1).weights == draw(PROMPTS, 50, seed=1).weights).all()
    assert (draw(PROMPTS, 50, seed=1).weights != draw(PROMPTS, 50, seed=2).weights).any()


@pytest.mark.parametrize("prompts", [[], ["only"]])
def test_there_is_nothing_to_draw_from_fewer_than_two_prompts(prompts: list[str]) -> None:
    assert draw(prompts).replicates == 0


@given(PAIRS)
def test_percentiles_and_means_are_those_of_the_replicate_written_out(pairs: list[tuple[int, float]]) -> None:
    seen, draws = observations(pairs), draw(PROMPTS, 20, seed=3)
    found = percentiles(seen, draws, SHARES)
    averages = means(seen, draws)
    for row, weights in enumerate(draws.weights):
        values = repeated(seen, weights)
        if not values:
            assert all(np.isnan(vector[row]) for vector in (*found, averages))
            continue
        assert averages[row] == pytest.approx(np.mean(values), abs=1e-6)
        for share, vector in zip(SHARES, found, strict=True):
            assert vector[row] == pytest.approx(np.percentile(values, share * 100), abs=1e-6)


def test_many_observations_keep_their_percentiles_within_two_thousandths_of_rank() -> None:
    rng = np.random.default_rng(5)
    seen = Observations(rng.exponential(size=20_000), rng.integers(0, 6, size=20_000))
    draws = draw(PROMPTS, 10, seed=3)
    found = percentiles(seen, draws, SHARES)
    for share, vector in zip(SHARES, found, strict=True):
        assert vector[0] == np.quantile(seen.values, share)
        for row in range(1, 11):
            values = repeated(seen, draws.weights[row])
            low, high = np.quantile(values, [share - 0.0025, min(share + 0.0025, 1)])
            assert low <= vector[row] <= high


def test_a_ratio_is_of_sums() -> None:
    draws = draw(["a", "b"], 100, seed=1)
    tokens, seconds = observations([(0, 10.0), (1, 30.0)]), observations([(0, 1.0), (1, 9.0)])
    found = ratios(tokens, seconds, draws)
    assert found[0] == 4.0
    assert set(found[1:].round(6)) == {10.0, 4.0, round(60 / 18, 6)}


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    trials, held = 300, 0
    for trial in range(trials):
        centres = rng.normal(3.0, 1.0, size=40)
        pairs = [(prompt, float(rng.normal(centre, 0.2))) for prompt, centre in enumerate(centres) for _ in range(3)]
        found = interval(means(observations(pairs), draw([str(n) for n in range(40)], 400, seed=trial)), 0.95)
        assert found is not None
        held += found[0] <= 3.0 <= found[1]
    assert 0.91 <= held / trials <= 0.98


def test_no_replicates_give_no_interval() -> None:
    assert interval(np.array([1.0]), 0.95) is None
    assert interval(np.array([1.0, np.nan]), 0.95) is None
    assert interval(np.array([9.0, 1.0, 2.0, 3.0, np.nan]), 0.5) == (1.5, 2.5)
