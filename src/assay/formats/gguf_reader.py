"""Reading GGUF's values one after another, with every length checked before it is believed."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from assay.errors import BadInput

Scalar = int | float | bool | str

CHUNK = 1 << 20
MAX_HEADER = 1 << 28
"""The largest vocabularies make headers of about 20 MB."""
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


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Cursor]:
    """A cursor at the start of ``path``; what the system refuses becomes ``BadInput``."""
    try:
        with path.open("rb") as file:
            yield Cursor(path, file)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read", why=error.strerror or str(error), remedy="check the path and its permissions"
        ) from error


class Cursor:
    """A place in the file; reads move it on."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = file.seek(0, 2)
        self.position = 0
        self._file = file
        self._buffer = bytearray()
        file.seek(0)

    def bad(self, why: str) -> BadInput:
        """The error for a file whose content cannot be true."""
        return BadInput(f"{self.path} is not a sound GGUF file", why=why, remedy="download or convert it again")

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self._advance(count)
        return bytes(self._buffer[start : start + count])

    def skip(self, count: int) -> None:
        """Move on over ``count`` bytes."""
        self._advance(count)

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
        if count * at_least > self.size - self.position:
            raise self.bad(f"it promises {count} {what}, which do not fit into its {self.size} bytes")
        return range(count)

    def value(self, kind: int, depth: int = 0) -> Scalar | None:
        """The value of type ``kind``; an array is passed over and gives None."""
        if kind in FIXED:
            packed = FIXED[kind]
            number: int | float | bool = packed.unpack_from(self._buffer, self._advance(packed.size))[0]
            return number
        if kind == STRING:
            return self.take(self.uint64()).decode("utf-8", "replace")
        if kind == ARRAY:
            self._pass_array(depth)
            return None
        raise self.bad(f"a value of the unknown type {kind}")

    def _pass_array(self, depth: int) -> None:
        if depth >= MAX_NESTING:
            raise self.bad("arrays within arrays without end")
        kind, count = self.uint32(), self.uint64()
        if kind in FIXED:
            self.skip(FIXED[kind].size * count)
        elif kind == STRING:
            self._pass_strings(count)
        else:
            for _ in self.counted(count, at_least=12, what="arrays"):
                self.value(kind, depth + 1)

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
        if end > self.size:
            raise self.bad(f"it is cut off: {end} bytes are promised, {self.size} are there")
        if end > MAX_HEADER:
            raise self.bad(f"a header of more than {MAX_HEADER} bytes")
        if end > len(self._buffer):
            self._buffer += self._file.read(max(end - len(self._buffer), CHUNK))
            if end > len(self._buffer):
                raise self.bad("it became shorter while it was read")
