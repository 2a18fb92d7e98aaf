"""What one request did, counted as it passes: for the metrics and the access line, never for its text."""

from __future__ import annotations

import re

import msgspec
from aiohttp import web
from msgspec import Struct

_TEXT = re.compile(rb'"(?:content|text|reasoning_content|reasoning|refusal|arguments|name)": ?"(?!")')
"""A field of a chunk that holds text. Inside a string its quotes would be escaped, so text cannot look like it."""
_USAGE = re.compile(rb'"usage": ?\{')


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class _Counted(Struct):
    usage: _Usage | None = None


class Tally(Struct, kw_only=True):
    """One request. ``arrived`` and the like are seconds of the monotonic clock, None for what did not happen.

    ``model`` is the variant's id once one was granted; ``code`` that of an error that the door itself gave.
    ``events`` counts chunks that followed the first one with text: for the workers here, one is one token or more.
    """

    id: str
    method: str
    path: str
    route: str
    arrived: float
    status: int
    client: str | None = None
    """Who asked: the name of the key, else the address."""
    model: str = ""
    code: str | None = None
    begun: bool = False
    """Whether the head of the answer was sent."""
    first_text: float | None = None
    last_text: float | None = None
    events: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        return self.ended - self.arrived

    @property
    def ttft(self) -> float | None:
        """From the arrival to the first event with text, a load and the queue included."""
        return None if self.first_text is None else self.first_text - self.arrived

    @property
    def tpot(self) -> float | None:
        """Seconds a token after the first, by ``usage`` where the stream told it, else by events."""
        if self.first_text is None or self.last_text is None:
            return None
        more = self.completion_tokens - 1 if self.completion_tokens is not None else self.events
        return (self.last_text - self.first_text) / more if more > 0 and self.last_text > self.first_text else None

    def streamed(self, chunk: bytes, now: float) -> None:
        """Take what came of a stream of events."""
        if self.first_text is None:
            if _TEXT.search(chunk):
                self.first_text = self.last_text = now
                self.events = max(0, chunk.count(b"\n\n") - 1)
            return
        self.events += chunk.count(b"\n\n")
        self.last_text = now

    def stream_ended(self, tail: bytes) -> None:
        """Take the last bytes of a stream, which hold its ``usage`` where that was asked for."""
        for line in reversed(tail.splitlines()):
            if line.startswith(b"data:") and _USAGE.search(line):
                self.answered(line[5:])
                return

    def answered(self, body: bytes) -> None:
        """Take a whole answer's ``usage``."""
        try:
            usage = msgspec.json.decode(body, type=_Counted).usage
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if usage is None:
            return
        self.prompt_tokens = usage.prompt_tokens
        self.completion_tokens = usage.completion_tokens
        if self.completion_tokens is None and usage.prompt_tokens is not None and usage.total_tokens is not None:
            self.completion_tokens = usage.total_tokens - usage.prompt_tokens


TALLY: web.RequestKey[Tally] = web.RequestKey("tally", Tally)


def quiet(_tally: Tally) -> None:
    """Tell nobody."""
