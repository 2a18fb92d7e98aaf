"""ONNX Runtime GenAI folders told from the paths of files."""

from __future__ import annotations

import pytest

from assay.catalog.onnx_offers import onnx_models
from assay.types import File
from tests.catalog.repos import ONNX, within


def files(*paths: str) -> list[File]:
    return [File(path=path, size=1) for path in paths]


@pytest.mark.parametrize(
    ("folder", "quantisation", "provider", "device"),
    [
        ("cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4", "int4", "cpu", "cpu"),
        ("gpu/gpu-int4-awq-block-128", "int4", "gpu", "gpu"),
        ("cuda/cuda-fp16", "f16", "cuda", "gpu"),
        ("cuda/cuda-int4-rtn-block-32", "int4", "cuda", "gpu"),
        ("directml/directml-int4-awq-block-128", "int4", "directml", "gpu"),
        ("onnx/cpu_fp32", "f32", "cpu", "cpu"),
        ("npu/qnn-int4", "int4", "qnn", "npu"),
        ("bf16-cuda", "bf16", "cuda", "gpu"),
        ("webgpu-int4", "int4", "webgpu", "gpu"),
        ("some/folder", None, None, None),
    ],
)
def test_device_and_precision_stand_in_the_path(
    folder: str, quantisation: str | None, provider: str | None, device: str | None
) -> None:
    (model,), left = onnx_models(files(*within(folder, *ONNX)))
    assert (model.folder, model.quantisation, model.provider, model.device) == (folder, quantisation, provider, device)
    assert left == []


@pytest.mark.parametrize(
    ("hint", "quantisation", "device"),
    [
        ("Phi-3-mini-4k-instruct-onnx-cuda-fp16", "f16", "gpu"),
        ("Qwen2.5-0.5B-ONNX-INT4-CPU", "int4", "cpu"),
        ("Phi-3-mini", None, None),
    ],
)
def test_a_model_at_the_top_is_told_by_the_repository(hint: str, quantisation: str | None, device: str | None) -> None:
    (model,), _ = onnx_models(files(*ONNX), hint)
    assert (model.folder, model.quantisation, model.device) == (None, quantisation, device)


def test_only_what_is_needed() -> None:
    beside = ["README.md", "LICENSE", ".gitattributes", "configuration_phi3.py", "model.safetensors", "logo.png"]
    (model,), _ = onnx_models(files(*within("cpu", *ONNX, *beside, "vocab.json", "merges.txt", "x.onnx_data")))
    assert {file.path for file in model.files} == set(within("cpu", *ONNX, "vocab.json", "merges.txt", "x.onnx_data"))


def test_a_plain_export_is_told() -> None:
    models, left = onnx_models(files("config.json", "onnx/model.onnx", "onnx/model_q4.onnx", "onnx/model.onnx_data"))
    assert models == []
    assert left[0].paths == ("onnx/model.onnx", "onnx/model_q4.onnx")
    assert "without genai_config.json" in left[0].why


@pytest.mark.parametrize("folder", ["", "a/"])
def test_a_configuration_without_a_graph_is_told(folder: str) -> None:
    models, left = onnx_models(files(f"{folder}genai_config.json", f"{folder}tokenizer.json"))
    assert models == []
    assert left[0].paths == (f"{folder}genai_config.json",)
