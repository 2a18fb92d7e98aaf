"""The exact weights and the shape of a variant, from the headers of its files: here, or not yet downloaded."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import structs

from assay.catalog.shape import Shape
from assay.catalog.shape_config import shape_of_config, shape_of_genai
from assay.catalog.shape_gguf import shape_of_gguf
from assay.formats import (
    Reader,
    is_projector,
    onnx_graph,
    read_gguf_header,
    read_json_object,
    read_safetensors_header,
)
from assay.types import File, Variant

Open = Callable[[Variant, File], Reader]
"""Opens one file of a variant: a ``FileReader``, or one that asks for byte ranges."""
MIX = re.compile(r"^(Q\d_K)_[SML]$")
"""Mixes are named after the type that most weights have."""
PACKED = frozenset({"int4", "int8", "f32"})
"""Quantisations of ONNX weights of which it was seen how much of them ONNX Runtime holds."""
LARGEST_GRAPH = 32 * 2**20
"""Bytes of an ONNX file that is read whole: one that is larger holds the weights too."""


def measure_of(variant: Variant, open_: Open) -> tuple[Shape | None, int]:
    """Shape and bytes of the weights of ``variant``; of its files only headers and configurations are read.

    The shape is None where the files tell none; where no file is known, weights are 0.

    Raises:
        BadInput: a file is broken; besides, whatever ``open_`` and its readers raise.
    """
    if variant.format == "gguf":
        return _gguf(variant, open_)
    if variant.format == "safetensors":
        return _safetensors(variant, open_)
    if variant.format == "onnx":
        return _onnx(variant, open_)
    return None, variant.disk or 0


def retyped(shape: Shape, quantisation: str | None, weights: int) -> Shape:
    """``shape`` as that of a sibling in another quantisation (``Q4_K_M``), whose own header was not read.

    All of its ``weights`` (bytes) are taken to be of that type.
    """
    if quantisation is None:
        return structs.replace(shape, repackable={}, block=None)
    kind = quantisation if quantisation in PACKED else MIX.sub(r"\1", quantisation.upper())
    return structs.replace(shape, repackable={kind: weights}, block=None)


def _gguf(variant: Variant, open_: Open) -> tuple[Shape | None, int]:
    parts = _ending(variant, ".gguf")
    parts = [file for file in parts if not is_projector(file.path)] or parts
    if not parts:
        return None, 0
    headers = [read_gguf_header(open_(variant, file)) for file in parts]
    weights = 0
    for file, header in zip(parts, headers, strict=True):
        weights += (file.size or 0) if header.weights is None else header.weights
    described = max(headers, key=lambda header: len(header.metadata))
    others = [header for header in headers if header is not described]
    return shape_of_gguf(described, others), weights


def _safetensors(variant: Variant, open_: Open) -> tuple[Shape | None, int]:
    headers = [read_safetensors_header(open_(variant, file)) for file in _ending(variant, ".safetensors")]
    weights = sum(header.weights for header in headers)
    config = _named(variant, "config.json")
    shape = shape_of_config(read_json_object(open_(variant, config))) if config else None
    return shape, weights


def _onnx(variant: Variant, open_: Open) -> tuple[Shape | None, int]:
    """A graph's own bytes are few, and its external data is nothing but weights."""
    weights = sum(file.size or 0 for file in variant.files if _is_onnx(file.path))
    config = _named(variant, "genai_config.json")
    shape = shape_of_genai(read_json_object(open_(variant, config))) if config else None
    if shape is not None and variant.quantisation in PACKED:
        block = _block(variant, open_) if variant.here else None
        shape = structs.replace(shape, repackable={variant.quantisation: weights}, block=block)
    return shape, weights


def _block(variant: Variant, open_: Open) -> int | None:
    """How many weights share a scale, by the largest graph; None where that is too large to be read for it."""
    graphs = [file for file in _ending(variant, ".onnx") if file.size is not None and file.size <= LARGEST_GRAPH]
    largest = max(graphs, key=lambda file: file.size or 0, default=None)
    if largest is None:
        return None
    reader = open_(variant, largest)
    return onnx_graph(reader.read(0, reader.size or 0), reader.name).block


def _is_onnx(path: str) -> bool:
    return ".onnx" in path.rpartition("/")[2]


def _ending(variant: Variant, ending: str) -> list[File]:
    return sorted((file for file in variant.files if file.path.lower().endswith(ending)), key=lambda file: file.path)


def _named(variant: Variant, name: str) -> File | None:
    """The file of that name nearest to the variant's top."""
    found = [file for file in variant.files if file.path.rpartition("/")[2] == name]
    return min(found, key=lambda file: file.path.count("/"), default=None)
