"""The header of a GGUF file: what the model is, read without touching its weights.

The layout follows ggml's specification (docs/gguf.md): magic, version, counts, key/value pairs, tensor descriptions,
then aligned data. Every length is checked against the file before it is believed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from assay.errors import BadInput
from assay.formats.gguf_reader import Array, Cursor, Numbers, Scalar
from assay.formats.gguf_types import FILE_TYPES, TENSOR_TYPES
from assay.formats.source import Reader, reader_of

VERSIONS = (2, 3)
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 63
POOLINGS = ("none", "mean", "cls", "last", "rank")
"""By llama.cpp's numbers: how the tokens' vectors become one; ``rank`` is that of models that rank documents."""
ENCODERS = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
    }
)
"""Architectures that make no text."""


class Tensor(NamedTuple):
    """One tensor's description. ``offset`` counts from the start of the data; ``size`` in bytes, None if unknown."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    size: int | None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def end(self) -> int | None:
        """Where its data ends, counted from the start of the data."""
        return None if self.size is None else self.offset + self.size


class GgufHeader(NamedTuple):
    """What a GGUF file says of itself.

    ``metadata`` holds every value that is not an array, ``arrays`` the short ones of numbers (one for each layer, say),
    ``lengths`` the number of elements of every array, vocabularies too.
    """

    version: int
    metadata: dict[str, Scalar]
    tensors: tuple[Tensor, ...]
    arrays: dict[str, Numbers]
    lengths: dict[str, int]

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
    def pooling(self) -> str | None:
        """How the model makes one vector of a text, one of ``POOLINGS``; None where the file does not tell.

        The mean for an encoder without a word on it. A model that makes text tells ``none`` or nothing.
        """
        number = self._count(f"{self.architecture}.pooling_type")
        told = POOLINGS[number] if number is not None and number < len(POOLINGS) else None
        return "mean" if self.architecture in ENCODERS and told in (None, "none") else told

    @property
    def embeds(self) -> bool:
        """Whether the model was made for embeddings."""
        return self.pooling in ("mean", "cls", "last")

    @property
    def parameters(self) -> int | None:
        """Elements of all tensors; None where the file holds none (a vocabulary)."""
        return sum(tensor.elements for tensor in self.tensors) or None

    @property
    def weights(self) -> int | None:
        """Bytes of all tensors of this file; None where the type of one is not known."""
        sizes = [tensor.size for tensor in self.tensors]
        return sum(s for s in sizes if s is not None) if None not in sizes else None

    @property
    def vocabulary(self) -> int | None:
        """Tokens that the file's tokenizer knows."""
        return self.lengths.get("tokenizer.ggml.tokens")

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


def read_gguf_header(source: Path | Reader) -> GgufHeader:
    """Read the header of a file, in pieces that grow and end with it; the weights are not read.

    A remote file is believed to have the weights that it promises where its size is not known.

    Raises:
        BadInput: no GGUF file, of a version that is not read, cut off, or with lengths that cannot be true.
    """
    reader = reader_of(source)
    cursor = Cursor(reader)
    if cursor.take(4) != b"GGUF":
        raise BadInput(f"{reader.name} is not a GGUF file", why="it does not begin with GGUF", remedy="check the file")
    version = cursor.uint32()
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
        raise BadInput(
            f"{reader.name} cannot be read",
            why="it is a big-endian file" if swapped else f"its GGUF version is {version}; 2 and 3 are read",
            remedy="convert the model again with a current converter",
        )
    tensor_count, pair_count = cursor.uint64(), cursor.uint64()
    metadata, arrays, lengths = _metadata(cursor, pair_count)
    tensors = tuple(_tensor(cursor) for _ in cursor.counted(tensor_count, at_least=24, what="tensors"))
    header = GgufHeader(version, metadata, tensors, arrays, lengths)
    _check_data(cursor, header)
    return header


def _metadata(cursor: Cursor, count: int) -> tuple[dict[str, Scalar], dict[str, Numbers], dict[str, int]]:
    metadata: dict[str, Scalar] = {}
    arrays: dict[str, Numbers] = {}
    lengths: dict[str, int] = {}
    for _ in cursor.counted(count, at_least=13, what="metadata pairs"):
        key = cursor.text()
        if key in metadata or key in lengths:
            raise cursor.bad(f"the key {key} is there twice")
        value = cursor.value(cursor.uint32())
        if not isinstance(value, Array):
            metadata[key] = value
            continue
        lengths[key] = value.length
        if value.numbers is not None:
            arrays[key] = value.numbers
    return metadata, arrays, lengths


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
        return Tensor(name, f"type {number}", shape, offset, None)
    if shape and shape[0] % known.block:
        raise cursor.bad(f"the tensor {name} has rows of {shape[0]}, which {known.name} cannot hold")
    return Tensor(name, known.name, shape, offset, elements // known.block * known.bytes)


def _check_data(cursor: Cursor, header: GgufHeader) -> None:
    """A download that was cut off has its whole header, but not the weights that it promises."""
    alignment = header.metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or isinstance(alignment, bool) or not 0 < alignment <= 1 << 20:
        raise cursor.bad(f"its alignment is {alignment!r}")
    start = -(-cursor.position // alignment) * alignment
    needed = start + max((tensor.end for tensor in header.tensors if tensor.end is not None), default=0)
    if header.tensors and cursor.size is not None and needed > cursor.size:
        raise cursor.bad(f"it is cut off: {needed} bytes are promised, {cursor.size} are there")
