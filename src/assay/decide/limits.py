"""Hard limits: which hold, in the estimate and in every replicate, and in words why one does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from assay.decide.bootstrap import interval
from assay.decide.estimates import Estimate, Estimates
from assay.decide.figures import written
from assay.decide.ranking import Bools
from assay.types import Candidate, Limit, Policy

LicenceClass = Callable[[str | None], str] | Mapping[str, str]
"""Licence id -> its class (``permissive``, ...)."""


class Miss(NamedTuple):
    """One limit that a candidate does not meet. ``by`` is how far off it is, relative to the bound; None: no number."""

    reason: str
    limit: Limit | None = None
    value: float | None = None
    by: float | None = None


def licence_miss(candidate: Candidate, policy: Policy, licence_class: LicenceClass) -> Miss | None:
    """Why the candidate's licence is not what the policy wants, or None."""
    wanted, licence = policy.licence, candidate.variant.licence
    if wanted is None:
        return None
    if licence is None:
        return Miss("licence unknown: none is declared")
    if isinstance(wanted, tuple):
        allowed = {one.casefold() for one in wanted}
        return None if licence.casefold() in allowed else Miss(f"licence {licence} is not among {', '.join(wanted)}")
    found = licence_class(licence) if callable(licence_class) else licence_class.get(licence, "unknown")
    if wanted.casefold() in {found.casefold(), licence.casefold()}:
        return None
    shown = "of no known class" if found == "unknown" else found
    return Miss(f"licence {licence} is {shown}, policy wants {wanted}")


def limit_miss(limit: Limit, estimate: Estimate | None, confidence: float) -> Miss | None:
    """Why the estimate does not meet ``limit``, with its interval, or None. Unknown never meets one."""
    if estimate is None:
        return Miss(f"{limit.figure} unknown: not measured", limit)
    if bool(_holds(limit, estimate)[0]):
        return None
    value, bound = estimate.value, limit.bound
    against = ">" if limit.op == "<=" else "<"
    reason = f"{limit.figure} {written(value, limit.figure)} {against} {written(bound, limit.figure)}"
    found = interval(estimate.vector, confidence)
    if found:
        low, high = (written(end, limit.figure) for end in found)
        reason += f" (interval {low} to {high})"
    return Miss(reason, limit, value, abs(value - bound) / bound if bound else None)


def meets(limits: tuple[Limit, ...], known: Estimates, rows: int) -> Bools:
    """In each of ``rows`` (the estimate, then the replicates), whether every limit holds."""
    holds = np.ones(rows, dtype=np.bool_)
    for limit in limits:
        estimate = known[limit.figure]
        holds &= np.zeros(rows, dtype=np.bool_) if estimate is None else _holds(limit, estimate)
    return holds


def _holds(limit: Limit, estimate: Estimate) -> Bools:
    """In each row; what has no replicates, or drew nothing in one, holds there as it does in the estimate."""
    vector = np.where(np.isfinite(estimate.vector), estimate.vector, estimate.value)
    holds: Bools = vector <= limit.bound if limit.op == "<=" else vector >= limit.bound
    return holds
