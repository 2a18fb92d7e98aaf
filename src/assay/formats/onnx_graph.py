"""What an ONNX graph says of its weights: the files they lie in and how they are quantised.

Walks the protocol buffer (onnx/onnx.proto) and passes over the weights themselves, so that a file of gigabytes costs as
little as a small one.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from assay.errors import BadInput
from assay.formats.protobuf import Buffer, Span, fields, spanned, text, varints

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_OP_TYPE, NODE_ATTRIBUTE = 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_GRAPH = 1, 3, 6
TENSOR_DIMS, TENSOR_TYPE, TENSOR_EXTERNAL = 1, 2, 13
ENTRY_KEY, ENTRY_VALUE = 1, 2
MAX_NESTING = 8

DATA_TYPES = {
    1: "f32", 2: "int8", 3: "int8", 10: "f16", 11: "f64", 16: "bf16",
    17: "f8", 18: "f8", 19: "f8", 20: "f8", 21: "int4", 22: "int4", 23: "f4",
}  # fmt: skip
PACKED_OPS = frozenset({"MatMulNBits", "GatherBlockQuantized"})
INTEGER_OPS = frozenset({"MatMulInteger", "DynamicQuantizeMatMul", "QLinearMatMul", "MatMulIntegerToFloat"})


class OnnxGraph(NamedTuple):
    """``external`` are paths relative to the graph's folder. ``quantisation`` is None where no weight tells.

    ``block`` is how many weights share a scale, of most that are packed; None where none is.
    """

    external: frozenset[str]
    quantisation: str | None
    block: int | None


class _Found:
    """What has been seen on the walk so far: elements by type, and operators that hold packed weights."""

    def __init__(self) -> None:
        self.external: set[str] = set()
        self.weights: Counter[str] = Counter()
        self.packed: Counter[str] = Counter()
        self.blocks: Counter[int] = Counter()
        self.integer = 0

    @property
    def quantisation(self) -> str | None:
        if self.packed:
            return self.packed.most_common(1)[0][0]
        if self.integer:
            return "int8"
        return self.weights.most_common(1)[0][0] if self.weights else None


def read_onnx_graph(path: Path) -> OnnxGraph:
    """Read the graph of ``path``.

    Raises:
        BadInput: it cannot be read, or is no ONNX model.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return onnx_graph(data, str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be read", why=error.strerror or str(error), remedy="check the path") from error
    except ValueError as error:
        raise _no_model(str(path), str(error)) from error  # an empty file cannot be mapped


def onnx_graph(data: Buffer, name: str) -> OnnxGraph:
    """What a whole file says; raise ``BadInput``, with its ``name``, where it is no ONNX model."""
    found = _Found()
    try:
        graphs = [span for number, span in fields(data, (0, len(data))) if number == MODEL_GRAPH]
        for graph in graphs:
            _walk(data, spanned(graph), found, 0)
    except ValueError as error:
        raise _no_model(name, str(error)) from error
    if not graphs:
        raise _no_model(name, "it holds no graph")
    block = found.blocks.most_common(1)
    return OnnxGraph(frozenset(found.external), found.quantisation, block[0][0] if block else None)


def _no_model(name: str, why: str) -> BadInput:
    return BadInput(f"{name} is not an ONNX model", why=why, remedy="download or convert it again")


def _walk(data: Buffer, graph: Span, found: _Found, depth: int) -> None:
    if depth > MAX_NESTING:
        raise ValueError("graphs within graphs without end")
    for number, value in fields(data, graph):
        if number == GRAPH_INITIALIZER:
            _initializer(data, spanned(value), found)
        elif number == GRAPH_NODE:
            _node(data, spanned(value), found, depth)


def _node(data: Buffer, node: Span, found: _Found, depth: int) -> None:
    op_type, integers = "", {}
    for number, value in fields(data, node):
        if number == NODE_OP_TYPE:
            op_type = text(data, value)
        elif number == NODE_ATTRIBUTE:
            name, integer = "", None
            for part, content in fields(data, spanned(value)):
                if part == ATTRIBUTE_NAME:
                    name = text(data, content)
                elif part == ATTRIBUTE_INT and isinstance(content, int):
                    integer = content
                elif part == ATTRIBUTE_GRAPH:
                    _walk(data, spanned(content), found, depth + 1)
            if integer is not None:
                integers[name] = integer
    if op_type in PACKED_OPS and "bits" in integers:
        weights = integers.get("K", 1) * integers.get("N", 1)
        found.packed[f"int{integers['bits']}"] += weights
        if integers.get("block_size", 0) > 0:
            found.blocks[integers["block_size"]] += weights
    elif op_type in INTEGER_OPS:
        found.integer += 1


def _initializer(data: Buffer, tensor: Span, found: _Found) -> None:
    shape: list[int] = []
    kind = 0
    for number, value in fields(data, tensor):
        if number == TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else list(varints(data, value))
        elif number == TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == TENSOR_EXTERNAL:
            entry = {part: text(data, content) for part, content in fields(data, spanned(value))}
            if entry.get(ENTRY_KEY) == "location":
                found.external.add(entry.get(ENTRY_VALUE, ""))
    if len(shape) > 1 and kind in DATA_TYPES:
        found.weights[DATA_TYPES[kind]] += math.prod(shape)
