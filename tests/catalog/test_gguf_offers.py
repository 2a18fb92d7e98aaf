"""GGUF models told from the names of files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog.gguf_offers import gguf_models
from assay.types import File


def files(*paths: str) -> list[File]:
    return [File(path=path, size=1) for path in paths]


@pytest.mark.parametrize(
    ("name", "quantisation", "stem"),
    [
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "q4_k_m", "qwen2.5-0.5b-instruct"),
        ("Phi-3.5-mini-instruct-Q4_K_L.gguf", "q4_k_l", "Phi-3.5-mini-instruct"),
        ("Phi-3-mini-4k-instruct-fp16.gguf", "f16", "Phi-3-mini-4k-instruct"),
        ("Phi-3-mini-4k-instruct-q4.gguf", "q4", "Phi-3-mini-4k-instruct"),
        ("Qwen3-0.6B-UD-Q4_K_XL.gguf", "ud-q4_k_xl", "Qwen3-0.6B"),
        ("Llama-3.2-1B-Instruct.IQ4_XS.gguf", "iq4_xs", "Llama-3.2-1B-Instruct"),
        ("gpt-oss-20b-mxfp4.gguf", "mxfp4", "gpt-oss-20b"),
        ("m.BF16.gguf", "bf16", "m"),
        ("m-Q5_1.GGUF", "q5_1", "m"),
        ("Q8_0.gguf", "q8_0", ""),
        ("gemma-3-4b-it-qat-Q4_0.gguf", "q4_0", "gemma-3-4b-it-qat"),
        ("model.gguf", None, "model"),
        ("seq2seq4.gguf", None, "seq2seq4"),
        ("Q6_K/model.gguf", "q6_k", "model"),
        ("Q6_K/model-Q4_0.gguf", "q4_0", "model"),
        ("x-imatrix-Q4_K_M.gguf", "q4_k_m", "x-imatrix"),
    ],
)
def test_the_quantisation_stands_in_the_name(name: str, quantisation: str | None, stem: str) -> None:
    (model,), left = gguf_models(files(name))
    assert (model.quantisation, model.stem, left) == (quantisation, stem, [])


def test_a_split_model_is_gathered_in_order() -> None:
    paths = [f"Q4_K_M/big-Q4_K_M-{number:05}-of-00003.gguf" for number in (3, 1, 2)]
    (model,), left = gguf_models(files(*paths))
    assert [file.path for file in model.files] == sorted(paths)
    assert (model.quantisation, model.folder, model.stem, left) == ("q4_k_m", "Q4_K_M", "big", [])


def test_the_same_parts_in_two_folders_are_two_models() -> None:
    paths = [f"{folder}/m-{number:05}-of-00002.gguf" for folder in ("Q8_0", "F16") for number in (1, 2)]
    models, _ = gguf_models(files(*paths))
    assert [(model.quantisation, len(model.files)) for model in models] == [("f16", 2), ("q8_0", 2)]


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["m-q8_0-00001-of-00003.gguf", "m-q8_0-00003-of-00003.gguf"], "missing: 2"),
        (["m-00000-of-00001.gguf"], "missing: 1"),
        ([f"m-{number:05}-of-00002.gguf" for number in (1, 2, 3)], "none that the name promises"),
        (["mmproj-F16.gguf"], "reads pictures"),
        (["gemma-mmproj-f16.gguf"], "reads pictures"),
        (["imatrix.gguf"], "no weights"),
        (["ggml-vocab-phi-3.gguf"], "vocabulary"),
        (["my-lora-f16.gguf"], "adapter"),
        (["control-vector-happy.gguf"], "control vector"),
        (["m-Q4_0_4_4.gguf"], "does not read"),
        (["ggml-model-i2_s.gguf"], "does not read"),
        (["m.gguf.part1of2"], "join the pieces"),
        (["m.Q8_0.gguf-split-a"], "join the pieces"),
    ],
)
def test_what_is_no_model_is_told(paths: list[str], why: str) -> None:
    models, left = gguf_models(files(*paths))
    assert models == []
    assert sorted(path for out in left for path in out.paths) == sorted(paths)
    assert all(why in out.why for out in left)


def test_other_files_are_not_spoken_of() -> None:
    assert gguf_models(files("README.md", "config.json", "imatrix.dat")) == ([], [])


NAMES = st.from_regex(r"(a/|Q4_0/)?[a-c](-Q8_0|-f16)?(-0000[0-3]-of-0000[1-3])?\.gguf", fullmatch=True)


@given(st.lists(NAMES, unique=True))
def test_every_file_is_used_once_or_told(paths: list[str]) -> None:
    models, left = gguf_models(files(*paths))
    used = [file.path for model in models for file in model.files]
    assert sorted([*used, *(path for out in left for path in out.paths)]) == sorted(paths)
    for model in models:
        folders = {file.path.rpartition("/")[0] for file in model.files}
        assert folders == {model.folder or ""}
