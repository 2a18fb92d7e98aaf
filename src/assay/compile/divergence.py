"""How far a product's next-token distributions are from its original's: pure functions over arrays.

Every figure is a mean over positions, with a 95 % percentile interval of a bootstrap that draws whole passages and
prompts, not tokens: tokens of one text are alike (Davison and Hinkley, *Bootstrap Methods and their Application*,
1997, section 3.8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay.types import Interval

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
"""Natural log-probabilities, (positions, vocabulary)."""
REPLICATES = 2000
CONFIDENCE = 0.95
AT_ONCE = 64
"""Rows in double precision at a time: 64 of 150,000 tokens take 80 MB."""


class Compared(NamedTuple):
    """Of each position: the divergence in nats, and the surprise of the token that follows in the text.

    ``kl`` is NaN where the product gave no finite distribution. ``surprise`` is the negative log-probability of the
    following token, (positions, 2): original, product; NaN where there is no such token, or the product gave none.
    """

    kl: Floats
    surprise: Floats


def compare(original: Rows, product: Rows, following: Sequence[int | None]) -> Compared:
    """Hold two sets of distributions at the same positions against each other.

    KL(original || product) = sum over the vocabulary of p (ln p - ln q). Where the vocabularies' widths differ (some
    formats pad them), the tokens that both have count, with their probabilities made to sum to 1 again.
    """
    width = min(original.shape[1], product.shape[1])
    kl = np.empty(len(original))
    surprise = np.full((len(original), 2), np.nan)
    for start in range(0, len(original), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        left, right = _normalised(original[rows, :width]), _normalised(product[rows, :width])
        kl[rows] = divergence(left, right)
        for i, token in enumerate(following[rows]):
            if token is not None and token < width:
                surprise[start + i] = -left[i, token], -right[i, token]
    surprise[~np.isfinite(surprise)] = np.nan
    return Compared(kl, surprise)


def divergence(left: Floats, right: Floats) -> Floats:
    """KL(left || right) of each row, in nats, at least 0; NaN where ``right`` holds no probability for what is needed.

    A token without probability in ``left`` adds nothing.
    """
    likely = left > -np.inf
    with np.errstate(invalid="ignore"):
        terms = np.where(likely, np.exp(left) * (left - np.where(likely, right, 0.0)), 0.0)
    found = terms.sum(axis=1)
    found[~np.isfinite(found)] = np.nan
    return np.asarray(np.maximum(found, 0.0))  # rounding may give a hair less than nothing; NaN stays


def _normalised(rows: Rows) -> Floats:
    wide = rows.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        top = wide.max(axis=1, keepdims=True)
        return np.asarray(wide - top - np.log(np.exp(wide - top).sum(axis=1, keepdims=True)))


def shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens are equal before the first other one."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def mean_interval(values: npt.ArrayLike, clusters: npt.ArrayLike) -> Interval | None:
    """The mean of all values that are no NaN, its interval over clusters; None where there is no value."""
    return ratio_interval(values, np.ones(np.shape(values)), clusters)


def exp_mean_interval(values: npt.ArrayLike, clusters: npt.ArrayLike) -> Interval | None:
    """e to the mean of all values that are no NaN: a perplexity, or a ratio of two, from surprises in nats."""
    found = mean_interval(values, clusters)
    if found is None:
        return None
    low, high = (None if bound is None else _exp(bound) for bound in (found.low, found.high))
    return Interval(value=_exp(found.value), low=low, high=high)


def ratio_interval(above: npt.ArrayLike, below: npt.ArrayLike, clusters: npt.ArrayLike) -> Interval | None:
    """The sum of ``above`` over the sum of ``below``; bounds are None where there are fewer than two clusters."""
    upper, lower, groups = np.asarray(above, float), np.asarray(below, float), np.asarray(clusters, int)
    known = ~np.isnan(upper)
    if not known.any():
        return None
    _, index = np.unique(groups[known], return_inverse=True)
    tops, bottoms = np.bincount(index, upper[known]), np.bincount(index, lower[known])
    value = float(tops.sum() / bottoms.sum())
    if len(tops) < 2:
        return Interval(value=value)
    weights = np.random.default_rng(0).multinomial(len(tops), np.full(len(tops), 1 / len(tops)), size=REPLICATES)
    drawn = (weights @ tops) / np.maximum(weights @ bottoms, np.finfo(float).tiny)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value=value, low=float(low), high=float(high))


def _exp(value: float) -> float:
    """Bounded, so that it can be written down as JSON."""
    return math.exp(min(value, 700.0))
