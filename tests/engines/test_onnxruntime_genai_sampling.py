from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.onnxruntime_genai_logprobs import chance
from assay.engines.onnxruntime_genai_sampling import Chooser, distribution, needs_scores
from assay.engines.worker.model import Sampling

SCORES = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=60).map(lambda v: np.array(v, dtype=np.float32))


def softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    weights = np.exp((scores.astype(np.float64) - scores.max()) / temperature)
    return np.asarray(weights / weights.sum())


@given(SCORES, st.floats(0.01, 1.0), st.floats(0.2, 3.0))
def test_top_p_keeps_the_smallest_set_that_reaches_it(scores: np.ndarray, top_p: float, temperature: float) -> None:
    ids, weights = distribution(scores, Sampling(top_p=top_p, temperature=temperature))
    every = softmax(scores, temperature)
    assert every[ids].sum() >= top_p - 1e-9
    assert every[ids].sum() - every[ids].min() < top_p + 1e-9
    assert np.allclose(weights / weights.sum(), every[ids] / every[ids].sum())


@given(SCORES, st.integers(1, 80), st.floats(0.0, 1.0))
def test_top_k_and_min_p_keep_the_best(scores: np.ndarray, top_k: int, min_p: float) -> None:
    ids, weights = distribution(scores, Sampling(top_k=top_k, min_p=min_p))
    assert len(ids) <= top_k
    assert scores.max() in scores[ids]
    assert weights.min() >= min_p * weights.max()
    dropped = np.setdiff1d(np.arange(len(scores)), ids)
    if len(dropped):
        assert scores[dropped].max() <= scores[ids].min() + 1e-6


def test_neutral_sampling_draws_from_the_whole_softmax() -> None:
    scores = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    chooser = Chooser(Sampling(seed=3), [])
    drawn = Counter(chooser.choose(scores) for _ in range(20_000))
    for token, share in enumerate((0.5, 0.3, 0.15, 0.05)):
        assert drawn[token] / 20_000 == pytest.approx(share, abs=0.015)


@given(st.integers(-(2**63), 2**63))
def test_a_seed_fixes_the_choices(seed: int) -> None:
    scores = np.zeros(1000, dtype=np.float32)
    one, two = (Chooser(Sampling(seed=seed), [1]) for _ in range(2))
    assert [one.choose(scores) for _ in range(5)] == [two.choose(scores) for _ in range(5)]


def test_penalties_follow_their_formulas_and_leave_the_scores_alone() -> None:
    scores = np.array([2.0, -2.0, 1.9, -1.0, 0.0], dtype=np.float32)
    repetition = Chooser(Sampling(temperature=0, repetition_penalty=2.0), [0, 1])
    assert repetition.choose(scores) == 2  # 2.0 / 2 and -2.0 * 2 are below 1.9
    both = Chooser(Sampling(temperature=0, frequency_penalty=0.5, presence_penalty=0.3), [0])
    assert both.choose(scores) == 0  # the prompt does not count
    both.remember(0)
    assert both.choose(scores) == 2  # 2.0 - 0.5 - 0.3
    for _ in range(4):
        both.remember(2)
    assert both.choose(scores) == 0  # 1.9 - 4 * 0.5 - 0.3
    assert scores.tolist() == pytest.approx([2.0, -2.0, 1.9, -1.0, 0.0])


def test_greedy_without_penalties_needs_no_scores() -> None:
    assert not needs_scores(Sampling(temperature=0, seed=1, top_p=0.5))
    assert needs_scores(Sampling(temperature=0, presence_penalty=0.1))
    assert needs_scores(Sampling(temperature=0.1))
    assert needs_scores(Sampling(temperature=0, logit_bias={1: 0.5}))


def test_a_bias_comes_before_penalties_and_leaves_the_scores_alone() -> None:
    scores = np.array([2.0, 1.0, 0.0], dtype=np.float32)
    assert Chooser(Sampling(temperature=0, logit_bias={2: 2.5}), []).choose(scores) == 2
    assert Chooser(Sampling(temperature=0, logit_bias={0: -100, 1: -1.5}), []).choose(scores) == 2
    leant = Chooser(Sampling(temperature=0, logit_bias={2: 3.0}, repetition_penalty=2.0), [2])
    assert leant.choose(scores) == 0  # (0 + 3) / 2 is below 2; a penalty before the bias would change nothing
    drawn = Chooser(Sampling(seed=1, logit_bias={1: 100.0}), [])
    assert {drawn.choose(scores) for _ in range(50)} == {1}
    assert scores.tolist() == [2.0, 1.0, 0.0]


@given(SCORES, st.data())
def test_chances_are_the_logarithm_of_the_softmax(scores: np.ndarray, data: st.DataObject) -> None:
    token, count = data.draw(st.integers(0, len(scores) - 1)), data.draw(st.integers(0, min(20, len(scores))))
    found = chance(scores, token, count, lambda i: b"%d" % i)
    every = np.log(softmax(scores, 1.0))
    assert found.logprob == pytest.approx(every[token], abs=1e-4)
    assert [logprob for _, logprob in found.top] == pytest.approx(sorted(every, reverse=True)[:count], abs=1e-4)
    assert [every[int(name)] for name, _ in found.top] == pytest.approx([logprob for _, logprob in found.top], abs=1e-4)
