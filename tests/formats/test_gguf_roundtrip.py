"""What the `gguf` package writes, read back by our own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.formats.gguf_header import read_gguf_header
from assay.formats.gguf_types import FILE_TYPES, TENSOR_TYPES

gguf = pytest.importorskip("gguf", reason="the gguf package, whose writer is the reference, is not installed")

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "uint8": st.integers(0, 2**8 - 1),
    "int8": st.integers(-(2**7), 2**7 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(allow_nan=False, width=32),
    "float64": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "string": st.text(st.characters(codec="utf-8"), min_size=1),
    "array": st.lists(st.integers(0, 9), min_size=1) | st.lists(st.text(st.characters(codec="utf-8")), min_size=1),
}
KEYS = st.text("abcdefghij._", min_size=1, max_size=12).map(lambda name: f"x.{name}")
PAIRS = st.dictionaries(
    KEYS, st.one_of(*(st.tuples(st.just(kind), values) for kind, values in SCALARS.items())), max_size=12
)
SHAPES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6)


@settings(max_examples=60)
@given(PAIRS, SHAPES)
def test_roundtrip(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, tuple[str, Any]], shapes: list[tuple[int, ...]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "roundtrip.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, (kind, value) in pairs.items():
        getattr(writer, f"add_{kind}")(key, value)
    for number, shape in enumerate(shapes):
        writer.add_tensor(f"t{number}", np.zeros(shape, dtype=np.float32))
    _close(writer)
    header = read_gguf_header(path)
    wanted = {key: value for key, (kind, value) in pairs.items() if kind != "array"}
    assert header.metadata == {"general.architecture": "llama", **wanted}
    assert [tensor.shape for tensor in header.tensors] == [tuple(reversed(shape)) for shape in shapes]
    assert header.parameters == sum(int(np.prod(shape)) for shape in shapes)


def test_quantised_tensors(tmp_path: Path) -> None:
    path = tmp_path / "q.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(4096)
    writer.add_license("mit")
    writer.add_chat_template("{{ messages }}")
    kind = gguf.GGMLQuantizationType.Q8_0
    weights = gguf.quants.quantize(np.ones((3, 64), dtype=np.float32), kind)
    writer.add_tensor("w", weights, raw_dtype=kind)
    _close(writer)
    header = read_gguf_header(path)
    assert (header.parameters, header.quantisation, header.context_length) == (192, "Q8_0", 4096)
    assert (header.licence, header.chat_template) == ("mit", True)


def test_our_tables_are_those_of_the_package() -> None:
    sizes = {int(kind): (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {number: sizes[number] for number in TENSOR_TYPES if number in sizes} == {
        number: tuple(row) for number, row in TENSOR_TYPES.items() if number in sizes
    }
    names = {int(kind): kind.name.split("_", 1)[1] for kind in gguf.LlamaFileType if kind.name != "GUESSED"}
    for number, name in names.items():
        assert name in {FILE_TYPES[number], f"{FILE_TYPES[number]}_MOE"}


def _close(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
