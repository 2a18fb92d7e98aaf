"""Embeddings: of a tiny encoder against transformers, of a model that talks, and of those that give none."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assay import engines
from assay.compile import read_checkpoint
from assay.compile.gguf_file import write_gguf
from assay.engines.llamacpp_embeddings import pooling_of
from assay.engines.worker.embeddings import MAX_INPUTS, read_embeddings
from assay.engines.worker.model import Refused
from assay.errors import BadInput, EngineStartFailed
from assay.formats import GgufHeader
from assay.types import EngineOptions, Variant
from tests.compile.models import BUNDLED, MISSING, SKIP

Live = Callable[..., None]
MEAN, CLS, LAST, RANK = 1, 2, 3, 4
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
WORDS = [*SPECIAL, "notes", "of", "the", "meeting", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
TEXTS = ["notes of the meeting", "a", "the meeting", "abc of the notes", "a"]
needs_compile = pytest.mark.skipif(bool(MISSING), reason=SKIP)


def encoder() -> Any:
    """A BERT of random weights."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    return BertModel(config, add_pooling_layer=False).eval()


def write_encoder(file: Path, model: Any, pooling: int) -> Variant:
    """``model`` as a GGUF file, as llama.cpp's own converter lays it out."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(file, "bert")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType(pooling))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_token_type_count(2)
    writer.add_tokenizer_model("bert")
    writer.add_token_list([spelt(word) for word in WORDS])
    writer.add_token_types([gguf.TokenType.CONTROL if word in SPECIAL else gguf.TokenType.NORMAL for word in WORDS])
    for number, add in enumerate(
        (writer.add_pad_token_id, writer.add_unk_token_id, writer.add_bos_token_id, writer.add_eos_token_id)
    ):
        add(number)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is not None:
            writer.add_tensor(known, tensor.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Variant(id="tiny", alias="tiny", format="gguf", source="here", path=str(file))


def spelt(word: str) -> str:
    if word in SPECIAL:
        return word
    return word.removeprefix("##") if word.startswith("##") else f"▁{word}"


def unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length: npt.NDArray[np.float32] = vector / np.linalg.norm(vector)
    return length


def hidden(model: Any, ids: Sequence[int]) -> npt.NDArray[np.float32]:
    import torch

    with torch.no_grad():
        states: npt.NDArray[np.float32] = model(torch.tensor([ids])).last_hidden_state[0].numpy()
    return states


def vectors(body: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    assert [entry["index"] for entry in body["data"]] == list(range(len(body["data"])))
    return np.array([entry["embedding"] for entry in body["data"]], np.float32)


def ids_of(text: str) -> list[int]:
    """By hand: whole words, and letters where there is none."""
    found = []
    for word in text.split():
        parts = [word] if word in WORDS else [word[0], *(f"##{letter}" for letter in word[1:])]
        found += [WORDS.index(part) for part in parts]
    return [WORDS.index("[CLS]"), *found, WORDS.index("[SEP]")]


@pytest.mark.engines
@needs_compile
@pytest.mark.parametrize("pooling", [MEAN, CLS])
def test_an_encoders_vectors_are_those_of_transformers(tmp_path: Path, live: Live, pooling: int) -> None:
    model = encoder()
    variant = write_encoder(tmp_path / "tiny.gguf", model, pooling)
    states = [hidden(model, ids_of(text)) for text in TEXTS]
    expected = np.stack([unit(each[0] if pooling == CLS else each.mean(0)) for each in states])

    async def use(client: Any) -> None:
        status, body = await client.post("/embeddings", input=TEXTS)
        assert status == 200, body
        assert (body["object"], body["model"]) == ("list", "tiny")
        found = vectors(body)
        assert np.abs(found - expected).max() < 0.01
        assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
        assert (found[1] == found[4]).all()
        tokens = sum(len(ids_of(text)) for text in TEXTS)
        assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
        for text, vector in zip(TEXTS, found, strict=True):
            _, alone = await client.post("/embeddings", input=text)
            _, by_ids = await client.post("/embeddings", input=ids_of(text), dimensions=32)
            assert (vectors(alone)[0] == vector).all()
            assert (vectors(by_ids)[0] == vector).all()
        at_once = await asyncio.gather(*(client.post("/embeddings", input=[t, *TEXTS]) for t in TEXTS))
        assert [(vectors(answer)[1:] == found).all() for _, answer in at_once] == [True] * len(TEXTS)
        _, coded = await client.post("/embeddings", input=[ids_of(t) for t in TEXTS], encoding_format="base64")
        raw = [base64.b64decode(entry["embedding"]) for entry in coded["data"]]
        assert (np.array([struct.unpack("<32f", each) for each in raw], np.float32) == found).all()
        assert (await client.settled())["progress"] >= 4 * len(TEXTS)

    live(variant, EngineOptions(slots=3), use)


@pytest.mark.engines
@needs_compile
def test_what_a_model_for_embeddings_refuses(tmp_path: Path, live: Live) -> None:
    variant = write_encoder(tmp_path / "tiny.gguf", encoder(), MEAN)

    async def use(client: Any) -> None:
        assert (client.endpoint.context_length, client.endpoint.slots) == (64, 1)
        assert client.endpoint.arguments["pooling"] == "mean"
        for status, body in [await client.chat("hi"), await client.complete("hi", max_tokens=1)]:
            assert (status, body["error"]["code"]) == (400, "unsupported")
            assert "/v1/embeddings" in body["error"]["message"]
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"input": [5] * 65}, "input"),
            ({"input": [[5], [10**6]]}, "input"),
            ({"input": ""}, "input"),
            ({"input": "a", "dimensions": 16}, "dimensions"),
            ({"input": "a", "dimensions": "x"}, "dimensions"),
            ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
            ({"input": "a", "input_type": "query"}, "input_type"),
            ({}, "input"),
        ]
        for asked, param in wrong:
            status, body = await client.post("/embeddings", **asked)
            assert (status, body["error"]["param"]) == (400, param)
        assert (await client.post("/embeddings", input="a", model="other"))[0] == 404
        _, full = await client.post("/embeddings", input=[5] * 64)
        assert full["usage"]["prompt_tokens"] == 64

    live(variant, EngineOptions(), use)


@pytest.mark.engines
@needs_compile
def test_a_client_that_leaves_takes_its_texts_with_it(tmp_path: Path, live: Live) -> None:
    variant = write_encoder(tmp_path / "tiny.gguf", encoder(), MEAN)

    async def use(client: Any) -> None:
        request = asyncio.create_task(client.post("/embeddings", input=[[5] * 60] * MAX_INPUTS))
        await client.reached("running")
        request.cancel()
        assert (await client.settled())["progress"] == MAX_INPUTS
        assert (await client.post("/embeddings", input="a"))[0] == 200

    live(variant, EngineOptions(), use)


@pytest.mark.engines
@needs_compile
def test_a_model_that_talks_gives_the_mean_where_its_entry_asks_for_embeddings(tmp_path: Path, live: Live) -> None:
    from transformers import AutoModel

    file = tmp_path / "m.gguf"
    write_gguf(read_checkpoint(BUNDLED), "f32", file, lambda *_told: None)
    variant = Variant(id="m", alias="m", format="gguf", source="here", path=str(file), tasks=("embeddings",))
    prompts = [list(range(300, 300 + length)) for length in (1, 5, 40)]
    model = AutoModel.from_pretrained(BUNDLED).float().eval()
    expected = np.stack([unit(hidden(model, ids).mean(0)) for ids in prompts])

    async def use(client: Any) -> None:
        _, body = await client.post("/embeddings", input=prompts)
        assert np.abs(vectors(body) - expected).max() < 0.01

    live(variant, EngineOptions(), use)


@pytest.mark.engines
@pytest.mark.parametrize("name", ["notes-4m:q8_0", "notes-4m:onnx-int4"])
def test_a_model_that_talks_gives_none(name: str, live: Live, bundled: Mapping[str, Variant]) -> None:
    async def use(client: Any) -> None:
        status, body = await client.post("/embeddings", input="a")
        assert (status, body["error"]["code"], body["error"]["param"]) == (400, "unsupported", "model")
        assert "embeddings" in body["error"]["message"]

    live(bundled[name], EngineOptions(context_length=256), use)


@pytest.mark.engines
@needs_compile
def test_a_model_that_ranks_is_not_started(tmp_path: Path) -> None:
    variant = write_encoder(tmp_path / "tiny.gguf", encoder(), RANK)
    with pytest.raises(EngineStartFailed, match="ranks documents"):
        asyncio.run(engines.load("llamacpp").start(variant, EngineOptions()))


@pytest.mark.parametrize(
    ("architecture", "pooling", "tasks", "expected"),
    [
        ("bert", MEAN, (), "mean"),
        ("bert", CLS, (), "cls"),
        ("bert", None, (), "mean"),
        ("qwen3", LAST, (), "last"),
        ("qwen3", LAST, ("chat",), "last"),
        ("qwen3", 0, (), None),
        ("qwen3", None, (), None),
        ("qwen3", None, ("embeddings",), "mean"),
        ("qwen3", None, ("Sentence-Similarity",), "mean"),
        ("qwen3", None, ("chat", "embeddings"), None),
    ],
)
def test_how_a_file_gives_embeddings(
    architecture: str, pooling: int | None, tasks: tuple[str, ...], expected: str | None
) -> None:
    assert pooling_of(header(architecture, pooling), named(tasks)) == expected
    assert pooling_of(header(architecture, pooling), structs.replace(named(()), capabilities=tasks)) == expected


def test_a_file_that_ranks_is_refused() -> None:
    with pytest.raises(BadInput, match="ranks"):
        pooling_of(header("bert", RANK), named(()))


def header(architecture: str, pooling: int | None) -> GgufHeader:
    told: dict[str, Any] = {"general.architecture": architecture}
    if pooling is not None:
        told[f"{architecture}.pooling_type"] = pooling
    return GgufHeader(3, told, (), {}, {})


def named(tasks: tuple[str, ...]) -> Variant:
    return Variant(id="m", alias="m", format="gguf", source="here", tasks=tasks)


def test_only_so_many_texts_are_taken() -> None:
    with pytest.raises(Refused, match=str(MAX_INPUTS)):
        read_embeddings({"model": "m", "input": ["a"] * (MAX_INPUTS + 1)}, Width())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "neutral"),
    [
        ("truncate_prompt_tokens", 2, -1),
        ("add_special_tokens", False, True),
        ("pooling", "cls", None),
        ("normalize", False, True),
        ("truncate", True, False),
        ("embd_normalize", -1, 2),
    ],
)
def test_what_would_change_the_vectors_is_refused_unless_neutral(name: str, value: Any, neutral: Any) -> None:
    asked = {"model": "m", "input": "a"}
    with pytest.raises(Refused) as refused:
        read_embeddings({**asked, name: value}, Width())  # type: ignore[arg-type]
    assert (refused.value.param, refused.value.code) == (name, "unsupported_parameter")
    assert read_embeddings({**asked, name: neutral}, Width()).texts == ("a",)  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["input", "dimensions", "encoding_format", "normalize"]), JSON, max_size=4))
def test_whatever_comes_in_is_read_or_refused(body: dict[str, Any]) -> None:
    param = None
    try:
        read_embeddings({"model": "m", "input": "hi", **body}, Width())  # type: ignore[arg-type]
    except Refused as refused:
        param = refused.param
    assert param is None or param in body


class Width:
    """As much of a model as the body is checked against."""

    width = 8

    def embed(self, prompt: Any) -> Any:
        raise AssertionError(prompt)
