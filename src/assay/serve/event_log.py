"""The service's log: a line per event with its UTC time, in files that together never grow past a bound."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

MOST = 10_000_000
"""Bytes of one file."""
FILES = 3
_CHUNK = 1 << 16


class EventLog:
    """Writes events to ``path``; a full file becomes ``path.1``, that one ``path.2``. ``echo`` hears each line too, in
    their order, one at a time; it must not wait for anybody.

    Where nothing can be written (a full disk), events are dropped and counted, and the service goes on.
    """

    def __init__(self, path: Path, *, echo: Callable[[str], None] | None = None, most: int = MOST) -> None:
        self.dropped = 0
        self._path = path
        self._echo = echo
        self._most = most
        self._file: IO[bytes] | None = None
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()

    def say(self, event: str, **facts: object) -> None:
        """One line: ``2026-11-22T09:30:00.123Z event key=value``; facts that are None are left out."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = " ".join(f"{name}={_shown(value)}" for name, value in facts.items() if value is not None)
        line = f"{now} {_plain(event)} {told}".rstrip()
        self._waiting.append(line)
        # Who writes already writes this line too, and nobody waits: in the middle of a line the collector may tell of
        # an error that nobody asked for, in the very thread that writes.
        while self._waiting and self._lock.acquire(blocking=False):
            try:
                while self._waiting:
                    self._tell(self._waiting.popleft())
            finally:
                self._lock.release()

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _tell(self, line: str) -> None:
        if self._echo is not None:
            try:
                self._echo(line)
            except (OSError, ValueError):  # the terminal or the pipe is gone
                self._echo = None
        try:
            self._write(line.encode("utf-8", "replace") + b"\n")
        except OSError:
            self.dropped += 1
            self.close()

    def _write(self, line: bytes) -> None:
        file = self._file or self._open()
        if file.tell() and file.tell() + len(line) > self._most:
            self.close()
            self._turn()
            file = self._open()
        file.write(line)
        file.flush()

    def _open(self) -> IO[bytes]:
        """Ready for a fresh line: what a full disk or the end of the process cut off becomes a line of its own."""
        file = self._file = open(  # noqa: SIM115 - it stays open between events
            self._path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600)
        )
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        return file

    def _turn(self) -> None:
        """Make room for a fresh file: each becomes the next older, and the oldest goes."""
        for n in range(FILES - 1, 0, -1):
            older, newer = numbered(self._path, n), numbered(self._path, n - 1)
            if newer.exists():
                newer.replace(older)


def numbered(path: Path, n: int) -> Path:
    """The ``n``-th older file of a log; 0 is the one that is written."""
    return path.with_name(f"{path.name}.{n}") if n else path


def tail(path: Path, lines: int, *, end: int | None = None) -> list[str]:
    """The last ``lines`` of a log, oldest first, from its older files too where the newest has fewer.

    With ``end`` only that many bytes of the newest file count.
    """
    found: list[str] = []
    for n in range(FILES):
        if len(found) >= lines:
            break
        found = _last(numbered(path, n), lines - len(found), end if n == 0 else None) + found
    return found


def follow(path: Path, *, last: int = 0, rest_s: float = 0.2) -> Generator[str]:
    """The ``last`` lines, then those that are written from now on, through the change to a fresh file; endless."""
    file = _opened(path)
    end = file.seek(0, os.SEEK_END) if file is not None else 0
    partial, turned = b"", False
    try:
        yield from tail(path, last, end=end)
        while True:
            piece = file.read(_CHUNK) if file is not None else b""
            if piece:
                *whole, partial = (partial + piece).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
            elif file is not None and not turned and not _replaced(file, path):
                time.sleep(rest_s)
            elif file is not None and not turned:
                turned = True  # what was written just before the change is still to be read
            else:
                if file is not None:
                    file.close()
                file, partial, turned = _opened(path), b"", False
                if file is None:
                    time.sleep(rest_s)
    finally:
        if file is not None:
            file.close()


def _opened(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _replaced(file: IO[bytes], path: Path) -> bool:
    """Whether another file has the name now."""
    try:
        return not os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _last(path: Path, lines: int, end: int | None) -> list[str]:
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            at = at if end is None else min(at, end)
            block = b""
            while at > 0 and block.count(b"\n") <= lines:
                step = min(_CHUNK, at)
                at = file.seek(at - step)
                block = file.read(step) + block
    except OSError:
        return []
    texts = block.decode("utf-8", "replace").splitlines()
    return texts[len(texts) - lines :] if len(texts) > lines else texts


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)
    if text and not {" ", '"'} & set(text):
        return _plain(text)
    return '"' + _plain(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _plain(text: str) -> str:
    """Text that stays on its line and moves no cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
