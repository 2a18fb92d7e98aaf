"""GGUF files made byte by byte, so that they can be wrong in every way."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float | bool
TensorRow = tuple[str, tuple[int, ...], int, int]
"""Name, shape, type number, offset."""

QWEN: Mapping[str, Value] = {
    "general.architecture": "qwen2",
    "general.name": "Tiny",
    "general.license": "apache-2.0",
    "general.file_type": 7,
    "qwen2.context_length": 2048,
    "tokenizer.chat_template": "{{ messages }}",
}


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str | bytes, value: Value) -> bytes:
    if isinstance(value, bool):
        return text(key) + struct.pack("<I?", 7, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    return text(key) + struct.pack("<II", 4, value)


def tensor(row: TensorRow) -> bytes:
    name, shape, kind, offset = row
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    pairs: Mapping[str, Value] | Sequence[bytes] = QWEN,
    tensors: Sequence[TensorRow] = (("w", (64, 2), 8, 0),),
    data: int = 136,
    version: int = 3,
) -> bytes:
    """A file; ``data`` is the number of bytes that follow the header."""
    rows = [pair(key, value) for key, value in pairs.items()] if isinstance(pairs, Mapping) else list(pairs)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(rows))
    head += b"".join(rows) + b"".join(tensor(row) for row in tensors)
    return head + bytes(-len(head) % 32) + bytes(data)


def write_gguf(path: Path, **pairs: Value) -> Path:
    """A sound small file at ``path``; ``pairs`` have ``__`` for the dots of their keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf({**QWEN, **{key.replace("__", "."): value for key, value in pairs.items()}}))
    return path


def numbers(key: str, values: Sequence[int]) -> bytes:
    """A list of 32-bit integers."""
    return text(key) + struct.pack(f"<IIQ{len(values)}i", 9, 5, len(values), *values)


def flags(key: str, values: Sequence[bool]) -> bytes:
    """A list of booleans."""
    return text(key) + struct.pack(f"<IIQ{len(values)}?", 9, 7, len(values), *values)


def words(key: str, values: Sequence[str]) -> bytes:
    """A list of texts."""
    return text(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(text(value) for value in values)


class Ranges:
    """A remote file: it remembers what was asked of it."""

    def __init__(self, content: bytes, size: int | None = None, name: str = "remote.gguf") -> None:
        self.content = content
        self.size = size
        self.name = name
        self.asked: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        return self.content[offset : offset + length]
