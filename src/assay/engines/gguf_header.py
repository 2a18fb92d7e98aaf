"""The key-value header of a GGUF file: what an engine must know before it loads the file.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from assay.errors import BadInput

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def read_header(path: Path) -> dict[str, Any]:
    """All scalar and string values by key; of an array only its length. Raise ``BadInput`` for what is no GGUF file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(data)
    except (OSError, ValueError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read as a GGUF file",
            why=str(error) or type(error).__name__,
            remedy="download or import it again",
        ) from None


def _read(data: mmap.mmap) -> dict[str, Any]:
    magic, version, _tensors, count = struct.unpack_from("<4sIQQ", data, 0)
    if magic != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    if version not in {2, 3}:
        raise ValueError(f"its version is {version}; 2 and 3 are known")
    at, found = 24, {}
    for _ in range(count):
        key, at = _string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        found[key], at = _value(data, at + 4, kind)
    return found


def _value(data: mmap.mmap, at: int, kind: int) -> tuple[Any, int]:
    if kind == _STRING:
        return _string(data, at)
    if kind == _ARRAY:
        return _array(data, at)
    code = _SCALARS[kind]
    (value,) = struct.unpack_from("<" + code, data, at)
    return value, at + struct.calcsize("<" + code)


def _array(data: mmap.mmap, at: int) -> tuple[int, int]:
    kind, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if kind == _STRING:
        length_of = struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + length_of(data, at)[0]
        return count, at
    if kind == _ARRAY:
        for _ in range(count):
            _, at = _array(data, at)
        return count, at
    return count, at + count * struct.calcsize("<" + _SCALARS[kind])


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise ValueError("it is cut off")
    return data[at + 8 : end].decode(), end
