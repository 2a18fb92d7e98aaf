"""An answer that comes as server-sent events: passed on as it comes, cut only between two events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from assay.serve.gone import Gone
from assay.serve.overhear import Ear
from assay.serve.tally import Tally

MOST_HELD = 1 << 20
"""Bytes of one event; what is longer is passed on in parts."""
Read = Callable[[], Awaitable[bytes]]
"""Gives what has come; nothing at the end."""
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LAST = (b"\n", b"\r", b"[DONE]")
"""What a whole stream may end in."""


class EventStream:
    """One stream. After ``go`` has raised, ``whole`` says whether what was sent ends between two events.

    ``framed``: its end is told by more than the end of its connection.
    """

    def __init__(
        self,
        read: Read,
        response: web.StreamResponse,
        tally: Tally,
        clock: Callable[[], float],
        ear: Ear | None,
        *,
        framed: bool,
    ) -> None:
        self._clock = clock
        self._ear = ear
        self._framed = framed
        self._read = read
        self._response = response
        self._tally = tally
        self.whole = True

    async def go(self) -> None:
        """Pass everything on, and the end. Raise ``Gone``, or ``aiohttp.ClientError`` where the model's side broke."""
        clock, ear = self._clock, self._ear
        read, write, count = self._read, self._response.write, self._tally.streamed
        held = chunk = before = b""
        while data := await read():
            if ear:
                ear.hear(data)
            before, chunk = chunk, held + data if held else data
            held = b""
            if chunk.endswith(_ENDS):
                self.whole = True
            else:
                chunk, held = self._split(chunk)
                if not chunk:
                    continue
            count(chunk, clock())
            try:
                await write(chunk)
            except ConnectionError as error:
                raise Gone(str(error)) from None
        self._tally.stream_ended(before + chunk + held)
        if not self._framed and not (held or chunk).endswith(_LAST):
            raise aiohttp.ClientPayloadError("it ended too soon")
        try:
            await self._response.write_eof(held)
        except ConnectionError as error:
            raise Gone(str(error)) from None

    def _split(self, chunk: bytes) -> tuple[bytes, bytes]:
        """What ends between two events, and the rest, which waits for more."""
        end = max(at + len(mark) if (at := chunk.rfind(mark)) >= 0 else 0 for mark in _ENDS)
        inside = not self.whole and not end
        self.whole = not inside and len(chunk) - end <= MOST_HELD
        return (chunk[:end], chunk[end:]) if self.whole else (chunk, b"")
