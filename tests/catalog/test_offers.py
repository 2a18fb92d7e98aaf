"""What repositories offer, from the lists of their files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import chosen, offers
from assay.catalog.offers import NO_LANGUAGE, alias_of, matches
from assay.types import Repo
from tests.catalog.repos import CHECKPOINT, ONNX, repo, within

PHI = repo(
    "microsoft/Phi-4-mini-instruct-onnx",
    "README.md",
    "config.json",
    *within("cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4", *ONNX),
    *within("gpu/gpu-int4-rtn-block-32", *ONNX),
    licence="mit",
    task="text-generation",
    languages=("en",),
    context_length=131072,
    base_models=("microsoft/Phi-4-mini-instruct",),
    tags=("conversational", "code"),
)
QWEN = repo(
    "Qwen/Qwen2.5-7B-Instruct-GGUF",
    "qwen2.5-7b-instruct-q2_k.gguf",
    "qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf",
    "qwen2.5-7b-instruct-q4_k_m-00002-of-00002.gguf",
    parameters=7_615_616_512,
    chat_template=True,
)


def ids(one: Repo, alias: str | None = None) -> list[str]:
    return [variant.id for variant in offers(one, alias).variants]


def test_what_a_repository_tells_goes_into_each_variant() -> None:
    cpu, gpu = offers(PHI, "phi-4-mini").variants
    assert (cpu.id, gpu.id) == ("phi-4-mini:onnx-int4-cpu", "phi-4-mini:onnx-int4-gpu")
    assert (cpu.device, gpu.device) == ("cpu", "gpu")
    assert (cpu.source, cpu.revision) == ("hf:microsoft/Phi-4-mini-instruct-onnx", PHI.revision)
    assert cpu.folder == "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4"
    assert {file.path for file in cpu.files} == set(ONNX)
    assert cpu.files[0].sha256
    assert (cpu.licence, cpu.context_length, cpu.languages) == ("mit", 131072, ("en",))
    assert (cpu.tasks, cpu.capabilities) == (("text-generation",), ("chat", "code"))
    assert cpu.base == "microsoft/Phi-4-mini-instruct"
    assert not cpu.here


def test_gguf_by_quantisation() -> None:
    small, split = offers(QWEN).variants
    assert (small.id, split.id) == ("qwen2.5-7b-instruct:q2_k", "qwen2.5-7b-instruct:q4_k_m")
    assert (split.disk, len(split.files), split.folder) == (200, 2, None)
    assert (split.parameters, split.capabilities) == (7_615_616_512, ("chat",))


def test_several_models_in_one_repository() -> None:
    one = repo("o/mix-GGUF", "a-0.5b-q4_0.gguf", "b-7b-q4_0.gguf", "mix-q8_0.gguf", "mix-imat-q8_0.gguf", parameters=9)
    variants = offers(one).variants
    assert [v.id for v in variants] == ["mix:a-0-5b-q4_0", "mix:b-7b-q4_0", "mix:imat-q8_0", "mix:q8_0"]
    assert {v.parameters for v in variants} == {None}


def test_equal_ids_become_unlike() -> None:
    rtn, awq = "cpu/cpu-int4-rtn-block-32", "cpu/cpu-int4-awq-block-128"
    one = repo("o/m-onnx", *within(rtn, *ONNX), *within(awq, *ONNX))
    assert ids(one) == ["m:onnx-int4-cpu", "m:onnx-cpu-int4-rtn-block-32"]
    assert ids(repo("o/m-GGUF", "a/m-q8_0.gguf", "b/m-q8_0.gguf", "c/b/m-q8_0.gguf")) == [
        "m:q8_0", "m:gguf-b", "m:q8_0-2",
    ]  # fmt: skip


def test_pictures_are_read_by_another_file() -> None:
    one = repo("o/v-GGUF", "v-q8_0.gguf", "mmproj-f16.gguf", task="image-text-to-text", chat_template=True)
    found = offers(one)
    assert found.variants[0].capabilities == ("chat",)
    assert [out.paths for out in found.left_out] == [("mmproj-f16.gguf",)]
    assert offers(repo("o/v", *CHECKPOINT, "model.safetensors", task="image-text-to-text")).variants[
        0
    ].capabilities == ("vision",)


@pytest.mark.parametrize(
    ("name", "told", "word"),
    [
        ("o/deepseek-coder-1.3b", {}, "code"),
        ("o/m", {"tags": ("tool-use",)}, "tools"),
        ("o/Phi-4-mini-reasoning", {}, "reasoning"),
        ("o/m", {"task": "sentence-similarity"}, "embeddings"),
    ],
)
def test_capabilities_that_it_says_itself(name: str, told: dict[str, object], word: str) -> None:
    assert word in offers(repo(name, "m.gguf", **told)).variants[0].capabilities
    assert word not in offers(repo("o/plain", "m.gguf")).variants[0].capabilities


def test_pickles_are_no_variants_and_the_reason_says_how_to_convert() -> None:
    found = offers(repo("o/old", "config.json", "tokenizer.json", "pytorch_model.bin", "tf_model.h5"))
    assert found.variants == ()
    assert found.left_out[0].paths == ("pytorch_model.bin",)
    assert "never loaded" in found.why_none
    assert "M.from_pretrained('o/old').save_pretrained('o/old-safetensors')" in found.why_none
    assert "another framework" in found.why_none


def test_pickles_beside_safetensors_are_left_out() -> None:
    found = offers(repo("o/m", *CHECKPOINT, "model.safetensors", "pytorch_model-1.bin", "pytorch_model-2.bin"))
    assert [variant.id for variant in found.variants] == ["m:safetensors"]
    assert found.left_out[0].paths == ("pytorch_model-1.bin", "pytorch_model-2.bin")
    assert "pytorch_model-1.bin and 1 more" in found.why_none


def test_what_lies_in_an_onnx_folder_is_no_pickle() -> None:
    assert offers(repo("o/m", *within("npu/qnn-int4", *ONNX, "context.bin"))).left_out == ()


@pytest.mark.parametrize("task", ["text-to-image", "automatic-speech-recognition"])
def test_a_model_for_something_else_than_language(task: str) -> None:
    found = offers(repo("o/flux-GGUF", "flux-q4_0.gguf", task=task))
    assert found.variants == ()
    assert task in found.why_none


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct"),
        ("o/Phi-3.5-mini-instruct-onnx", "phi-3.5-mini-instruct"),
        ("o/m.i1-GGUF", "m"),
        ("o/gguf", "gguf"),
        ("o/plain", "plain"),
    ],
)
def test_what_a_repository_calls_its_models(name: str, alias: str) -> None:
    assert alias_of(name) == alias


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (None, ["phi:onnx-int4-cpu", "phi:onnx-int4-gpu"]),
        ("onnx-int4-cpu", ["phi:onnx-int4-cpu"]),
        ("ONNX-INT4", ["phi:onnx-int4-cpu", "phi:onnx-int4-gpu"]),
        ("int4", ["phi:onnx-int4-cpu", "phi:onnx-int4-gpu"]),
        ("onnx", ["phi:onnx-int4-cpu", "phi:onnx-int4-gpu"]),
        ("onnx-gpu", ["phi:onnx-int4-gpu"]),
        ("cpu", ["phi:onnx-int4-cpu"]),
        ("gpu/gpu-int4-rtn-block-32", ["phi:onnx-int4-gpu"]),
        ("cpu_and_mobile", ["phi:onnx-int4-cpu"]),
        ("gpu/gpu-int4-rtn-block-32/model.onnx", ["phi:onnx-int4-gpu"]),
        ("q4_0", []),
    ],
)
def test_selectors_of_folders(selector: str | None, found: list[str]) -> None:
    assert [variant.id for variant in chosen(offers(PHI, "phi").variants, selector)] == found


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("Q4_K_M", ["qwen2.5-7b-instruct:q4_k_m"]),
        ("qwen2.5-7b-instruct-q2_k.gguf", ["qwen2.5-7b-instruct:q2_k"]),
        ("gguf", ["qwen2.5-7b-instruct:q2_k", "qwen2.5-7b-instruct:q4_k_m"]),
        ("q4", []),
    ],
)
def test_selectors_of_files(selector: str, found: list[str]) -> None:
    assert [variant.id for variant in chosen(offers(QWEN).variants, selector)] == found


def test_fp16_is_f16() -> None:
    (variant,) = offers(repo("o/m-GGUF", "m-fp16.gguf")).variants
    assert matches(variant, "fp16")
    assert matches(variant, "F16")


FOLDERS = st.sampled_from(["", "a/", "cpu/cpu-int4/", "cpu/cpu-int4-x/", "Q4_0/"])
NAMES = st.sampled_from([
    "m-q8_0.gguf", "x-Q4_0.gguf", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj-f16.gguf", "model.onnx",
    "genai_config.json", "config.json", "model.safetensors", "adapter_config.json", "model-00001-of-00002.safetensors",
    "pytorch_model.bin", "README.md", "tokenizer.json", "a.safetensors",
])  # fmt: skip


@given(
    st.lists(st.builds("{}{}".format, FOLDERS, NAMES), unique=True), st.sampled_from([*sorted(NO_LANGUAGE)[:1], None])
)
def test_ids_are_unique_and_files_are_the_repositorys_own(paths: list[str], task: str | None) -> None:
    one = repo("o/m", *paths, task=task)
    found = offers(one)
    assert len({variant.id for variant in found.variants}) == len(found.variants)
    for variant in found.variants:
        assert variant.files
        assert re.fullmatch(r"m:[a-z0-9._/-]+", variant.id)
        inside = {f"{variant.folder}/{file.path}" if variant.folder else file.path for file in variant.files}
        assert inside <= set(paths)
        assert chosen(found.variants, variant.id.partition(":")[2]) == [variant]
    weights = {path for path in paths if PurePosixPath(path).suffix in {".gguf", ".safetensors"}}
    used = {f"{v.folder}/{f.path}" if v.folder else f.path for v in found.variants for f in v.files}
    assert weights <= used | {path for out in found.left_out for path in out.paths}
