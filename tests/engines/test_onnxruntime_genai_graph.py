"""Graphs are changed to score what is asked for, or left as they are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.onnxruntime_genai_graph import EVERY, LARGEST, LAST, PLACES, on_request
from assay.formats.protobuf import message

WIDTH, VOCABULARY = 8, 11


def library(name: str) -> Any:
    """An optional package."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed (extra: compile)")


Change = Callable[[Any, Any], None]


def model(change: Change = lambda _model, _helper: None, *, behind: Sequence[str] = ("Mul", "Tanh", "Cast")) -> bytes:
    """Embeddings, an output layer and what stands ``behind`` it; ``change`` gets the model and onnx.helper."""
    onnx = library("onnx")
    make, numbers = onnx.helper, np.random.default_rng(1)
    weights = {
        "embedding": numbers.normal(size=(VOCABULARY, WIDTH)).astype(np.float32),
        "output": numbers.normal(size=(WIDTH, VOCABULARY)).astype(np.float32),
        "factor": np.float32(0.5),
    }
    nodes = [
        make.make_node("Gather", ["embedding", "input_ids"], ["hidden"]),
        make.make_node("MatMul", ["hidden", "output"], ["after_0"], name="head"),
    ]
    for i, op_type in enumerate(behind):
        beside = ["factor"] if op_type in {"Mul", "Add"} else []
        attributes = {"to": onnx.TensorProto.FLOAT} if op_type == "Cast" else {}
        nodes.append(make.make_node(op_type, [f"after_{i}", *beside], [f"after_{i + 1}"], **attributes))
    nodes[-1].output[0] = "logits"
    graph = make.make_graph(
        nodes,
        "model",
        [make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["rows", "tokens"])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["rows", "tokens", VOCABULARY])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
        value_info=[make.make_tensor_value_info("after_0", onnx.TensorProto.FLOAT, ["rows", "tokens", VOCABULARY])],
    )
    made = make.make_model(graph, opset_imports=[make.make_opsetid("", 21), make.make_opsetid("com.microsoft", 1)])
    made.ir_version = 10
    change(made, make)
    data: bytes = made.SerializeToString()
    return data


def changed(tmp_path: Path, data: bytes) -> bytes | None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return on_request(path, "logits")


@pytest.mark.parametrize("behind", [(), ("Add",), ("Mul", "Tanh", "Mul", "Cast")])
def test_the_scores_that_are_asked_for_are_those_of_the_graph_as_it_was(tmp_path: Path, behind: list[str]) -> None:
    runtime = library("onnxruntime")
    data = model(behind=behind)
    found = changed(tmp_path, data)
    assert found is not None
    library("onnx").checker.check_model(library("onnx").load_model_from_string(found), check_custom_domain=False)
    before, after = (runtime.InferenceSession(made, providers=["CPUExecutionProvider"]) for made in (data, found))
    ids = np.random.default_rng(2).integers(0, VOCABULARY, (3, 5))
    (every,) = before.run(["logits"], {"input_ids": ids})
    for lengths, count in (((5, 2, 3), 0), ((1, 5, 4), 7)):
        last = np.arange(3) * 5 + np.subtract(lengths, 1)
        asked = {"input_ids": ids, LAST: last, EVERY: np.array(count)}
        scores, places = after.run(["logits", PLACES], asked)
        assert scores.shape == (3, 1, VOCABULARY)
        assert np.allclose(scores[:, 0], every[np.arange(3), np.subtract(lengths, 1)], atol=1e-6)
        assert places.shape == (1, count, VOCABULARY)
        assert np.allclose(places[0], every.reshape(-1, VOCABULARY)[:count], atol=1e-6)


def test_what_else_the_graph_holds_stays(tmp_path: Path) -> None:
    onnx = library("onnx")
    data = model()
    found = changed(tmp_path, data)
    assert found is not None
    before, after = onnx.load_model_from_string(data), onnx.load_model_from_string(found)
    assert list(after.opset_import) == list(before.opset_import)
    assert list(after.graph.initializer)[: len(before.graph.initializer)] == list(before.graph.initializer)
    kept = [node for node in before.graph.node if node in list(after.graph.node)]
    assert [node.op_type for node in kept] == ["Gather", "Mul", "Tanh"]
    head = next(node for node in after.graph.node if node.name == "head")
    assert (list(head.input), list(head.output)) == (["assay.picked", "output"], ["after_0"])


def last_place_only(made: Any, _make: Any) -> None:
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1


def half_precision(made: Any, _make: Any) -> None:
    made.graph.output[0].type.tensor_type.elem_type = 10


def no_shape(made: Any, _make: Any) -> None:
    made.graph.output[0].type.tensor_type.ClearField("shape")


def other_name(made: Any, _make: Any) -> None:
    made.graph.node[-1].output[0] = made.graph.output[0].name = "scores"


def old_operators(made: Any, _make: Any) -> None:
    made.opset_import[0].version = 10


def scores_are_read_again(made: Any, make: Any) -> None:
    made.graph.node.append(make.make_node("Tanh", ["logits"], ["more"]))


def output_layer_is_read_twice(made: Any, make: Any) -> None:
    made.graph.node.append(make.make_node("Tanh", ["after_0"], ["more"]))


def something_else_in_between(made: Any, make: Any) -> None:
    made.graph.node[2].CopyFrom(make.make_node("Softmax", ["after_0"], ["after_1"]))


def two_that_vary(made: Any, make: Any) -> None:
    made.graph.node[2].CopyFrom(make.make_node("Mul", ["after_0", "hidden"], ["after_1"]))


def no_output_layer(made: Any, make: Any) -> None:
    made.graph.node[1].CopyFrom(make.make_node("Tanh", ["hidden"], ["after_0"]))


def in_a_circle(made: Any, _make: Any) -> None:
    made.graph.node[2].input[0] = "after_2"


OTHERS = [
    last_place_only,
    half_precision,
    no_shape,
    other_name,
    old_operators,
    scores_are_read_again,
    output_layer_is_read_twice,
    something_else_in_between,
    two_that_vary,
    no_output_layer,
    in_a_circle,
]


@pytest.mark.parametrize("change", OTHERS, ids=lambda change: change.__name__)
def test_a_graph_of_another_form_is_left_as_it_is(tmp_path: Path, change: Change) -> None:
    assert changed(tmp_path, model()) is not None
    assert changed(tmp_path, model(change)) is None


def test_a_file_that_holds_the_weights_is_left_as_it_is(tmp_path: Path) -> None:
    data = model()
    assert changed(tmp_path, data + message(100, b"\0" * (LARGEST - len(data) - 100))) is not None
    assert changed(tmp_path, data + message(100, b"\0" * LARGEST)) is None


def test_a_file_that_is_not_there_is_left_to_the_engine(tmp_path: Path) -> None:
    assert on_request(tmp_path / "model.onnx", "logits") is None


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 10_000))
def test_damaged_files_are_left_as_they_are_or_changed(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, start: int, length: int
) -> None:
    """None raises: the engine tells what is wrong with the file itself."""
    data = model()
    at = start % len(data)
    found = changed(tmp_path_factory.mktemp("damaged"), data[:at] + noise + data[at + length % 50 :])
    assert found is None or isinstance(found, bytes)
