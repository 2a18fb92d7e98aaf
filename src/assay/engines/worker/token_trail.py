"""Which tokens are told with which text, and where in it each of them begins."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from assay.engines.worker.model import TokenLogprob


class Told(Struct, frozen=True):
    """A token that is told, and how many characters of its choice's text come before it."""

    token: TokenLogprob
    offset: int


class TokenTrail:
    """Follows one choice's tokens until the text that they begin in has been sent.

    A token that begins within a character is told with it, and at its place; one that begins at or after a stop string
    is not told, and neither is one of a character that was left unfinished at the very end.
    """

    def __init__(self, *, tells_end: bool) -> None:
        """``tells_end``: whether the token that ended the turn is told."""
        self._tells_end = tells_end
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoded = 0
        self._sent = 0
        self._waiting: deque[Told] = deque()

    def add(self, data: bytes, tokens: Sequence[TokenLogprob]) -> None:
        """Take the next tokens, which together are ``data``; of some, nothing is known but that."""
        if not tokens:
            self._decoded += len(self._decoder.decode(data))
        for token in tokens:
            self._waiting.append(Told(token, self._place(token.data)))
            self._decoded += len(self._decoder.decode(token.data))

    def echo(self, tokens: Sequence[TokenLogprob], given: str | None) -> tuple[str, tuple[Told, ...]]:
        """Take the prompt's tokens, before all others; return its text, and the tokens with their places in it.

        ``given`` is the prompt where it was a text: special tokens that are not in it were put there by the tokenizer.
        """
        spelt = _spelt_prompt(tokens, None if given is None else given.encode("utf-8", "replace"))
        told = []
        for token, data in zip(tokens, spelt, strict=True):
            told.append(Told(token, self._place(data)))
            self._decoded += len(self._decoder.decode(data))
        self._decoded += len(self._decoder.decode(b"", final=True))
        self._decoder.reset()
        self._sent = self._decoded
        return b"".join(spelt).decode("utf-8", "replace"), tuple(told)

    def send(self, text: str) -> tuple[Told, ...]:
        """``text`` goes out next; return the tokens that begin in it."""
        self._sent += len(text)
        told = []
        while self._waiting and self._waiting[0].offset < self._sent:
            told.append(self._waiting.popleft())
        return tuple(told)

    def end(self) -> tuple[Told, ...]:
        """All text has gone out, and no stop string was met: the last tokens, which have no text."""
        tokens = [entry for entry in self._waiting if not entry.token.data]
        self._waiting.clear()
        return tuple(entry for entry in tokens if self._tells_end or not entry.token.ends)

    def _place(self, data: bytes) -> int:
        """Where ``data`` begins: within the character that is unfinished, or after what that becomes where it stays so.

        The decoder also waits for more after half of a surrogate, which then becomes two characters.
        """
        unfinished = self._decoder.getstate()[0]
        if not unfinished or _goes_on(unfinished, data):
            return self._decoded
        return self._decoded + len(unfinished.decode(errors="replace"))


def _goes_on(unfinished: bytes, data: bytes) -> bool:
    try:
        (unfinished + data[:1]).decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True


def _spelt_prompt(tokens: Sequence[TokenLogprob], given: bytes | None) -> list[bytes]:
    """The bytes of every token in the prompt's text."""
    spelt: list[bytes] = []
    place = 0
    for token in tokens:
        data = token.data or token.name
        if given is not None and not given.startswith(data, place):
            if not token.data:
                data = b""
            elif place == 0:
                data = data.removeprefix(b" ")  # which some tokenizers put before a text
        spelt.append(data)
        place += len(data)
    return spelt
