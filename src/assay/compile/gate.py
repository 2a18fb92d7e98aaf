"""Whether a product lost too much: a ``Proof`` held against limits."""

from __future__ import annotations

from msgspec import Struct, structs

from assay.types import Proof


class Gate(Struct, frozen=True, kw_only=True):
    """Limits; None is no limit.

    ``max_kl`` is in nats, ``max_perplexity_rise`` a share (0.05: five per cent more perplexity than the original),
    ``min_agreement`` a share of equal greedy tokens.
    """

    max_kl: float | None = None
    max_perplexity_rise: float | None = None
    min_agreement: float | None = None


def judge(proof: Proof, gate: Gate) -> Proof:
    """The proof with the limits in words, and those that it did not meet.

    The figures themselves decide, not their intervals' bounds: what a person reads is what was judged, and a proof
    with few prompts is neither let through nor refused for its wide interval, which stands beside the figure.
    """
    failed = []
    if proof.unusable:
        failed.append(f"at {proof.unusable} of {proof.tokens} positions the product gave no finite probabilities")
    if gate.max_kl is not None and proof.kl and not proof.kl.value <= gate.max_kl:
        failed.append(f"mean KL divergence {proof.kl.value:.3g} nats > {gate.max_kl:g}")
    rise = proof.perplexity_ratio.value - 1 if proof.perplexity_ratio else None
    if gate.max_perplexity_rise is not None and rise is not None and not rise <= gate.max_perplexity_rise:
        failed.append(f"perplexity rise {_percent(rise)} > {_percent(gate.max_perplexity_rise)}")
    if gate.min_agreement is not None and not proof.agreement.value >= gate.min_agreement:
        failed.append(f"equal greedy tokens {_percent(proof.agreement.value)} < {_percent(gate.min_agreement)}")
    return structs.replace(proof, gate=_words(gate), failed=tuple(failed))


def _words(gate: Gate) -> tuple[str, ...]:
    words = ["finite probabilities everywhere"]
    if gate.max_kl is not None:
        words.append(f"mean KL divergence at most {gate.max_kl:g} nats")
    if gate.max_perplexity_rise is not None:
        words.append(f"perplexity at most {_percent(gate.max_perplexity_rise)} higher")
    if gate.min_agreement is not None:
        words.append(f"at least {_percent(gate.min_agreement)} equal greedy tokens")
    return tuple(words)


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def default_gate(precision: str | None) -> Gate:
    """Limits for a precision, by any name that Assay or llama.cpp has for it; those of 4 bits for unknown ones."""
    return DEFAULTS.get((precision or "").lower(), FOUR_BITS)


EXACT = Gate(max_kl=1e-3, max_perplexity_rise=0.005, min_agreement=0.99)
EIGHT_BITS = Gate(max_kl=0.02, max_perplexity_rise=0.02, min_agreement=0.95)
FOUR_BITS = Gate(max_kl=0.3, max_perplexity_rise=0.3, min_agreement=0.8)
DEFAULTS: dict[str, Gate] = {}
