"""A model's graph, changed in memory so that it scores only the places that are asked for.

Builders make graphs that score every token they read over the whole vocabulary. Of a prompt only the last place counts,
and the output layer is a tenth to a quarter of a small model: time to the first token, and memory (600 kB a token with
a vocabulary of 150,000) where prompts are long. The weights stay in their files; a graph of another form is run as it
is.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from assay.formats.onnx_graph import (
    ATTRIBUTE_INT,
    ATTRIBUTE_NAME,
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    MODEL_GRAPH,
    NODE_ATTRIBUTE,
    NODE_OP_TYPE,
    TENSOR_DIMS,
    TENSOR_TYPE,
)
from assay.formats.protobuf import Span, fields, message, number, spanned, text

LAST = "assay.last"
"""Input, int64 (rows,): where each row's last token is among all tokens of a run, row after row."""
EVERY = "assay.every"
"""Input, int64 (): how many tokens, from the first, are scored besides."""
PLACES = "assay.places"
"""Output, float32 (1, every, vocabulary): their scores."""
LARGEST = 32 * 2**20
"""Bytes of a file: one that is larger holds the weights too."""

# More fields of onnx/onnx.proto
MODEL_OPSET, OPSET_DOMAIN, OPSET_VERSION = 8, 1, 2
INPUT, OUTPUT, VALUE_INFO = 11, 12, 13
NODE_INPUT, NODE_OUTPUT = 1, 2
ATTRIBUTE_TYPE, INT = 20, 2
TENSOR_NAME, TENSOR_RAW = 8, 9
VALUE_NAME, VALUE_TYPE, TYPE_TENSOR, TENSOR_ELEMENT, TENSOR_SHAPE = 1, 2, 1, 1, 2
SHAPE_DIM, DIM_VALUE = 1, 1
FLOAT32, INT64 = 1, 7
"""Types, as numbers; ONNX Runtime GenAI has the same."""

OPSET = 11
"""Of the standard operators: the first with ``Range``."""
OUTPUT_LAYERS = frozenset({"MatMul", "MatMulNBits"})
ELEMENTWISE = frozenset({"Add", "Cast", "Div", "Mul", "Sub", "Tanh"})
"""What may stand between the output layer and the scores: a bias, a scale, a soft cap."""


class _Node(NamedTuple):
    op_type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    rest: bytes = b""
    """Its other fields, as they are."""

    def coded(self) -> bytes:
        inputs = b"".join(message(NODE_INPUT, name) for name in self.inputs)
        outputs = b"".join(message(NODE_OUTPUT, name) for name in self.outputs)
        return message(GRAPH_NODE, inputs + outputs + message(NODE_OP_TYPE, self.op_type) + self.rest)


def on_request(path: Path, scores: str) -> bytes | None:
    """The model in ``path`` with the inputs ``LAST`` and ``EVERY`` and the output ``PLACES``; ``scores`` has one place.

    None where that cannot be done for sure: the file is too large or no such model, or the output ``scores`` is not
    float32 of every place, made by one output layer.
    """
    try:
        if path.stat().st_size > LARGEST:
            return None
        data = path.read_bytes()
        parts = list(fields(data, (0, len(data))))
        if not any(kind == MODEL_OPSET and _is_new_enough(data, spanned(value)) for kind, value in parts):
            return None
        return b"".join(
            message(MODEL_GRAPH, _changed(data, spanned(value), scores))
            if kind == MODEL_GRAPH
            else _copied(data, kind, value)
            for kind, value in parts
        )
    except (OSError, ValueError):
        return None


def _changed(data: bytes, graph: Span, scores: str) -> bytes:
    """The graph's fields; ``ValueError`` where it is of another form.

    What the graph tells of shapes within is left out, since some are others now; ONNX Runtime finds them itself.
    """
    parts = [(kind, value) for kind, value in fields(data, graph) if kind != VALUE_INFO]
    nodes = [_node(data, spanned(value)) for kind, value in parts if kind == GRAPH_NODE]
    constants = {_name(data, spanned(value), TENSOR_NAME) for kind, value in parts if kind == GRAPH_INITIALIZER}
    constants.update(name for node in nodes if node.op_type == "Constant" for name in node.outputs)
    head, end = _output_layer(nodes, constants, scores)
    hidden = nodes[head].inputs[0]
    nodes[head] = nodes[head]._replace(inputs=("assay.picked", *nodes[head].inputs[1:]))
    nodes[end] = nodes[end]._replace(outputs=("assay.scores",))
    kept = [_copied(data, kind, value) for kind, value in parts if kind not in {GRAPH_NODE, OUTPUT}]
    outputs = [
        _outputs(data, spanned(value))
        if _name(data, spanned(value), VALUE_NAME) == scores
        else _copied(data, kind, value)
        for kind, value in parts
        if kind == OUTPUT
    ]
    added = [*_constants(), _value(INPUT, LAST, INT64, [b""]), _value(INPUT, EVERY, INT64, [])]
    ordered = [*nodes[:head], *_before(hidden), *nodes[head:], *_behind(scores)]
    return b"".join([*(node.coded() for node in ordered), *kept, *outputs, *added])


