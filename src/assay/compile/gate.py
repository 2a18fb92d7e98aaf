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
    """Limits for a precision, by any name that can be asked for; those of 4 bits for unknown ones.

    They lie several times above what a sound product of a large trained model loses, since small ones lose more; who
    compiles a large model may well ask for less. Published means for Llama 3 8B against its 16-bit form on Wikitext
    (llama.cpp's own table, tools/perplexity/README.md): q8_0 0.0014 nats and 97.7 % equal top tokens, q6_K 0.0055 and
    96.0 %, q5_K_M 0.011, q4_K_M 0.031 and 91.9 %, q4_0 0.072, q3_K_M 0.10. Measured here on the
    bundled model of 0.5M parameters (benchmarks/families.py): f32 0.000005 (llama.cpp keeps its cache in 16 bits) and
    less than 1e-11 (ONNX), bf16 0.0002, q8_0 and int8 0.002, q4_0 0.18, int4 0.12.

    Models of random weights are outside of this: their best tokens lie close to each other, so that four bits change
    most of them (four families of 100M parameters: ONNX int8 0.002 to 0.004 nats and 86 to 96 % equal, int4 0.19 to
    0.42 nats and 15 to 64 %).
    """
    return DEFAULTS.get((precision or "").lower(), FOUR_BITS)


EXACT = Gate(max_kl=0.001, max_perplexity_rise=0.01, min_agreement=0.98)
SIXTEEN_BITS = Gate(max_kl=0.005, max_perplexity_rise=0.02, min_agreement=0.95)
EIGHT_BITS = Gate(max_kl=0.02, max_perplexity_rise=0.03, min_agreement=0.85)
SIX_BITS = Gate(max_kl=0.05, max_perplexity_rise=0.05, min_agreement=0.85)
FIVE_BITS = Gate(max_kl=0.12, max_perplexity_rise=0.1, min_agreement=0.8)
FOUR_BITS = Gate(max_kl=0.28, max_perplexity_rise=0.2, min_agreement=0.8)
THREE_BITS = Gate(max_kl=0.4, max_perplexity_rise=0.4, min_agreement=0.7)
DEFAULTS = {
    **dict.fromkeys(("fp32", "f32"), EXACT),
    **dict.fromkeys(("fp16", "f16", "bf16"), SIXTEEN_BITS),
    **dict.fromkeys(("int8", "q8_0"), EIGHT_BITS),
    "q6_k": SIX_BITS,
    **dict.fromkeys(("q5_0", "q5_1", "q5_k_s", "q5_k_m"), FIVE_BITS),
    **dict.fromkeys(("int4", "q4_0", "q4_1", "q4_k_s", "q4_k_m"), FOUR_BITS),
    "q3_k_m": THREE_BITS,
}
