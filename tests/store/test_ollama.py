from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.store import ollama
from tests.store.foreign_folders import pulled, sha256, tiny


def test_the_environment_comes_first(tmp_path: Path) -> None:
    own = tmp_path / ".ollama" / "models"
    service = [Path("/usr/share/ollama/.ollama/models")] if sys.platform.startswith("linux") else []
    assert ollama.folders({}, tmp_path) == [own, *service]
    assert ollama.folders({"OLLAMA_MODELS": "/data/ollama"}, tmp_path) == [Path("/data/ollama"), own, *service]


def test_models_have_the_names_that_ollama_shows(tmp_path: Path) -> None:
    path = pulled(tmp_path, "llama3.2", {"model": tiny(), "template": b"{{ .Prompt }}", "params": b"{}"}, tag="1b")
    pulled(tmp_path, "llama3.2", {"model": tiny()})
    pulled(tmp_path, "mine", {"model": tiny("mine")}, namespace="ada", tag="q8_0")
    pulled(tmp_path, "Tiny-GGUF", {"model": tiny("hub")}, host="hf.co", namespace="org", tag="Q4_K_M")
    found = ollama.models(tmp_path)
    assert [name for name, _ in found] == [
        "hf.co/org/Tiny-GGUF:Q4_K_M",
        "ada/mine:q8_0",
        "llama3.2:1b",
        "llama3.2:latest",
    ]
    assert found[2][1] == (path, "gguf", len(tiny()))


def test_what_is_not_one_gguf_file_is_left_out(tmp_path: Path) -> None:
    pulled(tmp_path, "adapted", {"model": tiny(), "adapter": b"GGUF"})
    pulled(tmp_path, "tensors", {"tensor": b"x"})
    pulled(tmp_path, "other", {"model": b"NOPE" + bytes(60)})
    pulled(tmp_path, "gone", {"model": tiny("gone")}).unlink()
    manifests = tmp_path / "manifests" / "registry.ollama.ai" / "library" / "bad"
    manifests.mkdir()
    digest = '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../etc/passwd"}]}'
    for tag, content in {"a": "{", "b": "[]", "c": '{"layers": 3}', "d": '{"layers": [1]}', "e": digest}.items():
        (manifests / tag).write_text(content, encoding="utf-8")
    assert ollama.models(tmp_path) == []
    assert ollama.models(tmp_path / "nowhere") == []


def test_a_blob_is_found_by_its_hash(tmp_path: Path) -> None:
    path = pulled(tmp_path, "m", {"model": tiny()})
    assert ollama.blob(tmp_path, sha256(tiny())) == path
    assert ollama.blob(tmp_path, sha256(b"")) is None
    assert ollama.blob(tmp_path, None) is None


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("Llama3.2:1B", "llama3.2:1b"),
        ("library/llama3.2", "llama3.2:latest"),
        ("registry.ollama.ai/library/llama3.2:1b", "llama3.2:1b"),
        ("ada/mine", "ada/mine:latest"),
        ("localhost:5000/ada/mine", "localhost:5000/ada/mine:latest"),
    ],
)
def test_names_are_completed_as_ollama_does(asked: str, name: str) -> None:
    assert ollama.canonical(asked) == name


@given(st.text(alphabet="abcXYZ:/.-_1", max_size=40))
def test_a_complete_name_stays(text: str) -> None:
    once = ollama.canonical(text)
    assert ":" in once
    assert ollama.canonical(f"registry.ollama.ai/library/{text}") == ollama.canonical(f"library/{text}")
