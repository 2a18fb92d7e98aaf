"""Hashes of files, remembered for each state of a file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from assay.catalog import bundled_variants, folder_of, variants_at, with_digests
from assay.errors import BadInput
from assay.types import File, Variant
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_of_a_variant(tmp_path: Path) -> None:
    folder = write_onnx_folder(tmp_path / "m")
    (variant,) = variants_at(folder)
    hashed = with_digests(variant)
    assert {file.path: file.sha256 for file in hashed.files} == {
        name: sha256(folder / name) for name in ("genai_config.json", "model.onnx")
    }
    assert hashed.digest != variant.digest
    assert folder_of(variant) == folder


def test_two_files_of_one_name_are_two_variants_before_they_are_hashed(tmp_path: Path) -> None:
    one, other = (write_gguf(tmp_path / name / "m.gguf") for name in ("one", "other"))
    with other.open("ab") as file:
        file.write(bytes(32))
    (first,), (second,) = variants_at(one), variants_at(other)
    assert first.source == second.source
    assert first.digest != second.digest


def test_a_state_once_seen_is_not_read_again(tmp_path: Path) -> None:
    path, cache = write_gguf(tmp_path / "m.gguf"), tmp_path / "deep/hashes.json"
    (variant,) = variants_at(path)
    first = with_digests(variant, cache)
    state = path.stat()
    path.write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert with_digests(variant, cache) == first, "same path, size and time: remembered"
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert with_digests(variant, cache).files[0].sha256 == sha256(path), "another time: read again"
    other = tmp_path / "other"
    other.write_bytes(b"1" * state.st_size)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    other.replace(path)
    assert with_digests(variant, cache).files[0].sha256 == sha256(path), "another file: read again"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "\0"])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, content: str) -> None:
    path, cache = write_gguf(tmp_path / "m.gguf"), tmp_path / "hashes.json"
    cache.write_text(content, encoding="utf-8")
    (variant,) = variants_at(path)
    assert with_digests(variant, cache).files[0].sha256 == sha256(path)
    assert list(json.loads(cache.read_text(encoding="utf-8"))) == [str(path.resolve())]


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    (tmp_path / "file").write_text("", encoding="utf-8")
    (variant,) = variants_at(path)
    assert with_digests(variant, tmp_path / "file/hashes.json").files[0].sha256 == sha256(path)


def test_the_cache_keeps_what_other_variants_left(tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    for name in ("a", "b"):
        with_digests(variants_at(write_gguf(tmp_path / f"{name}.gguf"))[0], cache)
    assert len(json.loads(cache.read_text(encoding="utf-8"))) == 2
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("hashes")] == ["hashes.json"]


def test_a_missing_file(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    (variant,) = variants_at(path)
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        with_digests(variant)


def test_nothing_on_this_machine_nothing_to_hash() -> None:
    variant = Variant(id="a", alias="a", format="remote", source="http://h/v1", files=(File(path="x"),))
    assert with_digests(variant) is variant


def test_the_bundled_files_are_what_the_manifest_says() -> None:
    for variant in bundled_variants():
        folder = folder_of(variant)
        assert folder is not None
        for file in variant.files:
            assert file.sha256 == sha256(folder / file.path), f"{variant.id}: {file.path}"
            assert file.size == (folder / file.path).stat().st_size
