"""Real checkpoints are read; what is none, or of a kind that is not compiled, is refused with the reason."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from assay.compile import checkpoint_digest, read_checkpoint
from assay.errors import BadInput
from tests.compile.models import BUNDLED


def write_weights(path: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    """A safetensors file of zeros."""
    header: dict[str, Any] = {}
    place = 0
    for name, (dtype, shape) in tensors.items():
        size = {"F32": 4, "BF16": 2, "I32": 4}[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    told = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(told)) + told + bytes(place))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of two tensors."""
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_weights(tmp_path / "model.safetensors", {"a": ("BF16", [2, 3]), "b": ("F32", [2])})
    return tmp_path


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_bundled_checkpoint() -> None:
    read = read_checkpoint(BUNDLED, name="notes", source="hf:a/b", revision="c0ffee")
    assert (read.name, read.source, read.revision) == ("notes", "hf:a/b", "c0ffee")
    assert (read.architecture, read.family, read.dtype) == ("Qwen3ForCausalLM", "qwen3", "fp32")
    assert (read.parameters, read.weight_bytes, read.context_length) == (504928, 504928 * 4, 2048)
    assert (read.tokeniser, read.tied) == ("byte-bpe", True)
    assert read.chat_template
    assert "model.safetensors" in {file.path for file in read.files}


def test_bytes_types_and_places(folder: Path) -> None:
    read = read_checkpoint(folder)
    assert (read.parameters, read.weight_bytes, read.dtype, read.tokeniser) == (8, 20, "bf16", None)
    weight = read.weights["b"]
    assert weight.offset + weight.size == (folder / "model.safetensors").stat().st_size


def test_shards_are_one_checkpoint(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    for tensor, name in names.items():
        write_weights(folder / name, {tensor: ("F32", [4])})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert {name: w.file for name, w in read_checkpoint(folder).weights.items()} == names
    index.write_text(json.dumps({"weight_map": {**names, "c": "model-2.safetensors"}}))
    with pytest.raises(BadInput, match="not complete") as caught:
        read_checkpoint(folder)
    assert "no file holds c" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised already .gptq"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised already .awq"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised already .bitsandbytes"),
        ({"vision_config": {"hidden_size": 8}}, "vision part"),
        ({"audio_config": {"hidden_size": 8}}, "audio part"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"architectures": None, "model_type": None}, "what model it is"),
    ],
)
def test_other_kinds_of_models_are_refused(folder: Path, settings: dict[str, Any], says: str) -> None:
    change_config(folder, **settings)
    with pytest.raises(BadInput, match=says) as caught:
        read_checkpoint(folder)
    assert caught.value.remedy


def test_an_unknown_family_keeps_its_name(folder: Path) -> None:
    change_config(folder, architectures=["FalconForCausalLM"], model_type="falcon")
    assert read_checkpoint(folder).family == "falcon"


def test_pickled_weights_are_refused_with_how_to_convert(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match="pickle") as caught:
        read_checkpoint(folder)
    assert "save_pretrained" in (caught.value.remedy or "")


def test_an_adapter_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadInput, match="an adapter, not a model") as caught:
        read_checkpoint(folder)
    assert "merge" in (caught.value.remedy or "")


def test_weights_that_are_no_floats_are_refused(folder: Path) -> None:
    write_weights(folder / "model.safetensors", {"a": ("I32", [2])})
    with pytest.raises(BadInput, match="type I32"):
        read_checkpoint(folder)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no folder"):
        read_checkpoint(tmp_path / "none")
    with pytest.raises(BadInput):
        read_checkpoint(tmp_path)


def test_the_digest_is_of_contents(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy") / "elsewhere"
    shutil.copytree(folder, copy)
    told: list[tuple[int, int]] = []
    digest = checkpoint_digest(read_checkpoint(folder), lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    assert checkpoint_digest(read_checkpoint(copy)) == digest
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert checkpoint_digest(read_checkpoint(copy)) != digest
