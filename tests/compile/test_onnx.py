"""ONNX folders by the model builder: equal to transformers in fp32, readable and smaller when quantised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assay.compile import Product, build, plan, read_checkpoint
from assay.compile.onnx import progress_of
from assay.formats import read_onnx_folder
from assay.types import Silent
from tests.compile.models import BUNDLED, MISSING, SKIP, greedy, prompts

needs_extra = pytest.mark.skipif(bool(MISSING), reason=SKIP)


def compiled(source: Path, home: Path, *precisions: str) -> list[Product]:
    asked = plan(read_checkpoint(source, name="m"), "onnx", precisions, free_disk=None, free_memory=None)
    products = list(build(asked, home / "products", reporter=Silent(), work=home / "work"))
    for product, planned in zip(products, asked.products, strict=True):
        assert product.variant.disk is not None
        assert product.variant.disk < planned.size
        assert product.memory is None or product.memory < planned.memory
    return products


@needs_extra
def test_the_bundled_model_equals_transformers(tmp_path: Path) -> None:
    exact, small = compiled(BUNDLED, tmp_path, "fp32", "int4")
    asked = prompts(20, longest=60, first=10, last=1000)
    reference = greedy.by_transformers(BUNDLED, asked, 32)
    assert greedy.compare(reference, greedy.by_onnx(exact.folder, asked, 32)) == greedy.Equality(20, 20, ())
    assert (exact.variant.id, small.variant.id) == ("m:onnx-fp32", "m:onnx-int4")
    assert read_onnx_folder(small.folder).quantisation == "int4"
    assert read_onnx_folder(small.folder).context_length == 2048
    assert (small.variant.disk or 0) < (exact.variant.disk or 0)
    assert [len(tokens) for tokens in greedy.by_onnx(small.folder, asked[:1], 4)] == [4]
    assert {file.path for file in small.variant.files} == {file.path for file in read_onnx_folder(small.folder).files}


@needs_extra
def test_gemma_3_with_its_two_rotary_bases_equals_transformers(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    (exact,) = compiled(tiny("gemma3"), tmp_path, "fp32")
    asked = prompts(6, longest=150)
    reference = greedy.by_transformers(tiny("gemma3"), asked, 16)
    assert greedy.compare(reference, greedy.by_onnx(exact.folder, asked, 16)).equal == 6


def test_the_builders_lines_become_shares() -> None:
    read = progress_of(4)
    lines = ["Reading embedding layer", "Reading layer 0", "Reading layer 3", "Reading final norm", "Reading LM head"]
    lines += ["Saving ONNX model in /x", "Saving GenAI config in /x"]
    shares = [told[:2] for line in lines if (told := read(line))]
    assert shares == [(1, 8), (4, 8), (5, 8), (6, 8), (7, 8), (8, 8)]
    assert read("Reading layer of dust") is None
