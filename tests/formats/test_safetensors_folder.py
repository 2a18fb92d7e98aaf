"""Checkpoint folders: whole ones, ones with files missing, and pickles, which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.errors import BadInput
from assay.formats import is_safetensors_folder, read_safetensors_folder
from tests.formats.safetensors_bytes import CONFIG, write_checkpoint


def test_one_file(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (folder / ".cache").write_text("not a file of the model")
    read = read_safetensors_folder(folder)
    assert (read.weights, read.parameters, read.dtypes, read.dtype) == (96, 40, {"BF16": 32, "F32": 8}, "BF16")
    assert (read.context_length, read.chat_template) == (4096, True)
    assert [file.path for file in read.files] == ["config.json", "model.safetensors", "tokenizer_config.json"]
    assert read.files[1].size == (folder / "model.safetensors").stat().st_size


def test_shards(tmp_path: Path) -> None:
    read = read_safetensors_folder(write_checkpoint(tmp_path / "m", shards=3))
    assert (read.weights, read.parameters, read.dtype, read.chat_template) == (24, 12, "F16", False)
    assert len([file for file in read.files if file.path.endswith(".safetensors")]) == 3


def test_the_language_part_tells_the_context(tmp_path: Path) -> None:
    config = {"model_type": "gemma3", "text_config": {"max_position_embeddings": 32768}}
    assert read_safetensors_folder(write_checkpoint(tmp_path / "m", config)).context_length == 32768


def test_a_single_file_by_another_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert read_safetensors_folder(folder).parameters == 40


def test_weights_beside_pickles_are_read_and_the_pickles_left(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    assert all(not file.path.endswith(".bin") for file in read_safetensors_folder(folder).files)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt", "last.ckpt"])
def test_pickles_are_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / name).write_bytes(b"\x80\x02}q\x00.")
    assert is_safetensors_folder(folder)
    with pytest.raises(BadInput, match="pickle") as caught:
        read_safetensors_folder(folder)
    assert "save_pretrained" in (caught.value.remedy or "")
    assert str(folder) in (caught.value.remedy or "")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadInput, match="model-00002-of-00002"):
        read_safetensors_folder(folder)


def test_shards_without_an_index(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(BadInput, match="not complete"):
        read_safetensors_folder(folder)


@pytest.mark.parametrize(
    "name", ["/etc/model.safetensors", "../m.safetensors", "..\\m.safetensors", "C:m.safetensors", "model.bin"]
)
def test_an_index_that_names_what_is_no_file_of_the_model(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises(BadInput, match="no file of it"):
        read_safetensors_folder(folder)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": {}}', '{"weight_map": {"w": 1}}', "[]", "{"])
def test_an_index_that_names_nothing(tmp_path: Path, index: str) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(BadInput, match=r"index\.json"):
        read_safetensors_folder(folder)


def test_no_weights_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not is_safetensors_folder(tmp_path)
    with pytest.raises(BadInput, match="holds no weights"):
        read_safetensors_folder(tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_safetensors_folder(tmp_path / "none")


def test_a_broken_configuration(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "config.json").write_text("{")
    with pytest.raises(BadInput, match=r"config\.json is not JSON"):
        read_safetensors_folder(folder)
    (folder / "config.json").unlink()
    assert not is_safetensors_folder(folder)
    with pytest.raises(BadInput, match=r"config\.json cannot be read"):
        read_safetensors_folder(folder)
