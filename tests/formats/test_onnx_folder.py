"""Folders of ONNX Runtime GenAI: sound, incomplete, broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.catalog import bundled_variants
from assay.errors import BadInput
from assay.formats.onnx_folder import read_onnx_folder
from tests.formats.onnx_bytes import FULL, graph, initializer, write_onnx_folder


def test_what_the_folder_says(tmp_path: Path) -> None:
    onnx = graph(initializer((4, 4), 10, external="model.onnx.data"))
    folder = write_onnx_folder(
        tmp_path / "m",
        onnx,
        model__onnx__data=b"12345",
        tokenizer__json="{}",
        tokenizer_config__json=json.dumps({"chat_template": "{{ messages }}"}),
        inference_model__json=json.dumps({"Name": "phi-4-mini:2"}),
    )
    read = read_onnx_folder(folder)
    assert (read.context_length, read.quantisation) == (4096, "f16")
    assert (read.name, read.chat_template) == ("phi-4-mini", True)
    assert {file.path: file.size for file in read.files} == {
        "genai_config.json": (folder / "genai_config.json").stat().st_size,
        "inference_model.json": 24,
        "model.onnx": len(onnx),
        "model.onnx.data": 5,
        "tokenizer.json": 2,
        "tokenizer_config.json": 35,
    }


def test_unknown_is_none(tmp_path: Path) -> None:
    read = read_onnx_folder(write_onnx_folder(tmp_path / "m", graph(), model={"decoder": {"filename": "model.onnx"}}))
    assert read[:4] == (None, None, None, False)


def test_a_pipeline_of_several_graphs_in_a_folder_below(tmp_path: Path) -> None:
    model = {"decoder": {"pipeline": [{"embed": {"filename": "sub/a.onnx"}}, {"head": {"filename": "model.onnx"}}]}}
    folder = write_onnx_folder(tmp_path / "m", model=model)
    (folder / "sub").mkdir()
    (folder / "sub/a.onnx").write_bytes(graph(initializer((9, 9), 10)))
    read = read_onnx_folder(folder)
    assert [file.path for file in read.files] == ["genai_config.json", "model.onnx", "sub/a.onnx"]
    assert read.quantisation is None, "two graphs say two things"


def test_a_graph_is_missing(tmp_path: Path) -> None:
    folder = write_onnx_folder(tmp_path / "m")
    (folder / "model.onnx").unlink()
    with pytest.raises(BadInput, match=r"names model\.onnx, which is not there"):
        read_onnx_folder(folder)


def test_weights_are_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"names model\.onnx\.data, which is not there"):
        read_onnx_folder(write_onnx_folder(tmp_path / "m", graph(initializer((2, 2), 1, external="model.onnx.data"))))


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "..\\secret", "C:secret", "C:\\secret", "\\\\host\\share\\secret"]
)
def test_weights_that_lie_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    with pytest.raises(BadInput, match="lies elsewhere"):
        read_onnx_folder(write_onnx_folder(tmp_path / "m", graph(initializer((2, 2), 1, external=name))))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model": 3}', '{"model": {}}', "[" * 100_000])
def test_broken_configurations(tmp_path: Path, text: str) -> None:
    folder = write_onnx_folder(tmp_path / "m")
    (folder / "genai_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"genai_config\.json"):
        read_onnx_folder(folder)


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    folder = write_onnx_folder(tmp_path / "m", FULL)
    config = folder / "genai_config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert read_onnx_folder(folder).context_length == 4096


def test_the_bundled_model_says_what_its_manifest_says() -> None:
    variants = [variant for variant in bundled_variants() if variant.format == "onnx"]
    assert variants
    for variant in variants:
        assert variant.path is not None
        read = read_onnx_folder(Path(variant.path))
        assert (read.quantisation, read.context_length) == (variant.quantisation, variant.context_length)
        assert read.chat_template
        assert {f.path: f.size for f in read.files} == {f.path: f.size for f in variant.files}
