"""From an engine's bytes to text that may be sent: whole characters only, and nothing past a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Decodes UTF-8 pieces and cuts at the first stop string, wherever tokens split either.

    What comes out does not depend on how the bytes were split. Of several stop strings the one that completes first
    counts, and of those that complete together the longest. Invalid bytes become U+FFFD; a character left
    unfinished at the very end is dropped.
    """

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._held = ""
        self.stopped = False
        """Whether a stop string was met; nothing comes out after it."""

    def feed(self, data: bytes) -> str:
        """Take the next bytes; return the text that can be sent now."""
        if self.stopped:
            return ""
        text = self._decoder.decode(data)
        if not self._stops:
            return text
        text = self._held + text
        cut = self._first_stop(text)
        if cut is not None:
            self.stopped = True
            self._held = ""
            return text[:cut]
        keep = may_begin(text, self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """The generation is over: return what was held back in case it began a stop string."""
        rest, self._held = self._held, ""
        return rest

    def _first_stop(self, text: str) -> int | None:
        found = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        return min(found)[1] if found else None


def may_begin(text: str, marks: Sequence[str]) -> int:
    """How many characters at the end of ``text`` may be the beginning of one of ``marks``, of which there is one."""
    for length in range(min(len(text), max(map(len, marks)) - 1), 0, -1):
        tail = text[-length:]
        if any(len(mark) > length and mark.startswith(tail) for mark in marks):
            return length
    return 0
