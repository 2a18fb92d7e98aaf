"""The bootstrap over prompts: which prompts each replicate drew, and statistics of all replicates at once.

Requests to one prompt are alike, so the prompt, not the request, is what is drawn anew (the cluster bootstrap of
Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 3.8). The draws of one `Draws` are shared
by all candidates, which pairs them: a replicate asks all of them the same prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
REPLICATES: Final = 2000
_GRID: Final = 512
"""Percentiles of more observations than this are found in replicates among so many of them, evenly spaced in rank."""
_SINGLE_THREADED: Final = 200_000
"""Multiplications in a matrix product below which OpenBLAS stays in one thread (it begins more at 262,144)."""


class Draws(NamedTuple):
    """``weights[r, p]``: how often replicate ``r`` drew prompt ``p``; row 0 has each once: the estimate itself."""

    prompts: dict[str, int]
    weights: Floats

    @property
    def replicates(self) -> int:
        return len(self.weights) - 1


def draw(prompts: Sequence[str], replicates: int = REPLICATES, seed: int = 0) -> Draws:
    """Draw as many prompts as there are, with replacement, ``replicates`` times.

    With fewer than two prompts there is nothing to draw from, and no replicate.
    """
    count = len(prompts)
    weights = np.ones((1 + (replicates if count > 1 else 0), count))
    if count > 1:
        weights[1:] = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    return Draws({prompt: index for index, prompt in enumerate(prompts)}, weights)


class Observations(NamedTuple):
    """Values, and for each the index of its prompt."""

    values: Floats
    prompts: NDArray[np.intp]

    @property
    def clusters(self) -> int:
        """How many prompts have a value."""
        return len(np.unique(self.prompts))


def observations(pairs: Sequence[tuple[int, float]]) -> Observations:
    """Observations from (prompt index, value) pairs."""
    return Observations(
        np.array([value for _, value in pairs], dtype=np.float64),
        np.array([index for index, _ in pairs], dtype=np.intp),
    )


def means(seen: Observations, draws: Draws) -> Floats:
    """The mean of the observations, in the estimate and in every replicate; NaN where it drew none."""
    return ratios(seen, Observations(np.ones(len(seen.values)), seen.prompts), draws)


def ratios(above: Observations, below: Observations, draws: Draws) -> Floats:
    """The sum of ``above`` over the sum of ``below``, in the estimate and in every replicate; NaN where that is 0."""
    count = len(draws.prompts)
    upper = draws.weights @ np.bincount(above.prompts, above.values, count)
    lower = draws.weights @ np.bincount(below.prompts, below.values, count)
    found: Floats = np.divide(upper, lower, out=np.full(len(upper), np.nan), where=lower > 0)
    return found


def percentiles(seen: Observations, draws: Draws, shares: Sequence[float]) -> list[Floats]:
    """numpy's linear percentiles (``shares`` of 0..1), in the estimate and in every replicate.

    A replicate's percentile is that of the observations repeated by their prompts' weights. The estimate is exact; in
    replicates of more than 512 observations it is within two thousandths of rank.
    """
    order = np.sort(seen.values)
    if len(order) > _GRID:
        order = order[np.linspace(0, len(order) - 1, _GRID).round().astype(np.intp)]
    at_most = np.zeros((len(draws.prompts), len(order)))
    for prompt in np.unique(seen.prompts):
        mine = np.sort(seen.values[seen.prompts == prompt])
        at_most[prompt] = np.searchsorted(mine, order, side="right")
    counts = _product(draws.weights, at_most)
    total = counts[:, -1:]
    place = np.asarray(shares) * np.maximum(total - 1, 0)
    floor = np.floor(place)
    low = order[_first_above(counts, floor)]
    high = order[_first_above(counts, np.minimum(floor + 1, total - 1))]
    found = low + (high - low) * (place - floor)
    found[total[:, 0] == 0] = np.nan
    found[0] = np.quantile(seen.values, shares)
    return list(found.T)


def _product(weights: Floats, at_most: Floats) -> Floats:
    """``weights @ at_most``, in pieces so small that the linear algebra library starts no threads for them.

    On a busy machine, as after a bench, threads that wait for each other take ten times as long.
    """
    rows, prompts = weights.shape
    piece = max(1, _SINGLE_THREADED // (prompts * at_most.shape[1]))
    pieces = -(-rows // piece)
    padded = np.zeros((pieces * piece, prompts))
    padded[:rows] = weights
    product: Floats = np.matmul(padded.reshape(pieces, piece, prompts), at_most)
    return product.reshape(pieces * piece, -1)[:rows]


def _first_above(counts: Floats, ranks: Floats) -> NDArray[np.intp]:
    """In each row, for each rank, the first column whose count is above it (by bisection: rows never fall)."""
    rows = np.arange(len(counts))[:, np.newaxis]
    low = np.zeros(ranks.shape, dtype=np.intp)
    high = np.full(ranks.shape, counts.shape[1] - 1, dtype=np.intp)
    for _ in range(int(counts.shape[1]).bit_length()):
        middle = (low + high) // 2
        above = counts[rows, middle] > ranks
        high = np.where(above, middle, high)
        low = np.where(above, low, np.minimum(middle + 1, high))
    return high


def interval(vector: Floats, confidence: float) -> tuple[float, float] | None:
    """The percentile interval of the replicates; None where there are none."""
    drawn = vector[1:]
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return None
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
