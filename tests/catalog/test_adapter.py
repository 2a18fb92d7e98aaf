"""Adapters by name; nothing is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.catalog import adapter_variant
from assay.errors import BadInput


def test_a_class_alone() -> None:
    variant = adapter_variant("my_models.tiny:Tiny")
    assert (variant.id, variant.alias, variant.format) == ("Tiny", "Tiny", "adapter")
    assert (variant.adapter, variant.path, variant.files) == ("my_models.tiny:Tiny", None, ())


def test_weights(tmp_path: Path) -> None:
    weights = tmp_path / "w@1.npz"
    weights.write_bytes(b"123")
    for variant in (adapter_variant("m:T", weights), adapter_variant(f"m:T@{weights}")):
        assert variant.path == str(weights)
        assert variant.disk == 3
        assert variant.files[0].sha256 is None


def test_a_folder_of_weights_and_a_name(tmp_path: Path) -> None:
    (tmp_path / "w/deep").mkdir(parents=True)
    (tmp_path / "w/a").write_bytes(b"1")
    (tmp_path / "w/deep/b").write_bytes(b"22")
    variant = adapter_variant("m:T", tmp_path / "w", name="mine", hashes=tmp_path / "hashes.json")
    assert (variant.id, variant.disk) == ("mine", 3)
    assert [file.path for file in variant.files] == ["a", "deep/b"]
    assert all(file.sha256 for file in variant.files)


def test_an_installed_one_by_its_name() -> None:
    variant = adapter_variant("my-tiny.model")
    assert (variant.id, variant.adapter) == ("my-tiny.model", "my-tiny.model")


@pytest.mark.parametrize("text", ["", "a name", ":Class", "module:", "a b:C", "m:C()", "m..n:C", "1m:C", "@w", "a:b:c"])
def test_no_adapter(text: str) -> None:
    with pytest.raises(BadInput, match="names no adapter"):
        adapter_variant(text)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there are no weights at"):
        adapter_variant("m:T", tmp_path / "none")
