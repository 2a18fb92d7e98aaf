"""A server with known timings, run in a process of its own: what the self-test measures the client against.

Run by path (``python -I timing_server.py``), needs only the standard library, prints its port, and ends when its
standard input closes. ``POST /v1/chat/completions`` with the model ``steady:<events per second>`` streams
``max_tokens`` events, each of one token whose text is the monotonic nanosecond at which it was written. The model
``script:<name>`` streams one of ``SCRIPTS`` at once, framed in an awkward way, with counts that are exactly known.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
PROMPT_TOKENS = 7


@dataclass(frozen=True)
class Script:
    """Writes to make, and what a client must count in them."""

    writes: tuple[bytes, ...]
    text: str
    output_tokens: int
    chunks: int
    first_chunk_tokens: int | None


def event(text: str | None, *, usage: int | None = None, finish: str | None = None, role: str | None = None) -> bytes:
    """One completion chunk as a ``data:`` event; with ``text`` None and no finish it is a usage-only tail."""
    delta: dict[str, str] = {}
    if role:
        delta["role"] = role
    if text is not None:
        delta["content"] = text
    chunk: dict[str, Any] = {"id": "timing", "object": "chat.completion.chunk", "created": 0, "model": "timing"}
    tail = text is None and role is None and finish is None
    chunk["choices"] = [] if tail else [{"index": 0, "delta": delta, "finish_reason": finish}]
    if usage is not None:
        total = PROMPT_TOKENS + usage
        chunk["usage"] = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": usage, "total_tokens": total}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def _scripts() -> dict[str, Script]:
    words = tuple(f"w{n} " for n in range(40))
    text = "".join(words)
    plain = (event("", role="assistant"), *map(event, words), event("", finish="stop"), event(None, usage=40), DONE)
    whole = b"".join(plain)
    pairs = [(words[n] + words[n + 1], n + 2) for n in range(0, 40, 2)]
    coalesced = [event(both, usage=count) for both, count in pairs]
    emoji = "naïve 🦊 Привет "
    split = b"".join((*(event(letter) for letter in emoji), event("", finish="length"), event(None, usage=len(emoji))))
    commented = b"".join(b": keep-alive\n\nevent: message\nid: 1\n" + one for one in plain)
    return {
        "plain": Script(plain, text, 40, 40, 1),
        "joined": Script((whole,), text, 40, 40, 1),
        "bytewise": Script(
            tuple(bytes([b]) for b in b"".join(plain[:12] + plain[41:])), "".join(words[:11]), 40, 11, None
        ),
        "crlf": Script((whole.replace(b"\n", b"\r\n"),), text, 40, 40, 1),
        "cr": Script((whole.replace(b"\n", b"\r"),), text, 40, 40, 1),
        "comments": Script((commented[:700], commented[700:]), text, 40, 40, 1),
        "coalesced": Script((*coalesced, event("", finish="stop", usage=40), DONE), text, 40, 20, 2),
        "no-done": Script(plain[:-1], text, 40, 40, 1),
        "eos-counted": Script((*plain[:-2], event(None, usage=41), DONE), text, 41, 40, 1),
        "split-utf8": Script(
            tuple(split[n : n + 3] for n in range(0, len(split), 3)), emoji, len(emoji), len(emoji), 1
        ),
    }


SCRIPTS = _scripts()


class TimingProtocol(asyncio.Protocol):
    """HTTP/1.1 as far as the self-test's client needs it: one request at a time on a connection."""

    def __init__(self) -> None:
        self._inbox = bytearray()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        head, found, body = self._inbox.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        if len(body) < length:
            return
        self._inbox.clear()
        self._answer(json.loads(body[:length]))

    def _answer(self, request: dict[str, Any]) -> None:
        kind, _, detail = request["model"].partition(":")
        self._transport.write(HEAD)
        if kind == "script":
            for part in SCRIPTS[detail].writes:
                self._write(part)
            self._transport.write(b"0\r\n\r\n")
            return
        self._write(event("", role="assistant"))
        self._tick(0, request["max_tokens"], self._loop.time(), 1 / float(detail))

    def _tick(self, sent: int, total: int, start: float, period: float) -> None:
        if sent == total:
            self._write(event("", finish="stop") + event(None, usage=total) + DONE)
            self._transport.write(b"0\r\n\r\n")
            return
        self._write(event(f"{time.monotonic_ns()} "))
        self._timer = self._loop.call_at(start + (sent + 1) * period, self._tick, sent + 1, total, start, period)

    def _write(self, part: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))


def _leave_when_stdin_closes() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


async def main() -> None:
    """Serve on a free loopback port, which is printed."""
    server = await asyncio.get_running_loop().create_server(TimingProtocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    threading.Thread(target=_leave_when_stdin_closes, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
