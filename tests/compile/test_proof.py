"""A proof from end to end: the bundled checkpoint, its products on their real engines, and damaged ones."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from assay.compile.gate import default_gate, judge
from assay.compile.proof import RATED, prove
from assay.compile.reference import Original, ask_original
from assay.errors import BadInput, CompileError, NoRoom
from assay.types import Probed, ProbeRequest, Prompt, Proof, Reporter, Variant
from tests.compile.models import BUNDLED, MISSING, SKIP

pytestmark = pytest.mark.skipif(bool(MISSING), reason=SKIP)
PROMPTS = tuple(
    Prompt(id=who, prompt=f"The sales meeting was short. {who} will send the budget by Friday.\n\n{question}")
    for who in ("Emma", "Max", "Tina")
    for question in ("Write the action items as a list.", "Who will send the budget?")
)
TEXT = ("The meeting was short, and it was raining.", "Max will buy the short mirror by next Monday.", "A")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return ask_original(BUNDLED, PROMPTS, work=tmp_path_factory.mktemp("original"), text=TEXT, answer_tokens=40)


def answering(original: Original, change: Callable[[np.ndarray], np.ndarray], **given: object) -> Callable[..., Probed]:
    """A product that gives what the original gave, with its distributions changed."""

    def ask(variant: Variant, engine: str, request: ProbeRequest, folder: Path, reporter: Reporter) -> Probed:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "product.npy"
        np.save(path, change(np.load(original.probed.distributions)))
        return structs.replace(original.probed, distributions=os.fspath(path), **given)

    return ask


PRODUCT = Variant(id="p", alias="p", format="gguf", source="here")


def test_the_original_is_asked_for_text_and_for_its_own_continuations(original: Original) -> None:
    request, probed = original.request, original.probed
    assert original.passages == len(TEXT)
    assert len(request.sequences) == len(TEXT) + len(PROMPTS)
    assert probed.answers[1] == "Emma"
    assert probed.greedy == probed.tops[original.passages :]
    rows = np.load(probed.distributions)
    assert rows.shape == (sum(len(scored.positions) for scored in request.sequences), 1024)
    assert np.exp(rows.astype(float)).sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-5)
    starts = np.cumsum([0, *(len(scored.positions) for scored in request.sequences)])
    for i, scored in enumerate(request.sequences[original.passages :], start=original.passages):
        tops = dict(zip(scored.tops, probed.tops[i], strict=True))
        found = rows[starts[i] : starts[i + 1]].argmax(axis=1).tolist()
        assert found == [tops[place] for place in scored.positions]


def test_what_is_equal_has_lost_nothing(original: Original, tmp_path: Path) -> None:
    def score(prompt: int, text: str) -> Mapping[str, float]:
        return {"names": float(PROMPTS[prompt].id in text)}

    proof = prove(original, PRODUCT, engine="e", probe=answering(original, lambda x: x), work=tmp_path, score=score)
    assert proof.kl is not None
    assert proof.perplexity_ratio is not None
    assert proof.kl.value == pytest.approx(0, abs=1e-9)
    assert (proof.agreement.value, proof.perplexity_ratio.value, proof.identical) == (1, 1, len(PROMPTS))
    assert proof.tokeniser_agreement == 1
    assert [(check.criterion, check.difference.value) for check in proof.checks] == [("names", 0)]
    assert judge(proof, default_gate("fp32")).passed
    assert list(tmp_path.iterdir()) == []


def test_a_product_of_nan_fails_with_its_own_reason(original: Original, tmp_path: Path) -> None:
    tops = tuple(tuple(0 for _ in made) for made in original.probed.tops)
    ask = answering(original, lambda x: np.full_like(x, math.nan), tops=tops)
    proof = judge(prove(original, PRODUCT, engine="e", probe=ask, work=tmp_path), default_gate("int4"))
    assert proof.kl is None
    assert proof.perplexity_ratio is None
    assert proof.failed[0] == f"at {proof.tokens} of {proof.tokens} positions the product gave no finite probabilities"


def test_distributions_that_do_not_fit_are_an_error(original: Original, tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="positions"):
        prove(original, PRODUCT, engine="e", probe=answering(original, lambda x: x[1:]), work=tmp_path)


def test_an_original_that_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match=r"2\.4 MB"):
        ask_original(BUNDLED, PROMPTS, work=tmp_path, free_memory=10**6)


def test_a_proof_needs_prompts(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least one prompt"):
        ask_original(BUNDLED, (), work=tmp_path)


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from pathlib import Path
from assay.compile.reference import ask_original
from assay.errors import MissingExtra
from assay.types import Prompt
try:
    ask_original(Path(sys.argv[1]), [Prompt(id="a", prompt="b")], work=Path(sys.argv[2]))
except MissingExtra as error:
    print(error)
"""


def test_what_runs_the_original_is_named_where_it_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKED, str(BUNDLED), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "needs torch, transformers, which are not installed" in done.stdout
    assert "pip install 'assay[compile]'" in done.stdout
    assert not (tmp_path / "work").exists()


def test_answers_that_nobody_checks_are_few(original: Original, tmp_path: Path) -> None:
    asked: list[ProbeRequest] = []
    answer = answering(original, lambda x: x)

    def ask(variant: Variant, engine: str, request: ProbeRequest, folder: Path, reporter: Reporter) -> Probed:
        asked.append(request)
        return answer(variant, engine, request, folder, reporter)

    prove(original, PRODUCT, engine="e", probe=ask, work=tmp_path)
    prove(original, PRODUCT, engine="e", probe=ask, work=tmp_path, score=lambda _prompt, _text: {})
    assert [request.answers for request in asked] == [RATED, None]


def test_an_original_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    for file in BUNDLED.iterdir():
        if file.name != "tokenizer.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(CompileError, match="the original cannot be run") as caught:
        ask_original(tmp_path, PROMPTS, work=tmp_path / "work")
    assert caught.value.why


def test_an_original_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="was not done after"):
        ask_original(BUNDLED, PROMPTS, work=tmp_path, timeout_s=0.2)


def test_a_proof_is_written_and_read_again(original: Original, tmp_path: Path) -> None:
    from msgspec.json import decode, encode

    ask = answering(original, lambda x: np.full_like(x, math.nan))
    proof = judge(prove(original, PRODUCT, engine="e", probe=ask, work=tmp_path), default_gate("int4"))
    assert decode(encode(proof), type=Proof) == proof
