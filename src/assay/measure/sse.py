"""Splits a stream of server-sent events by bytes, however the network cut it."""

from __future__ import annotations

import re

MAX_EVENT_BYTES = 16 * 1024 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event grew over the bound without ending."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an event is larger than {limit} bytes")


class SseSplitter:
    """Incremental splitter: ``feed`` bytes as they were read, get the ``data`` payload of each event that they end.

    Lines end in LF, CRLF or CR; comments and the fields ``event``, ``id`` and ``retry`` are passed over; several
    ``data`` lines of one event are joined by LF; a byte order mark at the start is dropped. Payloads are bytes and are
    decoded by whoever reads them, so a character that two reads share is never broken. ``end`` gives the event that
    the stream's end left without its blank line. Both raise ``EventTooLarge``.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._pending = b""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Payloads of the events that end in ``chunk``."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        buffer = self._pending + chunk if self._pending else chunk
        if not self._started:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._pending = buffer
                return []
            self._started = True
            buffer = buffer.removeprefix(_BOM)
        if b"\r" in buffer:
            lines = _LINE_END.split(buffer)
            self._after_cr = buffer.endswith(b"\r")
        else:
            lines = buffer.split(b"\n")
        self._pending = lines.pop()
        events = self._events(lines)
        if self._size + len(self._pending) > self._max:
            raise EventTooLarge(self._max)
        return events

    def end(self) -> list[bytes]:
        """The last event, where the stream ended before the blank line after it."""
        return self.feed(b"\n\n")

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if line:
                value = self._value(line)
                if value is not None:
                    self._data.append(value)
                    self._size += len(value)
                    if self._size > self._max:
                        raise EventTooLarge(self._max)
            elif self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
                self._size = 0
        return events

    @staticmethod
    def _value(line: bytes) -> bytes | None:
        """The value of a ``data`` line, None for any other."""
        if line.startswith(b"data:"):
            return line[6:] if line[5:6] == b" " else line[5:]
        return b"" if line == b"data" else None
