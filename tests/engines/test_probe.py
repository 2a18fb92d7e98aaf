"""Distributions read from the real engines, and what happens where there are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from msgspec import structs

from assay.catalog.bundled import bundled_variants
from assay.compile import read_checkpoint
from assay.compile.gguf_file import write_gguf
from assay.engines.probe import probe
from assay.engines.probe_onnxruntime_genai import log_softmax
from assay.errors import BadInput, EngineError
from assay.types import ProbeRequest, Scored, Variant
from tests.compile.models import MISSING, SKIP, checkpoint_of

ENGINES = {"gguf": "llamacpp", "onnx": "onnxruntime_genai"}
IDS = tuple(range(300, 340))
CHAT = ({"role": "user", "content": "Notes of the Mihe meeting. Joel left early.\n\nWhich meeting was it?"},)
REQUEST = ProbeRequest(
    sequences=(
        Scored(ids=IDS, positions=(3, 20, 39), tops=(3, 10)),
        Scored(ids=IDS[:5], positions=(0,)),
        Scored(ids=IDS[::-1], tops=(7,)),
    ),
    prompts=(IDS[:8], IDS[10:30]),
    new_tokens=6,
    chats=(CHAT,),
    answer_tokens=8,
    texts=("The meeting was short.", ""),
)


def bundled(name: str) -> Variant:
    return next(variant for variant in bundled_variants() if variant.id == name)


@pytest.mark.engines
@pytest.mark.parametrize("name", ["notes-4m:q8_0", "notes-4m:onnx-int4"])
def test_what_is_asked_is_given(name: str, tmp_path: Path) -> None:
    variant = bundled(name)
    probed = probe(variant, ENGINES[variant.format], REQUEST, tmp_path)
    rows = np.load(probed.distributions)
    assert rows.shape == (4, probed.vocabulary)
    assert np.exp(rows.astype(float)).sum(axis=1) == pytest.approx(np.ones(4), abs=1e-4)
    assert [len(tops) for tops in probed.tops] == [2, 0, 1]
    assert probed.tops[0][0] == int(rows[0].argmax())
    assert all(0 < len(made) <= 6 for made in probed.greedy)
    assert probed.answers == ("Mihe",)
    assert probed.rendered[0] is not None
    assert [len(ids) > 0 for ids in probed.tokenised] == [True, False]
    assert probed.engine_version
    again = probe(variant, ENGINES[variant.format], REQUEST, tmp_path / "again")
    assert np.load(again.distributions) == pytest.approx(rows, abs=0.05)
    assert again.greedy == probed.greedy


@pytest.mark.engines
@pytest.mark.parametrize("name", ["notes-4m:q8_0", "notes-4m:onnx-int4"])
def test_a_continuation_is_the_chain_of_the_most_likely_tokens(name: str, tmp_path: Path) -> None:
    variant, engine = bundled(name), ENGINES[bundled(name).format]
    (made,) = probe(variant, engine, ProbeRequest(prompts=(IDS[:8],), new_tokens=5), tmp_path).greedy
    whole = Scored(ids=IDS[:8] + made[:-1], tops=tuple(range(7, 7 + len(made))))
    assert probe(variant, engine, ProbeRequest(sequences=(whole,)), tmp_path).tops == (made,)


def test_a_file_that_is_no_model_is_an_error_with_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(100))
    variant = Variant(id="m", alias="m", format="gguf", source="here", path=str(tmp_path / "m.gguf"))
    with pytest.raises(EngineError, match=r"m could not be asked|died while m was asked"):
        probe(variant, "llamacpp", REQUEST, tmp_path)


def test_an_engine_that_cannot_be_asked_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="runs onnx"):
        probe(bundled("notes-4m:q8_0"), "onnxruntime_genai", REQUEST, tmp_path)


def test_a_probe_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="still being asked"):
        probe(bundled("notes-4m:q8_0"), "llamacpp", REQUEST, tmp_path, timeout_s=0.05)


@pytest.mark.engines
@pytest.mark.skipif(bool(MISSING), reason=SKIP)
def test_a_likeliest_token_that_ends_within_a_character_is_read_too(tmp_path: Path) -> None:
    """Of a random model's tokens many are single bytes, which mean nothing by themselves."""
    from transformers import AutoTokenizer

    source = checkpoint_of(tmp_path / "m", "llama")
    file = tmp_path / "m.gguf"
    write_gguf(read_checkpoint(source), "f32", file, lambda *_told: None)
    variant = Variant(id="m", alias="m", format="gguf", source="here", path=str(file), context_length=256)
    ids = tuple(300 + i * 7 % 300 for i in range(80))
    places = tuple(range(80))
    request = ProbeRequest(sequences=(Scored(ids=ids, positions=places, tops=places),), prompts=(ids,), new_tokens=20)
    probed = probe(variant, "llamacpp", request, tmp_path)
    rows = np.load(probed.distributions)
    assert np.exp(rows.astype(float)).sum(axis=1) == pytest.approx(np.ones(80), abs=1e-4)
    assert probed.tops[0] == tuple(rows.argmax(axis=1))
    assert len(probed.greedy[0]) == 20
    spelt = [AutoTokenizer.from_pretrained(source).decode([token]) for token in probed.tops[0]]
    assert any("\ufffd" in text for text in spelt), "no position of this test is of the kind that it is about"


@pytest.mark.engines
def test_only_so_many_answers_are_asked_for(tmp_path: Path) -> None:
    request = ProbeRequest(chats=(CHAT, CHAT, CHAT), answers=1, answer_tokens=8)
    probed = probe(bundled("notes-4m:q8_0"), "llamacpp", request, tmp_path)
    assert probed.answers == ("Mihe",)
    assert len(probed.rendered) == 3


ASKS = """
import sys
from pathlib import Path
from assay.catalog.bundled import bundled_variants
from assay.compile import read_checkpoint
from assay.compile.gguf_file import write_gguf
from assay.engines.probe import probe
from assay.types import ProbeRequest, Scored, Silent
class Told(Silent):
    def progress(self, done, total, text=""):
        print(done, flush=True)
name, engine, folder = sys.argv[1:]
variant = next(variant for variant in bundled_variants() if variant.id == name)
endless = ProbeRequest(sequences=(Scored(ids=tuple(range(300, 340)), positions=tuple(range(40))),) * 9000)
probe(variant, engine, endless, Path(folder), reporter=Told())
"""


@pytest.mark.engines
@pytest.mark.parametrize("name", ["notes-4m:q8_0", "notes-4m:onnx-int4"])
def test_the_probing_process_ends_with_its_parent(name: str, tmp_path: Path) -> None:
    engine = ENGINES[bundled(name).format]
    command = [sys.executable, "-c", ASKS, name, engine, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout
        assert parent.stdout.readline().strip(), "nothing was read before the parent ended"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        parent.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []


def test_ids_outside_the_vocabulary_are_an_error(tmp_path: Path) -> None:
    request = ProbeRequest(sequences=(Scored(ids=(5, 999_999), positions=(1,)),))
    with pytest.raises(EngineError):
        probe(structs.replace(bundled("notes-4m:q8_0")), "llamacpp", request, tmp_path)


def test_a_softmax_of_large_scores_is_no_infinity_and_one_with_nan_is_nan() -> None:
    assert np.exp(log_softmax(np.array([1e4, 0, -1e4], np.float32))) == pytest.approx([1, 0, 0])
    assert np.isnan(log_softmax(np.array([1.0, np.nan], np.float32))).all()
