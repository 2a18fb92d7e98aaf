"""GGUF files of every family against transformers: greedy tokens, token ids of texts, and the bytes of each type."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.compile import read_checkpoint
from assay.compile.checkpoint import Checkpoint
from assay.compile.gguf_file import describe, write_gguf
from assay.compile.gguf_types import K_QUANTS, PLAIN
from assay.errors import BadInput
from assay.formats import read_gguf_header
from tests.compile.models import MISSING, SKIP, family_models, greedy, prompts

pytestmark = pytest.mark.skipif(bool(MISSING), reason=SKIP)

PROMPTS = prompts(8, longest=150)
NEAR_TIE = 0.01
"""Logits. llama.cpp computes some functions from tables of f16: where the best two are nearer, it may differ."""
TEXTS = (
    "Hello, World! It's 3.14 or 1234567.",
    "  leading and   inner spaces, trailing  ",
    "line\n\nline\r\n\ttabbed  \n   ",
    "Ünïcödé naïve café 日本語 русский 😀👍🏽 العربية",
    "def f(a, b=2):\n    return a**b  # comment\n",
    "x",
    "",
)


def written(folder: Path, quantisation: str, out: Path) -> tuple[Checkpoint, Path]:
    read = read_checkpoint(folder)
    file = out / f"{quantisation}.gguf"
    write_gguf(read, quantisation, file, lambda *_told: None)
    return read, file


def changed(folder: Path, to: Path, name: str, **values: Any) -> Path:
    shutil.copytree(folder, to)
    path = to / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return to


@pytest.mark.parametrize("family", family_models.FAMILIES)
def test_a_family_equals_transformers(family: str, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    read, file = written(tiny(family), "f32", tmp_path)
    engine = greedy.LlamaCpp(file, 256)
    tokeniser = AutoTokenizer.from_pretrained(tiny(family))
    for text in TEXTS:
        assert engine.tokenize(text) == tokeniser(text).input_ids, text
    turn = tokeniser.apply_chat_template([{"role": "user", "content": "Hi  there"}], tokenize=False)
    assert engine.tokenize(turn) == tokeniser(turn).input_ids
    reference = greedy.by_transformers(tiny(family), PROMPTS, 16)
    seen = greedy.compare(reference, engine.greedy(PROMPTS, 16))
    assert max(seen.parted, default=0.0) < NEAR_TIE
    assert seen.equal >= len(PROMPTS) - 2
    header = read_gguf_header(file)
    assert (header.parameters or 0) >= read.parameters
    assert header.context_length == read.context_length


def test_weights_of_bf16(tmp_path: Path) -> None:
    folder = family_models.make(tmp_path / "m", "qwen3", family_models.TINY, dtype="bfloat16")
    read, file = written(folder, "bf16", tmp_path)
    assert read.dtype == "bf16"
    assert read_gguf_header(file).quantisation == "BF16"
    _, exact = written(folder, "f32", tmp_path)
    reference = greedy.by_transformers(folder, PROMPTS, 16)
    assert max(greedy.compare(reference, greedy.LlamaCpp(exact, 256).greedy(PROMPTS, 16)).parted, default=0) < NEAR_TIE


def test_bytes_are_those_of_the_format(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    import gguf
    import numpy as np

    _, file = written(tiny("gemma2"), "q8_0", tmp_path)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    exact = {t.name: t.data for t in gguf.GGUFReader(written(tiny("gemma2"), "f32", tmp_path)[1]).tensors}
    for name in ("blk.0.ffn_down.weight", "token_embd.weight"):
        assert np.array_equal(tensors[name].data, gguf.quants.quantize(exact[name], gguf.GGMLQuantizationType.Q8_0))
    assert tensors["output_norm.weight"].tensor_type == gguf.GGMLQuantizationType.F32
    assert float(exact["output_norm.weight"].mean()) > 7.5
    assert "output.weight" not in tensors


@pytest.mark.parametrize("quantisation", [*PLAIN, *K_QUANTS])
def test_every_quantisation_is_read_and_its_size_is_foretold(
    quantisation: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    read, file = written(tiny("phi3"), quantisation, tmp_path)
    told = describe(read, quantisation)
    size = file.stat().st_size
    assert size <= told.bytes < size + 200_000
    assert read_gguf_header(file).quantisation == quantisation.upper()
    assert ("does not divide" in " ".join(told.notes)) == (quantisation in K_QUANTS)
    assert len(greedy.LlamaCpp(file, 256).greedy(PROMPTS[:1], 4)[0]) == 4


def test_k_quants_are_near_their_weights(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    wide = family_models.Shape(hidden=256, layers=1, heads=4, kv_heads=4, head=64, ffn=512, vocab=640, context=128)
    folder = family_models.make(tmp_path / "m", "llama", wide)
    exact = {t.name: t.data for t in gguf.GGUFReader(written(folder, "f32", tmp_path)[1]).tensors}
    read, file = written(folder, "q4_k_m", tmp_path)
    assert describe(read, "q4_k_m").notes == ()
    kinds = {}
    for tensor in gguf.GGUFReader(file).tensors:
        kinds[tensor.name] = tensor.tensor_type.name
        if len(tensor.shape) > 1:
            back = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(exact[tensor.name].shape)
            error = float(np.sqrt(np.mean((back - exact[tensor.name]) ** 2)) / exact[tensor.name].std())
            assert 0 < error < 0.12
    assert (kinds["token_embd.weight"], kinds["blk.0.attn_q.weight"]) == ("Q6_K", "Q4_K")
    assert kinds["blk.0.attn_v.weight"] == kinds["blk.0.ffn_down.weight"] == "Q6_K"


def test_white_space_after_marks_stays_where_it_does(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    """llama.cpp goes by the model's name there; the name is made to fit the tokenizer."""
    from transformers import AutoTokenizer

    content = json.loads((tiny("phi3") / "tokenizer.json").read_text())
    for entry in content["added_tokens"]:
        entry["rstrip"] = False
    folder = changed(tiny("phi3"), tmp_path / "phi3", "tokenizer.json", added_tokens=content["added_tokens"])
    read, file = written(folder, "f32", tmp_path)
    text = "<|user|>\nHi  there<|end|>\n<|assistant|>\n"
    assert (read.name, read_gguf_header(file).name) == ("phi3", "phi 3")
    assert greedy.LlamaCpp(file, 256).tokenize(text) == AutoTokenizer.from_pretrained(folder)(text).input_ids


