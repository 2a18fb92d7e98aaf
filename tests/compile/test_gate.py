"""Limits, and what they say of a proof."""

from __future__ import annotations

from typing import Any

import pytest

from assay.compile.gate import Gate, default_gate, judge
from assay.compile.precision import KNOWN
from assay.types import Interval, Proof

GATE = Gate(max_kl=0.1, max_perplexity_rise=0.05, min_agreement=0.9)


def a_proof(**changed: Any) -> Proof:
    known: dict[str, Any] = {
        "original": "m",
        "original_digest": None,
        "product_digest": "d",
        "engine": "e",
        "engine_version": None,
        "prompts": 20,
        "tokens": 300,
        "agreement": Interval(value=0.95),
        "kl": Interval(value=0.02, low=0.01, high=0.4),
        "perplexity_original": Interval(value=12.0),
        "perplexity_ratio": Interval(value=1.01),
    }
    return Proof(**{**known, **changed})


def test_what_meets_every_limit_passes_and_tells_the_limits() -> None:
    judged = judge(a_proof(), GATE)
    assert judged.passed
    assert judged.gate == (
        "finite probabilities everywhere",
        "mean KL divergence at most 0.1 nats",
        "perplexity at most 5 % higher",
        "at least 90 % equal greedy tokens",
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kl": Interval(value=0.41)}, "mean KL divergence 0.41 nats > 0.1"),
        ({"perplexity_ratio": Interval(value=1.2)}, "perplexity rise 20 % > 5 %"),
        ({"agreement": Interval(value=0.5)}, "equal greedy tokens 50 % < 90 %"),
        ({"unusable": 3}, "at 3 of 300 positions the product gave no finite probabilities"),
    ],
)
def test_each_limit_that_is_not_met_is_a_reason(changed: dict[str, Any], reason: str) -> None:
    judged = judge(a_proof(**changed), GATE)
    assert judged.failed == (reason,)
    assert not judged.passed


def test_a_product_without_any_figure_fails_by_every_gate() -> None:
    proof = a_proof(kl=None, perplexity_ratio=None, unusable=300)
    assert judge(proof, Gate()).failed == ("at 300 of 300 positions the product gave no finite probabilities",)


def test_the_figures_decide_and_not_the_bounds_and_equal_is_enough() -> None:
    assert judge(a_proof(kl=Interval(value=0.1, low=0.0, high=9.0)), GATE).passed


def test_another_gate_forgets_what_the_first_one_said() -> None:
    assert judge(judge(a_proof(kl=Interval(value=0.41)), GATE), Gate(max_kl=1.0)).passed


@pytest.mark.parametrize("precision", sorted({name for names in KNOWN.values() for name in names}))
def test_every_precision_that_can_be_made_has_a_gate_of_its_own_kind(precision: str) -> None:
    gate = default_gate(precision)
    assert gate == default_gate(precision.upper())
    assert gate.max_kl is not None
    assert gate.min_agreement is not None


def test_gates_are_narrower_where_more_bits_are_kept() -> None:
    kl = [default_gate(name).max_kl or 0.0 for name in ("f32", "f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m")]
    assert kl == sorted(kl)
    assert default_gate("fp32") == default_gate("f32")
    assert default_gate(None) == default_gate("something new") == default_gate("int4")
