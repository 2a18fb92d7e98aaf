"""Files of one JSON object a line: appended to, cut by a kill at any byte, read and mended."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from assay.errors import RunDamaged, RunError

T = TypeVar("T")
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)


class Lines:
    """Appends one object a line. A line is with the operating system when `append` returns: a kill cannot take it.

    A write that fails half-way (a full disk) is taken back, so that the file always ends with a whole line. Raises
    `RunError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o644)
        self._size = os.fstat(self._descriptor).st_size
        self._encoder = msgspec.json.Encoder()

    def append(self, item: msgspec.Struct) -> None:
        """Write ``item`` as one line."""
        line = self._encoder.encode(item) + b"\n"
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BaseException as error:
            os.ftruncate(self._descriptor, self._size)
            if isinstance(error, OSError):
                raise RunError(
                    f"cannot write to {self._path}",
                    why=error.strerror,
                    remedy="make room; what is measured so far is kept, and --resume finishes the run",
                ) from error
            raise
        self._size += len(line)

    def close(self) -> None:
        """Bring everything to the disk itself, and close; no error when that is done already."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class Read(NamedTuple):
    """What a file of lines held: its objects, and how many lines (0 or 1) were cut off."""

    items: tuple[Any, ...]
    cut: int


def read_lines(path: Path, decode: Callable[[bytes], T]) -> Read:
    """Every object of the file; none where it is not there.

    Only the last line can have been cut by a kill, and it has no line end: it is skipped and counted. Any other line
    that cannot be decoded means that the file was changed or its disk failed, and figures from what is left could be
    wrong: `RunDamaged`, naming file and line. Empty lines count for nothing.
    """
    lines = _content(path).split(b"\n")
    items = [_decoded(path, number, line, decode) for number, line in enumerate(lines[:-1], start=1) if line.strip()]
    tail = lines[-1]
    if tail.strip():
        try:
            items.append(decode(tail))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Read(tuple(items), 1)
    return Read(tuple(items), 0)


def mend(path: Path, decode: Callable[[bytes], Any]) -> None:
    """Make the file end with a whole line: end the last one, or take it away where it was cut off."""
    content = _content(path)
    tail = content[content.rfind(b"\n") + 1 :]
    if not tail:
        return
    with path.open("r+b") as file:
        try:
            decode(tail)
        except (msgspec.DecodeError, UnicodeDecodeError):
            file.truncate(len(content) - len(tail))
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _decoded(path: Path, number: int, line: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunDamaged(
            f"{path}, line {number} cannot be read",
            why=str(error),
            remedy="take that line out (keep a copy of the file), or measure again",
        ) from error
