"""Filters and search of a list of models."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from assay.catalog import Filter, parse_filter
from assay.catalog.filters import KEYS, keeps, searched
from assay.errors import BadInput


class Model(Struct, frozen=True, kw_only=True):
    alias: str
    id: str = "id"
    device: str | None = None
    engines: tuple[str, ...] = ()
    licence: str | None = None
    tasks: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    notes: str | None = None


PHI = Model(
    alias="phi-4-mini", id="phi-4-mini:q4_k_m", device="cpu", engines=("llamacpp",), licence="mit", tasks=("chat",),
    capabilities=("code",), languages=("en", "de"), notes="Small and quick",
)  # fmt: skip
GEMMA = Model(
    alias="gemma-2-2b", device="gpu", engines=("onnxruntime_genai",), licence="gemma", tasks=("chat-completion",)
)
EMBED = Model(alias="nomic", device="npu", licence="cc-by-nc-4.0", tasks=("feature-extraction",))
BARE = Model(alias="bare")
MODELS = (PHI, GEMMA, EMBED, BARE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("device=cpu", [PHI]),
        ("device=CPU", [PHI]),
        ("device=!gpu", [PHI, EMBED, BARE]),
        ("!device=gpu", [PHI, EMBED, BARE]),
        ("device!=gpu", [PHI, EMBED, BARE]),
        ("alias=phi-4-mini", [PHI]),
        ("alias=phi", []),
        ("alias=Phi*", [PHI]),
        ("alias=!phi*", [GEMMA, EMBED, BARE]),
        ("task=chat", [PHI, GEMMA]),
        ("task=chat-completion", [PHI, GEMMA]),
        ("task=embeddings", [EMBED]),
        ("task=cod*", [PHI]),
        ("task=!chat", [EMBED, BARE]),
        ("provider=llamacpp", [PHI]),
        ("provider=onnx*", [GEMMA]),
        ("provider=CPUExecutionProvider", [PHI]),
        ("provider=CUDAExecutionProvider", [GEMMA]),
        ("provider=webgpu", [GEMMA]),
        ("provider=QNNExecutionProvider", [EMBED]),
        ("provider=!cpu", [GEMMA, EMBED, BARE]),
        ("licence=MIT", [PHI]),
        ("license=permissive", [PHI]),
        ("licence=non-commercial", [EMBED]),
        ("licence=restricted use", [GEMMA]),
        ("licence=restricted-use", [GEMMA]),
        ("licence=unknown", [BARE]),
        ("licence=cc-by*", [EMBED]),
        (" task = chat ", [PHI, GEMMA]),
    ],
)
def test_what_a_filter_keeps(text: str, found: list[Model]) -> None:
    assert [model for model in MODELS if keeps([parse_filter(text)], model)] == found


def test_all_filters_must_agree() -> None:
    both = [parse_filter("task=chat"), parse_filter("device=!gpu")]
    assert [model for model in MODELS if keeps(both, model)] == [PHI]
    assert all(keeps([], model) for model in MODELS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size=4", "the keys are device, task, alias, provider, licence"),
        ("licens=mit", "licence=mit"),
        ("chat", "key=value is expected"),
        ("device=", "key=value is expected"),
        ("alias=*", "key=value is expected"),
        ("=cpu", "key=value is expected"),
        ("", "key=value is expected"),
    ],
)
def test_what_is_no_filter_is_told(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        parse_filter(text)


@given(
    st.sampled_from(KEYS),
    st.from_regex(r"[a-z0-9][a-z0-9 ._-]{0,10}[a-z0-9]", fullmatch=True),
    st.booleans(),
    st.booleans(),
)
def test_a_filter_is_read_as_it_is_written(key: str, value: str, negated: bool, prefix: bool) -> None:
    written = f"{key}={'!' if negated else ''}{value.upper()}{'*' if prefix else ''}"
    assert parse_filter(written) == Filter(key, value, negated, prefix)  # type: ignore[arg-type]


@given(st.text())
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        read = parse_filter(text)
    except BadInput:
        return
    for model in MODELS:
        opposite = Filter(read.key, read.value, not read.negated, read.prefix)
        assert keeps([read], model) is not keeps([opposite], model)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("phi", [PHI]),
        ("CODE phi", [PHI]),
        ("de", [PHI]),
        ("quick", [PHI]),
        ("chat", [PHI, GEMMA]),
        ("chat phi gemma", []),
        ("mini", [PHI]),
        ("", list(MODELS)),
    ],
)
def test_every_word_must_be_found(text: str, found: list[Model]) -> None:
    assert searched(MODELS, text) == found


def test_an_alias_counts_more_than_a_note() -> None:
    models = [
        Model(alias="a", notes="like qwen"), Model(alias="b", id="b:qwen"), Model(alias="c", tasks=("qwen",)),
        Model(alias="big-qwen"), Model(alias="qwen2.5"), Model(alias="qwen"),
    ]  # fmt: skip
    assert searched(models, "QWEN") == models[::-1]
