"""Safetensors headers: sound ones, and ones that are wrong in every way that a length or a number can be."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.catalog import bundled_folder
from assay.errors import BadInput
from assay.formats import read_safetensors_header
from tests.formats.gguf_bytes import Ranges
from tests.formats.safetensors_bytes import SOUND, safetensors


def refused(content: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(BadInput) as caught:
        read_safetensors_header(Ranges(content, size=len(content), name="m.safetensors"))
    assert caught.value.remedy
    return f"{caught.value.message}: {caught.value.why}"


def test_what_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors())
    header = read_safetensors_header(path)
    assert header.metadata == {"format": "pt"}
    assert [(tensor.name, tensor.dtype, tensor.shape, tensor.size) for tensor in header.tensors] == [
        ("a", "BF16", (4, 8), 64),
        ("b", "F32", (8,), 32),
    ]
    assert (header.weights, header.parameters) == (96, 40)


def test_a_remote_file_is_asked_for_its_header_only() -> None:
    remote = Ranges(safetensors(), size=len(safetensors()))
    read_safetensors_header(remote)
    head = len(json.dumps(SOUND))
    assert remote.asked == [(0, 8), (8, head)]


def test_without_a_size_the_weights_are_believed() -> None:
    assert read_safetensors_header(Ranges(safetensors(data=0))).parameters == 40


def test_the_bundled_checkpoint() -> None:
    path = bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors" / "model.safetensors"
    header = read_safetensors_header(path)
    assert header.weights < path.stat().st_size
    assert header.parameters > 400_000


def one(**changes: Any) -> bytes:
    return safetensors({"a": {**SOUND["a"], **changes}}, data=64)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cut off"),
        (b"\0" * 4, "cut off"),
        (b"\0" * 8, "not JSON"),
        (safetensors(length=2**63), "header would have"),
        (safetensors(length=10_000), "cut off"),
        (safetensors(b"[]"), "not a JSON object"),
        (safetensors(b'{"a": '), "not JSON"),
        (safetensors({"a": 1}, 0), "not described"),
        (safetensors({"__metadata__": []}, 0), "__metadata__"),
        (one(dtype="Q9"), "unknown type Q9"),
        (one(dtype=None), "unknown type"),
        (one(shape=[4, -8]), "the shape"),
        (one(shape=[2**40, 2**40]), "the shape"),
        (one(shape="4"), "the shape"),
        (one(shape=[True]), "the shape"),
        (one(data_offsets=[0]), "lies at"),
        (one(data_offsets=[0, 65]), "has 65 bytes"),
        (one(data_offsets=[64, 0]), "has -64 bytes"),
        (one(data_offsets=[2, 66]), "lies at 2"),
        (safetensors(data=95), "cut off"),
        (safetensors(data=97), "no tensor describes"),
        (safetensors(b'{"a": ' * 50_000), "not JSON"),
    ],
)
def test_what_cannot_be_true(content: bytes, why: str) -> None:
    assert why in refused(content)


def test_a_remote_header_that_is_cut_off() -> None:
    with pytest.raises(BadInput, match="cut off"):
        read_safetensors_header(Ranges(safetensors()[:40]))


def test_every_shorter_file_is_refused() -> None:
    whole = safetensors()
    for length in range(len(whole)):
        assert refused(whole[:length])


@settings(max_examples=300)
@given(st.integers(0, len(safetensors()) - 97), st.binary(min_size=1, max_size=8), st.booleans())
def test_damage_is_read_or_refused_and_never_anything_else(at: int, damage: bytes, sized: bool) -> None:
    content = bytearray(safetensors())
    content[at : at + len(damage)] = damage
    try:
        header = read_safetensors_header(Ranges(bytes(content), size=len(content) if sized else None))
    except BadInput:
        return
    assert header.weights == sum(tensor.size for tensor in header.tensors)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from([("F32", 4), ("BF16", 2), ("I8", 1)]), st.lists(st.integers(0, 5), max_size=3)))
)
def test_what_is_written_is_read(tensors: list[tuple[tuple[str, int], list[int]]]) -> None:
    header, position = {}, 0
    for number, ((dtype, width), shape) in enumerate(tensors):
        size = width
        for dimension in shape:
            size *= dimension
        header[f"t{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size
    content = safetensors(header, data=position)
    read = read_safetensors_header(Ranges(content, size=len(content)))
    assert read.weights == position
    assert {tensor.name: list(tensor.shape) for tensor in read.tensors} == {
        name: told["shape"] for name, told in header.items()
    }
    assert struct.unpack("<Q", content[:8])[0] + 8 + position == len(content)
