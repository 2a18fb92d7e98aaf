"""Reading GGUF's values one after another, with every length checked before it is believed."""

from __future__ import annotations

import struct
from typing import NamedTuple

from assay.errors import BadInput
from assay.formats.source import Reader

Scalar = int | float | bool | str
Numbers = tuple[int | float | bool, ...]

FIRST_PIECE = 1 << 16
"""Each piece that is read is as long as all before it together, so that few are asked of a remote file."""
MAX_PIECE = 1 << 23
MAX_HEADER = 1 << 28
"""The largest vocabularies make headers of about 20 MB."""
MAX_NUMBERS = 4096
"""Longer lists of numbers belong to the vocabulary; those with one number a layer are shorter."""
MAX_KEY = 65_535
MAX_NESTING = 4

FIXED = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
STRING, ARRAY = 8, 9
U32, U64 = FIXED[4], FIXED[10]


class Array(NamedTuple):
    """``numbers`` are None where they are many, or no numbers."""

    length: int
    numbers: Numbers | None


class Cursor:
    """A place in the file; reads move it on."""

    def __init__(self, reader: Reader) -> None:
        self.size = reader.size
        self.position = 0
        self._reader = reader
        self._buffer = bytearray()

    def bad(self, why: str) -> BadInput:
        """The error for a file whose content cannot be true."""
        return BadInput(f"{self._reader.name} is not a sound GGUF file", why=why, remedy="download or convert it again")

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self._advance(count)
        return bytes(self._buffer[start : start + count])

    def uint32(self) -> int:
        return int(U32.unpack_from(self._buffer, self._advance(4))[0])

    def uint64(self) -> int:
        return int(U64.unpack_from(self._buffer, self._advance(8))[0])

    def text(self) -> str:
        """A key or a name: short, and UTF-8."""
        length = self.uint64()
        if length > MAX_KEY:
            raise self.bad(f"a name of {length} bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.bad("a name that is not UTF-8") from error

    def counted(self, count: int, *, at_least: int, what: str) -> range:
        """``count`` turns, each of which reads ``at_least`` bytes; refuses a count that the file cannot hold."""
        room = (MAX_HEADER if self.size is None else self.size) - self.position
        if count * at_least > room:
            raise self.bad(f"it promises {count} {what}, which do not fit into its {room} bytes")
        return range(count)

    def value(self, kind: int, depth: int = 0) -> Scalar | Array:
        """The value of type ``kind``; of long arrays, and of those of strings, only the length."""
        if kind in FIXED:
            packed = FIXED[kind]
            number: int | float | bool = packed.unpack_from(self._buffer, self._advance(packed.size))[0]
            return number
        if kind == STRING:
            return self.take(self.uint64()).decode("utf-8", "replace")
        if kind == ARRAY:
            return self._array(depth)
        raise self.bad(f"a value of the unknown type {kind}")

    def _array(self, depth: int) -> Array:
        if depth >= MAX_NESTING:
            raise self.bad("arrays within arrays without end")
        kind, count = self.uint32(), self.uint64()
        if kind in FIXED:
            packed = FIXED[kind]
            start = self._advance(packed.size * count)
            if count > MAX_NUMBERS:
                return Array(count, None)
            part = self._buffer[start : self.position]
            return Array(count, tuple(number for (number,) in packed.iter_unpack(part)))
        if kind == STRING:
            self._pass_strings(count)
        else:
            for _ in self.counted(count, at_least=12, what="arrays"):
                self.value(kind, depth + 1)
        return Array(count, None)

    def _pass_strings(self, count: int) -> None:
        """A vocabulary has some hundred thousand strings: this loop is most of the time that a header takes."""
        position, length_at = self.position, U64.unpack_from
        for _ in self.counted(count, at_least=8, what="strings"):
            if position + 8 > len(self._buffer):
                self._load(position + 8)
            position += 8 + length_at(self._buffer, position)[0]
        self._load(position)
        self.position = position

    def _advance(self, count: int) -> int:
        """Make the next ``count`` bytes readable and move on over them; gives where in the buffer they begin."""
        start = self.position
        self._load(start + count)
        self.position = start + count
        return start

    def _load(self, end: int) -> None:
        """Have everything before ``end`` in the buffer."""
        if self.size is not None and end > self.size:
            raise self.bad(f"it is cut off: {end} bytes are promised, {self.size} are there")
        if end > MAX_HEADER:
            raise self.bad(f"a header of more than {MAX_HEADER} bytes")
        have = len(self._buffer)
        if end > have:
            self._buffer += self._reader.read(have, max(end - have, min(max(have, FIRST_PIECE), MAX_PIECE)))
            if end > len(self._buffer):
                why = "cut off" if self.size is None else "shorter than it was when it was opened"
                raise self.bad(f"it is {why}: {end} bytes are promised, {len(self._buffer)} are there")