def test_padded_rows_are_filled_and_too_few_refused(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(tiny("qwen2"), folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    removed = content["added_tokens"].pop()
    path.write_text(json.dumps(content))
    tokeniser = describe(read_checkpoint(folder), "f32").tokeniser
    assert tokeniser.tokens[removed["id"]] == f"[PAD{removed['id']}]"
    content["added_tokens"].append({**removed, "id": 640})
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="no row"):
        describe(read_checkpoint(folder), "f32")


def test_an_unknown_way_to_cut_texts_is_refused(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    own = {"type": "Split", "pattern": {"Regex": r"\p{L}+|\d"}, "behavior": "Isolated", "invert": False}
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    cutting = {"type": "Sequence", "pretokenizers": [own, last]}
    folder = changed(tiny("qwen2"), tmp_path / "m", "tokenizer.json", pre_tokenizer=cutting)
    with pytest.raises(BadInput, match="no way that equals this tokenizer's") as caught:
        describe(read_checkpoint(folder), "f32")
    assert "nearest" in (caught.value.why or "")


def test_merges_that_are_not_sentencepieces_are_refused(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    content = json.loads((tiny("mistral") / "tokenizer.json").read_text())["model"]
    made = ["".join(pair) for pair in content["merges"]]
    twice = next(i for i, result in enumerate(made) if made.count(result) > 1)
    content["merges"].pop(twice)
    folder = changed(tiny("mistral"), tmp_path / "m", "tokenizer.json", model=content)
    with pytest.raises(BadInput, match="not a SentencePiece vocabulary"):
        describe(read_checkpoint(folder), "f32")


@pytest.mark.parametrize(
    ("family", "settings", "says"),
    [
        ("gemma2", {"query_pre_attn_scalar": 100}, "query_pre_attn_scalar is 100"),
        ("gemma3", {"layer_types": ["full_attention"] * 6}, "pattern of sliding-window layers"),
        ("llama", {"hidden_act": "gelu"}, "activation 'gelu'"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    family: str, settings: dict[str, Any], says: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(tiny(family), tmp_path / "m", "config.json", **settings)
    with pytest.raises(BadInput, match=says):
        describe(read_checkpoint(folder), "f32")


def test_a_window_that_llama_cpp_has_not_is_told(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    folder = changed(tiny("mistral"), tmp_path / "m", "config.json", sliding_window=32)
    assert any("past 32 tokens" in note for note in describe(read_checkpoint(folder), "f32").notes)