def _output_layer(nodes: Sequence[_Node], constants: Collection[str], scores: str) -> tuple[int, int]:
    """Where among ``nodes`` the output layer is, and the last one of those that follow it up to the scores."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs}
    used = [name for node in nodes for name in node.inputs]
    at = end = maker.get(scores, -1)
    name = scores
    while at >= 0 and len(nodes[at].outputs) == 1 and used.count(name) == (name != scores):
        if nodes[at].op_type in OUTPUT_LAYERS:
            return at, end
        varying = [name for name in nodes[at].inputs if name not in constants]
        if nodes[at].op_type not in ELEMENTWISE or len(varying) != 1:
            break
        name = varying[0]
        at = maker.get(name, -1)
    raise ValueError("no output layer that feeds nothing but the scores")


def _before(hidden: str) -> Iterator[_Node]:
    """From all hidden states (rows, tokens, width) to those that are scored (1, chosen, width)."""
    yield _Node("Range", ("assay.zero", EVERY, "assay.one"), ("assay.range",))
    yield _Node("Concat", (LAST, "assay.range"), ("assay.chosen",), _attribute("axis", 0))
    yield _Node("Reshape", (hidden, "assay.in_a_row"), ("assay.flat",))
    yield _Node("Gather", ("assay.flat", "assay.chosen"), ("assay.picked",), _attribute("axis", 1))


def _behind(scores: str) -> Iterator[_Node]:
    """From the chosen ones' scores to both outputs."""
    yield _Node("Shape", (LAST,), ("assay.rows",))
    yield _Node("Slice", ("assay.scores", "assay.start", "assay.rows", "assay.axis"), ("assay.first",))
    yield _Node("Reshape", ("assay.first", "assay.row_by_row"), (scores,))
    yield _Node("Slice", ("assay.scores", "assay.rows", "assay.end", "assay.axis"), (PLACES,))


def _constants() -> Iterator[bytes]:
    lists = {"start": [0], "axis": [1], "end": [2**62], "in_a_row": [1, -1, 0], "row_by_row": [-1, 1, 0]}
    for name, values in lists.items():
        yield _constant(f"assay.{name}", values, [len(values)])
    yield _constant("assay.zero", [0], [])
    yield _constant("assay.one", [1], [])


def _constant(name: str, values: Sequence[int], shape: Sequence[int]) -> bytes:
    dims = b"".join(number(TENSOR_DIMS, size) for size in shape)
    raw = struct.pack(f"<{len(values)}q", *values)
    tensor = dims + number(TENSOR_TYPE, INT64) + message(TENSOR_NAME, name) + message(TENSOR_RAW, raw)
    return message(GRAPH_INITIALIZER, tensor)


def _attribute(name: str, value: int) -> bytes:
    return message(
        NODE_ATTRIBUTE, message(ATTRIBUTE_NAME, name) + number(ATTRIBUTE_INT, value) + number(ATTRIBUTE_TYPE, INT)
    )


def _outputs(data: bytes, value: Span) -> bytes:
    """Of the scores' description (rows, tokens, vocabulary): the same for one token of each row, and for ``PLACES``."""
    type_ = _only(data, value, VALUE_TYPE)
    tensor = _only(data, type_, TYPE_TENSOR)
    shape = _only(data, tensor, TENSOR_SHAPE)
    dims = [data[slice(*spanned(dim))] for kind, dim in fields(data, shape) if kind == SHAPE_DIM]
    elements = [content for kind, content in fields(data, tensor) if kind == TENSOR_ELEMENT]
    one = number(DIM_VALUE, 1)
    if elements != [FLOAT32] or len(dims) != 3 or dims[1] == one:
        raise ValueError("scores that are not float32 of every place")
    name = _name(data, value, VALUE_NAME)
    return _value(OUTPUT, name, FLOAT32, [dims[0], one, dims[2]]) + _value(OUTPUT, PLACES, FLOAT32, [one, b"", dims[2]])


def _value(kind: int, name: str, element: int, dims: Sequence[bytes]) -> bytes:
    shape = message(TENSOR_SHAPE, b"".join(message(SHAPE_DIM, dim) for dim in dims))
    type_ = message(TYPE_TENSOR, number(TENSOR_ELEMENT, element) + shape)
    return message(kind, message(VALUE_NAME, name) + message(VALUE_TYPE, type_))


def _node(data: bytes, span: Span) -> _Node:
    parts = list(fields(data, span))
    inputs = [text(data, value) for kind, value in parts if kind == NODE_INPUT]
    outputs = [text(data, value) for kind, value in parts if kind == NODE_OUTPUT]
    rest = [_copied(data, *part) for part in parts if part[0] not in {NODE_INPUT, NODE_OUTPUT, NODE_OP_TYPE}]
    return _Node(_name(data, span, NODE_OP_TYPE), inputs, outputs, b"".join(rest))


def _is_new_enough(data: bytes, opset: Span) -> bool:
    found = dict(fields(data, opset))
    version = found.get(OPSET_VERSION, 0)
    standard = OPSET_DOMAIN not in found or text(data, found[OPSET_DOMAIN]) in {"", "ai.onnx"}
    return standard and isinstance(version, int) and version >= OPSET


def _name(data: bytes, span: Span, field: int) -> str:
    return next((text(data, value) for kind, value in fields(data, span) if kind == field), "")


def _only(data: bytes, span: Span, field: int) -> Span:
    found = [spanned(value) for kind, value in fields(data, span) if kind == field]
    if len(found) != 1:
        raise ValueError("a description that is missing")
    return found[0]


def _copied(data: bytes, kind: int, value: int | Span) -> bytes:
    return number(kind, value) if isinstance(value, int) else message(kind, data[slice(*value)])
