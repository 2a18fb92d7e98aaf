"""What compiles lost, for people: one product in lines, several in a table."""

from __future__ import annotations

from collections.abc import Sequence

from assay.report.columns import columns
from assay.report.units import UNKNOWN, number, percent, rate, size
from assay.types import Interval, Proof, Variant

HEAD = ("Product", "Size", "Speed here", "Equal tokens", "Mean KL", "Perplexity", "Gate")


def table(products: Sequence[tuple[Variant, Proof | None]], *, width: int | None = None) -> list[str]:
    """A line for each product: size, decode rate on this machine, loss against the original, and the gate's word.

    A product without a proof is one that its engine could not run.
    """
    rows = [(variant.id, size(variant.disk), *_figures_of(proof)) for variant, proof in products]
    return columns(HEAD, rows, right=(1, 2, 3, 4, 5), width=width)


def _figures_of(proof: Proof | None) -> tuple[str, ...]:
    if proof is None:
        return (*[UNKNOWN] * 4, "no proof")
    return (
        rate(proof.decode_tps),
        percent(proof.agreement.value),
        _small(proof.kl.value) if proof.kl else UNKNOWN,
        f"x {number(proof.perplexity_ratio.value)}" if proof.perplexity_ratio else UNKNOWN,
        "passed" if proof.passed else "refused",
    )


def lines(proof: Proof) -> list[str]:
    """The whole proof of one product."""
    told = [
        f"against     {proof.original}, {proof.prompts} prompts, {proof.tokens:,} positions, on {_engine(proof)}",
        f"tokens      {_shares(proof.agreement)} of greedy tokens are equal",
        f"divergence  {_figures(proof.kl)} nats mean KL of the next-token distributions",
        f"perplexity  x {_figures(proof.perplexity_ratio)} of the original's {number(proof.perplexity_original.value)}",
    ]
    told += [f"unusable    {proof.unusable} positions, where it gave no finite figures"] if proof.unusable else []
    if proof.tokeniser_agreement is not None:
        told.append(f"tokeniser   {percent(proof.tokeniser_agreement)} of the texts become the same tokens")
    told += [
        f"check       {check.criterion}: {number(check.product.value)} against {number(check.original.value)}, "
        f"difference {_figures(check.difference)}"
        for check in proof.checks
    ]
    told += [f"speed       {rate(proof.decode_tps)}, one prompt at a time"] if proof.decode_tps is not None else []
    told.append(f"gate        {'passed' if proof.passed else 'refused'}: {', '.join(proof.gate) or 'no limits'}")
    told += [f"            {reason}" for reason in proof.failed]
    return told


def _engine(proof: Proof) -> str:
    return f"{proof.engine} {proof.engine_version or ''}".strip()


def _figures(interval: Interval | None) -> str:
    if interval is None:
        return UNKNOWN
    if interval.low is None or interval.high is None:
        return _small(interval.value)
    return f"{_small(interval.value)} ({_small(interval.low)} to {_small(interval.high)})"


def _small(value: float) -> str:
    """A figure that may be almost nothing: ``5.2e-06``."""
    return f"{value:.1e}" if 0 < abs(value) < 1e-4 else number(value)


def _shares(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return percent(interval.value)
    return f"{percent(interval.value)} ({percent(interval.low)} to {percent(interval.high)})"
