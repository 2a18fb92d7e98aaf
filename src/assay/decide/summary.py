"""A run's raw lines as figures with intervals: recomputed each time, never stored."""

from __future__ import annotations

from assay.decide.bootstrap import REPLICATES, draw, interval
from assay.decide.estimates import Estimate, Estimates
from assay.decide.measured import Measured, measured
from assay.types import Figure, Policy, RunData, Summary


def summarise(
    data: RunData,
    policy: Policy | None = None,
    *,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Summary]:
    """Every figure of every candidate at every concurrency level, in the order of the record.

    Only measured requests count, each by its last try; failed ones are in ``error_rate`` and in no latency. Percentiles
    are numpy's linear ones over all requests; rates are all tokens over all seconds they took; ``quality`` is
    the mean over prompts of the mean criterion of their samples (by rule where there are such scores, otherwise a
    model's or a person's), and ``quality.<criterion>`` the same for each criterion alone. Intervals are bootstrap
    intervals that draw prompts anew, at ``confidence``; a figure from one prompt, and load time, memory and disk, have
    none. A percentile is ``enough`` when three samples lie beyond it (p90 from 30, p95 from 60, p99 from 300).
    ``goodput`` needs a ``policy``, against whose limits it is held.
    """
    draws = draw([prompt.id for prompt in data.record.workload.prompts], replicates, seed)
    limits = policy.limits if policy else ()
    return [_summary(found, Estimates(found, draws, limits), confidence) for found in measured(data)]


def figures(estimates: Estimates, confidence: float) -> dict[str, Figure]:
    """Every known figure with its interval."""
    known = ((name, estimates[name]) for name in estimates.names())
    return {name: figure(estimate, confidence) for name, estimate in known if estimate is not None}


def figure(estimate: Estimate, confidence: float) -> Figure:
    """One estimate with its interval."""
    low, high = interval(estimate.vector, confidence) or (None, None)
    return Figure(value=estimate.value, low=low, high=high, n=estimate.n, enough=estimate.enough)


def _summary(found: Measured, estimates: Estimates, confidence: float) -> Summary:
    counts = [sample.output_tokens for sample in found.oks]
    return Summary(
        variant=found.candidate.variant,
        engine=found.candidate.engine,
        concurrency=found.concurrency,
        status=found.candidate.status,
        reason=found.candidate.reason,
        requests=len(found.finals),
        failures=len(found.finals) - len(found.oks),
        retries=len(found.tries) - len(found.finals),
        output_tokens=sum(c for c in counts if c is not None) if counts and None not in counts else None,
        figures=figures(estimates, confidence),
    )
