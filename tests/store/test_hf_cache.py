from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.store import hf_cache
from assay.types import File
from tests.formats.onnx_bytes import write_onnx_folder
from tests.store.conftest import blob
from tests.store.foreign_folders import cached, safetensors, sha256, tiny

HOME = Path("/home/ada")


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({}, "/home/ada/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/huggingface/hub"),
        ({"HF_HOME": "/hf"}, "/hf/hub"),
        ({"HF_HOME": "~/hf", "XDG_CACHE_HOME": "/xdg"}, "/home/ada/hf/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"}, "/old"),
        ({"HF_HUB_CACHE": "/hub", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"}, "/hub"),
        ({"HF_HUB_CACHE": ""}, "/home/ada/.cache/huggingface/hub"),
    ],
)
def test_the_environment_says_where_it_lies_as_it_does_to_its_own_program(env: dict[str, str], folder: str) -> None:
    assert hf_cache.folders(env, HOME) == [Path(folder)]


def test_its_own_program_makes_the_folders_that_are_read(tmp_path: Path) -> None:
    file_download = pytest.importorskip("huggingface_hub.file_download")
    assert hf_cache.newest_snapshot(tmp_path / "models--org--name") is None
    folder = file_download.repo_folder_name(repo_id="org/name", repo_type="model")
    assert cached(tmp_path, "org/name", {"a.gguf": tiny()}).parents[1] == tmp_path / folder


def test_models_have_the_repository_in_their_name(tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "org/two-GGUF", {"a-q4.gguf": tiny(), "sub/a-q8.gguf": tiny("other")})
    whole = cached(tmp_path, "org/safe", {"config.json": b"{}", "model.safetensors": safetensors(), "README.md": b"x"})
    onnx = write_onnx_folder(cached(tmp_path, "org/onnx", {"README.md": b"x"}) / "cpu" / "int4")
    cached(tmp_path, "org/empty", {"README.md": b"x"})
    (tmp_path / "datasets--org--data").mkdir()
    (tmp_path / "models--gpt2" / "snapshots").mkdir(parents=True)
    found = hf_cache.models(tmp_path)
    assert [(name, entry.path, entry.format) for name, entry in found] == [
        ("org/onnx/cpu/int4", onnx, "onnx"),
        ("org/safe", whole, "safetensors"),
        ("org/two-GGUF/a-q4.gguf", snapshot / "a-q4.gguf", "gguf"),
        ("org/two-GGUF/sub/a-q8.gguf", snapshot / "sub" / "a-q8.gguf", "gguf"),
    ]
    assert found[2][1].size == len(tiny())


def test_the_snapshot_that_main_names_counts_else_the_newest(tmp_path: Path) -> None:
    old = cached(tmp_path, "org/m", {"a.gguf": tiny()}, "a" * 40, main=False)
    new = cached(tmp_path, "org/m", {"a.gguf": tiny("new")}, "b" * 40, main=False)
    os.utime(old, ns=(1, 1))
    assert hf_cache.newest_snapshot(tmp_path / "models--org--m") == new
    cached(tmp_path, "org/m", {"b.gguf": tiny()}, "a" * 40)
    assert hf_cache.newest_snapshot(tmp_path / "models--org--m") == old
    (old.parents[1] / "refs" / "main").write_text("../../..", encoding="ascii")
    os.utime(old, ns=(1, 1))
    assert hf_cache.newest_snapshot(tmp_path / "models--org--m") == new


def test_a_blob_is_found_by_either_hash_and_only_with_the_right_size(tmp_path: Path) -> None:
    content, small = tiny(), b'{"small": true}'
    snapshot = cached(tmp_path, "org/m", {"a.gguf": content})
    by_git = snapshot.parents[1] / "blobs" / blob(small)
    by_git.write_bytes(small)
    large = (snapshot / "a.gguf").resolve()
    assert hf_cache.blob(tmp_path, File(path="x", sha256=sha256(content))) == large
    assert hf_cache.blob(tmp_path, File(path="x", size=len(content), sha256=sha256(content))) == large
    assert hf_cache.blob(tmp_path, File(path="x", size=len(small), git_sha1=blob(small))) == by_git
    assert hf_cache.blob(tmp_path, File(path="x", size=1, sha256=sha256(content))) is None
    assert hf_cache.blob(tmp_path, File(path="x", sha256=sha256(b"other"))) is None
    assert hf_cache.blob(tmp_path, File(path="x", size=len(content))) is None
    assert hf_cache.blob(tmp_path / "nowhere", File(path="x", sha256=sha256(content))) is None


def test_a_download_that_is_not_whole_is_not_taken_for_the_blob(tmp_path: Path) -> None:
    content = tiny()
    snapshot = cached(tmp_path, "org/m", {"a.gguf": content})
    large = (snapshot / "a.gguf").resolve()
    large.rename(large.with_name(f"{large.name}.incomplete"))
    assert hf_cache.blob(tmp_path, File(path="x", sha256=sha256(content))) is None
    assert hf_cache.models(tmp_path) == []
