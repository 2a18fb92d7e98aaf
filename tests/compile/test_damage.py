"""Products of the bundled checkpoint on their real engines: whole ones pass, one with a tensor of zeros does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assay.compile import Product
from assay.compile.family import Target
from assay.compile.gate import default_gate, judge
from assay.compile.proof import prove
from assay.compile.reference import Original, ask_original
from assay.engines.probe import probe
from assay.types import Probed, ProbeRequest, Prompt, Proof, Reporter, Silent, Variant
from tests.compile.models import BUNDLED, MISSING, SKIP, damage

pytestmark = pytest.mark.skipif(bool(MISSING), reason=SKIP)
TEXT = ("The meeting was short, and it was raining.", "Max will buy the short mirror by next Monday.")
PROMPTS = tuple(
    Prompt(
        id=who, prompt=f"The sales meeting was short. {who} will send the budget by Friday.\n\nList the action items."
    )
    for who in ("Emma", "Max", "Tina", "Joel")
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return ask_original(BUNDLED, PROMPTS, work=tmp_path_factory.mktemp("original"), text=TEXT)


def ask(variant: Variant, engine: str, request: ProbeRequest, folder: Path, reporter: Reporter) -> Probed:
    return probe(variant, engine, request, folder, reporter=reporter)


def proof_of(original: Original, variant: Variant, work: Path, precision: str) -> Proof:
    engine = {"gguf": "llamacpp", "onnx": "onnxruntime_genai"}[variant.format]
    proof = prove(original, variant, engine=engine, probe=ask, work=work, reporter=Silent())
    return judge(proof, default_gate(precision))


@pytest.mark.engines
@pytest.mark.parametrize(("to", "precision"), [("gguf", "fp32"), ("gguf", "int4"), ("onnx", "fp32"), ("onnx", "int4")])
def test_a_whole_product_passes_and_a_damaged_one_is_refused(
    original: Original, bundled_product: Callable[[Target, str], Product], tmp_path: Path, to: Target, precision: str
) -> None:
    variant = bundled_product(to, precision).variant
    whole = proof_of(original, variant, tmp_path / "whole", precision)
    assert whole.passed, whole.failed
    assert whole.tokeniser_agreement == 1
    if precision == "fp32":
        assert whole.kl is not None
        assert whole.kl.value < 1e-4
        assert (whole.agreement.value, whole.identical) == (1, len(PROMPTS))
    broken, _ = damage.damaged(variant, tmp_path / "damaged")
    damaged = proof_of(original, broken, tmp_path / "probe", precision)
    assert damaged.failed
    assert damaged.kl is not None
    assert whole.kl is not None
    assert damaged.kl.value > 3 * whole.kl.value


@pytest.mark.engines
@pytest.mark.parametrize("to", ["gguf", "onnx"])
def test_a_product_whose_engine_gives_nan_is_refused_for_that(
    original: Original, bundled_product: Callable[[Target, str], Product], tmp_path: Path, to: Target
) -> None:
    variant = bundled_product(to, "fp32").variant
    broken, _ = damage.damaged(variant, tmp_path / "damaged", byte=b"\xff")
    proof = proof_of(original, broken, tmp_path / "probe", "fp32")
    assert proof.kl is None
    assert proof.failed[0] == f"at {proof.tokens} of {proof.tokens} positions the product gave no finite probabilities"
