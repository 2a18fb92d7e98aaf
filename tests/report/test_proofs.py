"""Proofs of compiles in words: every figure with its interval, the gate's word and its reasons."""

from __future__ import annotations

from msgspec import structs

from assay.report.proofs import lines, table
from assay.report.units import UNKNOWN
from assay.types import CheckScore, File, Interval, Proof, Variant

PROOF = Proof(
    original="notes-0.5m-safetensors",
    original_digest=None,
    product_digest="d",
    engine="llamacpp",
    engine_version="1.2",
    prompts=20,
    tokens=1234,
    agreement=Interval(value=0.975, low=0.96, high=0.99),
    kl=Interval(value=0.0123, low=0.01, high=0.015),
    perplexity_original=Interval(value=12.5),
    perplexity_ratio=Interval(value=1.02, low=1.0, high=1.04),
    tokeniser_agreement=1.0,
    checks=(
        CheckScore(
            criterion="answer",
            original=Interval(value=0.8),
            product=Interval(value=0.75),
            difference=Interval(value=-0.05, low=-0.1, high=0.01),
        ),
    ),
    decode_tps=812.0,
    gate=("mean KL at most 0.05 nats",),
)
VARIANT = Variant(
    id="notes:q8_0", alias="notes", format="gguf", source="notes.gguf", files=(File(path="notes.gguf", size=571_000),)
)


def test_a_proof_tells_every_figure_with_its_interval() -> None:
    told = "\n".join(lines(PROOF))
    for part in (
        "20 prompts, 1,234 positions, on llamacpp 1.2",
        "97.5% (96% to 99%) of greedy tokens",
        "0.0123 (0.0100 to 0.0150) nats",
        "x 1.02 (1.00 to 1.04) of the original's 12.5",
        "100% of the texts",
        "answer: 0.750 against 0.800, difference -0.0500 (-0.100 to 0.0100)",
        "812 tok/s",
        "passed: mean KL at most 0.05 nats",
    ):
        assert part in told


def test_a_refusal_tells_why() -> None:
    refused = structs.replace(PROOF, failed=("mean KL 0.41 nats > 0.05",))
    assert lines(refused)[-2:] == [
        "gate        refused: mean KL at most 0.05 nats",
        "            mean KL 0.41 nats > 0.05",
    ]
    assert "refused" in table([(VARIANT, refused)])[1]


def test_several_products_are_a_table() -> None:
    head, row = table([(VARIANT, PROOF)])
    assert head.split("  ")[0] == "Product"
    for part in ("notes:q8_0", "571 kB", "812 tok/s", "97.5%", "0.0123", "x 1.02", "passed"):
        assert part in row


def test_what_was_not_measured_is_a_dash() -> None:
    assert UNKNOWN in table([(VARIANT, structs.replace(PROOF, decode_tps=None))])[1]
