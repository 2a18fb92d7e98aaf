"""The header of a GGUF file: what the model is, read without touching its weights.

The layout follows ggml's specification (docs/gguf.md): magic, version, counts, key/value pairs, tensor descriptions,
then aligned data. Every length is checked against the file before it is believed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from assay.errors import BadInput
from assay.formats.gguf_reader import Cursor, Scalar, opened
from assay.formats.gguf_types import FILE_TYPES, TENSOR_TYPES

VERSIONS = (2, 3)
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 63


class Tensor(NamedTuple):
    """One tensor's description; ``end`` is where its data ends, counted from the start of the data, None if unknown."""

    type: str
    shape: tuple[int, ...]
    end: int | None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class GgufHeader(NamedTuple):
    """What a GGUF file says of itself. ``metadata`` holds every value that is not an array."""

    version: int
    metadata: dict[str, Scalar]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str | None:
        return self._text("general.architecture")

    @property
    def name(self) -> str | None:
        return self._text("general.name")

    @property
    def licence(self) -> str | None:
        return self._text("general.license")

    @property
    def chat_template(self) -> bool:
        """Whether the file brings a chat template."""
        return self._text("tokenizer.chat_template") is not None

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was made for."""
        return self._count(f"{self.architecture}.context_length")

    @property
    def parameters(self) -> int | None:
        """Elements of all tensors; None where the file holds none (a vocabulary)."""
        return sum(tensor.elements for tensor in self.tensors) or None

    @property
    def shards(self) -> int:
        """How many files the model is split over."""
        return self._count("split.count") or 1

    @property
    def quantisation(self) -> str | None:
        """The file type's name (``Q4_K_M``), or the type that most weights have where the file names none."""
        file_type = self._count("general.file_type")
        if file_type is not None and file_type in FILE_TYPES:
            return FILE_TYPES[file_type]
        weights: dict[str, int] = {}
        for tensor in self.tensors:
            if len(tensor.shape) > 1:
                weights[tensor.type] = weights.get(tensor.type, 0) + tensor.elements
        return max(weights, key=lambda name: weights[name]) if weights else None

    def _text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) and value else None

    def _count(self, key: str) -> int | None:
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the header of ``path``.

    Raises:
        BadInput: no GGUF file, of a version that is not read, cut off, or with lengths that cannot be true.
    """
    with opened(path) as cursor:
        if cursor.take(4) != b"GGUF":
            raise BadInput(f"{path} is not a GGUF file", why="it does not begin with GGUF", remedy="check the file")
        version = cursor.uint32()
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
            raise BadInput(
                f"{path} cannot be read",
                why="it is a big-endian file" if swapped else f"its GGUF version is {version}; 2 and 3 are read",
                remedy="convert the model again with a current converter",
            )
        tensor_count, pair_count = cursor.uint64(), cursor.uint64()
        metadata = _metadata(cursor, pair_count)
        tensors = tuple(_tensor(cursor) for _ in cursor.counted(tensor_count, at_least=24, what="tensors"))
        header = GgufHeader(version, metadata, tensors)
        _check_data(cursor, header)
        return header


def _metadata(cursor: Cursor, count: int) -> dict[str, Scalar]:
    metadata: dict[str, Scalar] = {}
    seen: set[str] = set()
    for _ in cursor.counted(count, at_least=13, what="metadata pairs"):
        key = cursor.text()
        if key in seen:
            raise cursor.bad(f"the key {key} is there twice")
        seen.add(key)
        value = cursor.value(cursor.uint32())
        if value is not None:
            metadata[key] = value
    return metadata


def _tensor(cursor: Cursor) -> Tensor:
    name = cursor.text()
    dimensions = cursor.uint32()
    if dimensions > MAX_DIMENSIONS:
        raise cursor.bad(f"the tensor {name} has {dimensions} dimensions")
    shape = tuple(cursor.uint64() for _ in range(dimensions))
    number, offset = cursor.uint32(), cursor.uint64()
    elements = math.prod(shape)
    if elements >= MAX_ELEMENTS:
        raise cursor.bad(f"the tensor {name} has {elements} elements")
    known = TENSOR_TYPES.get(number)
    if known is None:
        return Tensor(f"type {number}", shape, None)
    if shape and shape[0] % known.block:
        raise cursor.bad(f"the tensor {name} has rows of {shape[0]}, which {known.name} cannot hold")
    return Tensor(known.name, shape, offset + elements // known.block * known.bytes)


def _check_data(cursor: Cursor, header: GgufHeader) -> None:
    """A download that was cut off has its whole header, but not the weights that it promises."""
    alignment = header.metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or isinstance(alignment, bool) or not 0 < alignment <= 1 << 20:
        raise cursor.bad(f"its alignment is {alignment!r}")
    start = -(-cursor.position // alignment) * alignment
    needed = start + max((tensor.end for tensor in header.tensors if tensor.end is not None), default=0)
    if header.tensors and needed > cursor.size:
        raise cursor.bad(f"it is cut off: {needed} bytes are promised, {cursor.size} are there")
