"""Prompts and answers, for an owner who has asked in so many words to have them written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

MOST = 20_000
"""Characters of a prompt or of an answer that are told."""
_BYTES = 4 * MOST
Kind = Literal["prompt", "answer"]
KINDS: tuple[Kind, ...] = ("prompt", "answer")
Overhear = Callable[[str, Kind, str], None]
"""Told of a request's id and a text: what was sent to a model, and what came of it once that has ended."""


class Ear:
    """Hears one text, a stream's raw events too, and keeps its beginning."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._heard = 0

    def hear(self, part: bytes) -> None:
        """More of it has come."""
        self._heard += len(part)
        if len(self._kept) < _BYTES:
            self._kept += part[: _BYTES - len(self._kept)]

    def text(self) -> str:
        """What was heard, up to ``MOST`` characters, with a word about the rest."""
        text = self._kept.decode("utf-8", "replace")
        whole = self._heard == len(self._kept) and len(text) <= MOST
        return text if whole else f"{text[:MOST]} ... ({self._heard} bytes in all)"


def heard(raw: bytes) -> str:
    """A text that is there at once, as an ``Ear`` tells it."""
    ear = Ear()
    ear.hear(raw)
    return ear.text()
