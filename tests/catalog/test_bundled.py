"""The models that come with Assay, and installations that are damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assay.catalog import bundled_folder, bundled_prompts, bundled_variants
from assay.errors import BadInput


def test_every_variant_is_there_under_an_id_of_its_own() -> None:
    variants = bundled_variants()
    assert {variant.format for variant in variants} >= {"gguf", "onnx"}
    assert len({variant.id for variant in variants}) == len(variants)
    for variant in variants:
        assert variant.id.startswith(f"{variant.alias}:")
        assert variant.path is not None
        assert Path(variant.path).is_absolute()
        assert Path(variant.path).exists()
        assert variant.licence
        assert variant.disk


def test_the_prompts_are_there() -> None:
    assert bundled_prompts().is_file()


def test_the_manifest_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="install Assay again"):
        bundled_variants(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '[{"id": "a"}]', "[1]"])
def test_the_manifest_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundled.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="bundled models cannot be read"):
        bundled_variants(tmp_path)


def test_a_file_is_missing(tmp_path: Path) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "b")
    variant = next(v for v in bundled_variants(tmp_path / "b") if v.format == "onnx")
    assert variant.path is not None
    (Path(variant.path) / variant.files[-1].path).unlink()
    with pytest.raises(BadInput, match=variant.files[-1].path):
        bundled_variants(tmp_path / "b")
