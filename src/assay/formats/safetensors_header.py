"""The header of a safetensors file: its tensors with types, shapes and sizes, read without touching the weights.

Layout (huggingface/safetensors): 8 bytes with the length of a JSON object, the object, then the data, in which the
tensors lie one after another without holes. Every length is checked before it is believed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from assay.errors import BadInput
from assay.formats.json_object import AGAIN, json_object
from assay.formats.source import Reader, reader_of

LENGTH_BYTES = 8
MAX_HEADER = 100_000_000
"""The limit of the format's own library."""
MAX_ELEMENTS = 1 << 63
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


class SafeTensor(NamedTuple):
    """``dtype`` as the format spells it (``BF16``), ``size`` in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class SafetensorsHeader(NamedTuple):
    """What a safetensors file says of itself."""

    metadata: dict[str, str]
    tensors: tuple[SafeTensor, ...]

    @property
    def weights(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)


def read_safetensors_header(source: Path | Reader) -> SafetensorsHeader:
    """Read the header of a file; the check that all of the weights are there is left out where its size is not known.

    Raises:
        BadInput: no safetensors file, cut off, or with lengths that cannot be true.
    """
    reader = reader_of(source)
    first = reader.read(0, LENGTH_BYTES)
    length = int.from_bytes(first, "little")
    if len(first) < LENGTH_BYTES or length > MAX_HEADER:
        raise _bad(reader, f"its header would have {length} bytes" if len(first) == LENGTH_BYTES else "it is cut off")
    if reader.size is not None and LENGTH_BYTES + length > reader.size:
        raise _bad(reader, f"it is cut off: a header of {length} bytes is promised, the file has {reader.size}")
    content = reader.read(LENGTH_BYTES, length)
    if len(content) < length:
        raise _bad(reader, f"it is cut off: a header of {length} bytes is promised, {len(content)} are there")
    header = json_object(content, reader.name)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _bad(reader, "its __metadata__ is no object")
    tensors = tuple(sorted((_tensor(reader, *item) for item in header.items()), key=lambda tensor: tensor.offset))
    _check_data(reader, tensors, LENGTH_BYTES + length)
    return SafetensorsHeader({str(key): str(value) for key, value in metadata.items()}, tensors)


def _tensor(reader: Reader, name: str, told: Any) -> SafeTensor:
    if not isinstance(told, dict):
        raise _bad(reader, f"the tensor {name} is not described")
    dtype, shape, offsets = told.get("dtype"), _counts(told.get("shape")), _counts(told.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _bad(reader, f"the tensor {name} has the unknown type {dtype}")
    if shape is None or math.prod(shape) >= MAX_ELEMENTS:
        raise _bad(reader, f"the tensor {name} has the shape {told.get('shape')}")
    if offsets is None or len(offsets) != 2:
        raise _bad(reader, f"the tensor {name} lies at {told.get('data_offsets')}")
    start, end = offsets
    if (end - start) * 8 != math.prod(shape) * BITS[dtype]:
        raise _bad(reader, f"the tensor {name} of shape {shape} in {dtype} has {end - start} bytes")
    return SafeTensor(name, dtype, shape, start, end - start)


def _counts(value: Any) -> tuple[int, ...] | None:
    """Whole numbers from zero up, else None."""
    if not isinstance(value, list):
        return None
    sound = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in value)
    return tuple(value) if sound else None


def _check_data(reader: Reader, tensors: tuple[SafeTensor, ...], start: int) -> None:
    position = 0
    for tensor in tensors:
        if tensor.offset != position:
            raise _bad(reader, f"the tensor {tensor.name} lies at {tensor.offset}, after data that ends at {position}")
        position += tensor.size
    if reader.size is not None and start + position != reader.size:
        short = "it is cut off" if start + position > reader.size else "it holds what no tensor describes"
        raise _bad(reader, f"{short}: {start + position} bytes are promised, {reader.size} are there")


def _bad(reader: Reader, why: str) -> BadInput:
    return BadInput(f"{reader.name} is not a sound safetensors file", why=why, remedy=AGAIN)
