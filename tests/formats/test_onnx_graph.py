"""What a graph says of its weights, and graphs that are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.formats.onnx_graph import read_onnx_graph
from assay.formats.protobuf import message, number, varint
from tests.formats.onnx_bytes import FULL, graph, initializer, node


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "quantisation"),
    [
        (graph(initializer((4, 4), 1)), "f32"),
        (graph(initializer((4, 4), 10), initializer((2, 2), 1)), "f16"),
        (graph(initializer((4, 4), 16)), "bf16"),
        (graph(initializer((4, 4), 22)), "int4"),
        (graph(initializer((4,), 1)), None),
        (graph(), None),
        (graph(initializer((64, 64), 1), node("MatMulNBits", bits=4, K=16, N=16)), "int4"),
        (graph(node("MatMulNBits", bits=4, K=64, N=64), node("MatMulNBits", bits=8, K=16, N=16)), "int4"),
        (graph(node("MatMulNBits", bits=8, K=64, N=64)), "int8"),
        (graph(initializer((64, 64), 1), node("MatMulInteger")), "int8"),
    ],
)
def test_quantisation(tmp_path: Path, content: bytes, quantisation: str | None) -> None:
    assert read_onnx_graph(write(tmp_path, content)).quantisation == quantisation


@pytest.mark.parametrize(
    ("nodes", "block"),
    [
        ((), None),
        ((node("MatMulNBits", bits=4, K=64, N=64),), None),
        ((node("MatMulNBits", bits=4, K=64, N=64, block_size=128), node("MatMulNBits", bits=8, block_size=32)), 128),
    ],
)
def test_how_many_weights_share_a_scale(tmp_path: Path, nodes: tuple[bytes, ...], block: int | None) -> None:
    assert read_onnx_graph(write(tmp_path, graph(*nodes))).block == block


def test_packed_dimensions(tmp_path: Path) -> None:
    packed = message(5, message(1, varint(300) + varint(2)) + number(2, 16))
    assert read_onnx_graph(write(tmp_path, graph(packed, initializer((4, 4), 1)))).quantisation == "bf16"


def test_external_files_also_of_graphs_within_graphs(tmp_path: Path) -> None:
    inner = initializer((2, 2), 1, external="inner.data")
    branch = message(1, message(4, "If") + message(5, message(1, "then_branch") + message(6, inner)))
    content = graph(initializer((2, 2), 1, external="outer.data"), branch)
    assert read_onnx_graph(write(tmp_path, content)).external == {"outer.data", "inner.data"}


@pytest.mark.parametrize("content", [b"", b"\0", b"not a model at all", b"\xff" * 20, number(1, 10), FULL[:-1]])
def test_no_model(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadInput, match="is not an ONNX model"):
        read_onnx_graph(write(tmp_path, content))


def test_graphs_within_graphs_without_end(tmp_path: Path) -> None:
    inner = b""
    for _ in range(50):
        inner = message(1, message(4, "If") + message(5, message(6, inner)))
    with pytest.raises(BadInput, match="without end"):
        read_onnx_graph(write(tmp_path, graph(inner)))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_onnx_graph(tmp_path / "none.onnx")


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), message(7, content))
    try:
        external = read_onnx_graph(path).external
    except BadInput:
        return
    assert all(isinstance(name, str) for name in external)
