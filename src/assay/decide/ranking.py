"""Who is best: rules applied in turn, to the estimates and to every replicate at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.decide.bootstrap import Floats
from assay.decide.figures import is_latency, meaning

Bools = NDArray[np.bool_]
NOBODY = -1


class Rule(NamedTuple):
    """One line of a preference: a figure of all candidates, (candidates, 1 + replicates), NaN where unknown."""

    figure: str
    values: Floats
    tolerance: float
    error_s: float = 0.0


class Ranked(NamedTuple):
    """``winner[r]`` is the candidate that wins in replicate ``r``, or `NOBODY`.

    ``dropped[c]`` is the number of the rule that put candidate ``c`` out in the estimate, counted through the rules
    twice (with their tolerances, then without); None where none did.
    """

    winner: NDArray[np.intp]
    dropped: tuple[int | None, ...]


def rank(rules: Sequence[Rule], eligible: Bools) -> Ranked:
    """Apply the rules to the eligible candidates of each replicate.

    Each rule keeps those within its tolerance of the best of those left: absolute for shares (0..1), relative to the
    best for other figures, and for latencies never less than the instrument's own error. An unknown figure is behind
    every known one. Who is left when all rules have passed is told apart by the rules without tolerance, so a candidate
    that another beats in everything never wins; equals even then are taken in the order given.
    """
    alive = eligible.copy()
    dropped: list[int | None] = [None] * len(eligible)
    exact = [rule._replace(tolerance=0.0, error_s=0.0) for rule in rules]
    for number, rule in enumerate([*rules, *exact]):
        kept = alive & _near_best(rule, alive)
        for candidate in np.flatnonzero(alive[:, 0] & ~kept[:, 0]):
            dropped[candidate] = number
        alive = kept
    return Ranked(np.where(alive.any(axis=0), alive.argmax(axis=0), NOBODY), tuple(dropped))


def _near_best(rule: Rule, alive: Bools) -> Bools:
    what = meaning(rule.figure)
    sign = -1.0 if what and what.better == "low" else 1.0
    values = np.where(alive & np.isfinite(rule.values), sign * rule.values, -np.inf)
    best = values.max(axis=0, initial=-np.inf)
    known = np.isfinite(best)
    size = 1.0 if what and what.unit == "share" else np.abs(np.where(known, best, 0.0))
    slack = rule.tolerance * size
    if is_latency(rule.figure):
        slack = np.maximum(slack, rule.error_s)
    # The last bits of a sum must not decide what a tolerance of 0.02 says of 0.86 and 0.84.
    slack = slack + 1e-12 * np.abs(np.where(known, best, 0.0))
    within: Bools = values >= np.where(known, best - slack, -np.inf)
    return within
