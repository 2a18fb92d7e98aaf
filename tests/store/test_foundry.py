from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.formats import without_version
from assay.store import foundry
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder


def test_the_cache_of_its_service_is_looked_into(tmp_path: Path) -> None:
    assert foundry.folders(tmp_path) == [tmp_path / ".foundry" / "cache" / "models"]


def test_models_have_the_name_and_version_of_their_file(tmp_path: Path) -> None:
    named = write_onnx_folder(
        tmp_path / "Microsoft" / "phi-4-mini-generic-cpu-5" / "v5",
        inference_model__json=json.dumps({"Name": "phi-4-mini-generic-cpu:5", "PromptTemplate": {}}),
    )
    above = write_onnx_folder(tmp_path / "Microsoft" / "Old" / "cpu-int4")
    (above.parent / "inference_model.json").write_bytes(b'\xef\xbb\xbf{"Name": "old-generic-cpu"}')
    nameless = write_onnx_folder(tmp_path / "mine" / "v12")
    own = write_onnx_folder(tmp_path / "own", inference_model__json="[]")
    write_gguf(tmp_path / "mine" / "tiny.gguf")
    assert [(name, entry.path) for name, entry in foundry.models(tmp_path)] == [
        ("old-generic-cpu", above),
        ("phi-4-mini-generic-cpu:5", named),
        ("mine", nameless),
        ("own", own),
    ]


def test_a_name_file_beside_all_models_names_none_of_them(tmp_path: Path) -> None:
    write_onnx_folder(tmp_path / "one")
    (tmp_path / "inference_model.json").write_text('{"Name": "all"}', encoding="utf-8")
    assert [name for name, _ in foundry.models(tmp_path)] == ["one"]
    assert foundry.name_of(tmp_path, tmp_path) == "all"


@pytest.mark.parametrize(
    ("name", "stem"), [("phi:5", "phi"), ("phi", "phi"), ("phi:latest", "phi:latest"), (":5", ":5"), ("a:b:2", "a:b")]
)
def test_the_version_is_a_number_after_the_last_colon(name: str, stem: str) -> None:
    assert without_version(name) == stem
