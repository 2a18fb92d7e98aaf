"""Protocol buffers by field number, without their schema: https://protobuf.dev/programming-guides/encoding."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

Span = tuple[int, int]
"""Where the bytes of a field lie: start and end."""
Buffer = bytes | mmap.mmap
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5


def fields(data: Buffer, span: Span) -> Iterator[tuple[int, int | Span]]:
    """Each field of a message: its number, and its integer or where its bytes lie; ``ValueError`` where it is none."""
    position, end = span
    while position < end:
        tag, position = _read_varint(data, position, end)
        kind = tag & 7
        if kind == VARINT:
            value, position = _read_varint(data, position, end)
            yield tag >> 3, value
            continue
        if kind == BYTES:
            length, position = _read_varint(data, position, end)
        elif kind in {EIGHT_BYTES, FOUR_BYTES}:
            length = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if position + length > end:
            raise ValueError("it is cut off")
        yield tag >> 3, (position, position + length)
        position += length


def varints(data: Buffer, span: Span) -> Iterator[int]:
    """The integers of a packed field."""
    position, end = span
    while position < end:
        value, position = _read_varint(data, position, end)
        yield value


def spanned(value: int | Span) -> Span:
    """``value``, which must be no integer (``ValueError``)."""
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def text(data: Buffer, value: int | Span) -> str:
    """What a field holds, as text."""
    start, end = spanned(value)
    return data[start:end].decode("utf-8", "replace")


def number(field: int, value: int) -> bytes:
    """A field that holds an integer, not negative."""
    return varint(field << 3 | VARINT) + varint(value)


def message(field: int, content: bytes | str) -> bytes:
    """A field that holds bytes, a text or another message."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | BYTES) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    """An integer, not negative, as it is written."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise ValueError("it is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number that does not end")
