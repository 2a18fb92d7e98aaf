"""ONNX folders by the model builder: equal to transformers in fp32, readable and smaller when quantised."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.compile import Product, plan, read_checkpoint
from assay.compile.family import Target
from assay.compile.onnx import build_onnx, progress_of
from assay.formats import read_onnx_folder
from tests.compile.models import BUNDLED, MISSING, SKIP, family_models, greedy, prompts

needs_extra = pytest.mark.skipif(bool(MISSING), reason=SKIP)


@needs_extra
def test_the_bundled_model_equals_transformers(bundled_product: Callable[[Target, str], Product]) -> None:
    exact, small = (bundled_product("onnx", precision) for precision in ("fp32", "int4"))
    asked = prompts(20, longest=60, first=10, last=1000)
    reference = greedy.by_transformers(BUNDLED, asked, 32)
    assert greedy.compare(reference, greedy.by_onnx(exact.folder, asked, 32)) == greedy.Equality(20, 20, ())
    assert (exact.variant.id, small.variant.id) == ("m:onnx-fp32", "m:onnx-int4")
    assert read_onnx_folder(small.folder).quantisation == "int4"
    assert read_onnx_folder(small.folder).context_length == 2048
    assert (small.variant.disk or 0) < (exact.variant.disk or 0)
    assert [len(tokens) for tokens in greedy.by_onnx(small.folder, asked[:1], 4)] == [4]
    assert {file.path for file in small.variant.files} == {file.path for file in read_onnx_folder(small.folder).files}
    foretold = plan(read_checkpoint(BUNDLED, name="m"), "onnx", ["fp32", "int4"], free_disk=None, free_memory=None)
    for product, planned in zip((exact, small), foretold.products, strict=True):
        assert (product.variant.disk or 0) < planned.size
        assert product.memory is None or product.memory < planned.memory


@needs_extra
def test_gemma_3_with_its_two_rotary_bases_equals_transformers(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    build_onnx(read_checkpoint(tiny("gemma3")), "fp32", tmp_path / "onnx", tmp_path / "cache")
    asked = prompts(6, longest=150)
    reference = greedy.by_transformers(tiny("gemma3"), asked, 16)
    assert greedy.compare(reference, greedy.by_onnx(tmp_path / "onnx", asked, 16)).equal == 6


@needs_extra
@pytest.mark.parametrize("family", ["mistral", "phi3"])
def test_a_sliding_window_is_kept(family: str, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    """The builder looks for it in names that transformers 5 gives to other families alone."""
    source = family_models.make(tmp_path / "m", family, family_models.TINY, sliding_window=32)
    build_onnx(read_checkpoint(source), "fp32", tmp_path / "onnx", tmp_path / "cache")
    asked = prompts(6, longest=150)
    reference = greedy.by_transformers(source, asked, 16)
    assert greedy.compare(reference, greedy.by_onnx(tmp_path / "onnx", asked, 16)).equal == 6
    assert greedy.by_transformers(tiny(family), asked, 16).tokens != reference.tokens


@needs_extra
@pytest.mark.parametrize("family", sorted(family_models.FAMILIES))
def test_int4_keeps_eight_bits_for_the_attention(family: str, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    onnx = importlib.import_module("onnx")
    read = read_checkpoint(tiny(family))
    build_onnx(read, "int4", tmp_path / "onnx", tmp_path / "cache")
    graph = onnx.load(tmp_path / "onnx" / "model.onnx", load_external_data=False).graph
    quantised = [node for node in graph.node if node.op_type == "MatMulNBits"]
    told = {node.name: {one.name: one.i for one in node.attribute} for node in quantised}
    assert {name for name, one in told.items() if one["bits"] == 8} == {name for name in told if "/attn/" in name}
    assert {one["block_size"] for one in told.values()} == {128}
    assert {one["accuracy_level"] for one in told.values()} == {4}
    assert any("/attn/" in name for name in told)
    assert any("lm_head" in name for name in told)


def test_the_builders_lines_become_shares() -> None:
    read = progress_of(4)
    lines = ["Reading embedding layer", "Reading layer 0", "Reading layer 3", "Reading final norm", "Reading LM head"]
    lines += ["Saving ONNX model in /x", "Saving GenAI config in /x"]
    shares = [told[:2] for line in lines if (told := read(line))]
    assert shares == [(1, 8), (4, 8), (5, 8), (6, 8), (7, 8), (8, 8)]
    assert read("Reading layer of dust") is None
