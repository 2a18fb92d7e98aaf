"""From an answer's text to calls of functions, as it streams."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from assay.engines.worker.call_format import CallFormat
from assay.engines.worker.text import may_begin

Accept = Callable[[str, Mapping[str, Any]], bool]
"""Whether there is a function of that name that takes these arguments."""
_BLANK = " \t\r\n"


class CallPart(Struct, frozen=True, kw_only=True):
    """A piece of a call. The first piece has ``id`` and ``name``; all ``arguments`` together are a JSON object."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


Part = str | CallPart


class CallStream:
    """Takes one answer's text apart: plain text, and calls in the model's own format.

    What comes out does not depend on how the text was split, but for where parts begin. Text is held back while it may
    be a call, a call until it is whole and known to be right: one that is not comes out as plain text. With ``sure``
    (a grammar sees to it that calls are right) arguments come out as they come in. Blanks beside calls are dropped.
    With ``single`` an answer is over with its first call; with ``only`` it is calls and nothing else, and what is left
    of one that was cut is dropped.
    """

    def __init__(
        self,
        known: CallFormat,
        names: tuple[str, ...],
        accept: Accept,
        *,
        sure: bool = False,
        single: bool = False,
        only: bool = False,
    ) -> None:
        self._format = known
        self._accept = accept
        self._sure = sure
        self._single = single
        self._only = only
        self._heads = {known.head(name): name for name in names}
        self._rest = ""
        self._blank = ""
        self._opened = ""
        self._bare = known.bare
        self._mode: Literal["text", "call", "arguments", "next", "close"] = "text"
        self._json = _Scan()
        self.calls = 0
        """How many have come so far."""

    @property
    def cut(self) -> bool:
        """Whether an answer that ends here ends within a call that a grammar holds to its form."""
        return self._sure and self._mode in ("call", "arguments")

    def feed(self, text: str) -> list[Part]:
        """Take the next text; return what is certain now."""
        self._rest += text
        parts: list[Part] = []
        while self._step(parts):
            pass
        return parts

    def finish(self) -> list[Part]:
        """The answer is over: return what was held back."""
        if self._only:
            return []
        parts: list[Part] = []
        if self._mode == "call":
            self._say(self._opened + self._rest, parts)
        elif self._mode == "text" or (self._mode == "close" and not self._may_close()):
            self._say(self._rest, parts)
        self._rest = ""
        if self._blank and not self.calls:
            parts.append(self._blank)
        self._blank = ""
        return parts

    def _step(self, parts: list[Part]) -> bool:
        """Go on by one part; False when more text is needed for that."""
        if self._mode == "text":
            if self._single and self.calls:
                self._rest = ""
                return False
            return self._text(parts)
        if self._mode == "call":
            return self._begin_sure(parts) if self._sure else self._call(parts)
        if self._mode == "arguments":
            return self._arguments(parts)
        return self._next() if self._mode == "next" else self._close()

    def _text(self, parts: list[Part]) -> bool:
        if self._bare:
            start = self._rest.lstrip(_BLANK + ";" if self.calls else _BLANK)
            if start.startswith("{"):
                self._open(self._rest[: len(self._rest) - len(start)], start)
                return True
        found = [(place, mark) for mark in self._format.opening if (place := self._rest.find(mark)) >= 0]
        if found:
            place, mark = min(found)
            self._say(self._rest[:place], parts)
            self._open(mark, self._rest[place + len(mark) :])
            return True
        keep = may_begin(self._rest, self._format.opening)
        ready = self._rest[: len(self._rest) - keep]
        if self._bare and not ready.strip(_BLANK + ";"):
            return False
        self._rest = self._rest[len(ready) :]
        self._say(ready, parts)
        return False

    def _open(self, mark: str, rest: str) -> None:
        self._opened, self._rest, self._mode = mark, rest, "call"
        self._json = _Scan()

    def _call(self, parts: list[Part]) -> bool:
        """Wait until the JSON is whole."""
        state = self._json.read(self._rest)
        if state == "more":
            return False
        if state == "done":
            calls = self._read(self._rest[: self._json.place])
            if calls:
                for name, arguments in calls[:1] if self._single else calls:
                    self._begin(name, parts)
                    parts.append(CallPart(index=self.calls - 1, arguments=arguments))
                self._rest = self._rest[self._json.place :]
                self._mode = "close"
                return True
        return self._broken(parts)

    def _broken(self, parts: list[Part]) -> bool:
        """What looked like a call is text: the mark, and whatever follows is looked at afresh."""
        self._mode = "text"
        self._bare = False
        self._say(self._opened, parts)
        return True

    def _read(self, text: str) -> list[tuple[str, str]]:
        """Names and arguments; none where anything is wrong with one of them."""
        try:
            value = json.loads(text)
            calls = [_one(entry) for entry in (value if isinstance(value, list) else [value])]
            told = [(name, _written(arguments)) for name, arguments in calls]
        except (ValueError, KeyError, TypeError, RecursionError):
            return []
        return told if all(self._accept(name, arguments) for name, arguments in calls) else []

    def _begin_sure(self, parts: list[Part]) -> bool:
        """Wait until it is known which function is called."""
        start = self._rest.lstrip(_BLANK)
        if self._format.listed and start.startswith("["):
            start = start[1:]
        elif self._format.listed and not start:
            return False
        for head, name in self._heads.items():
            if start.startswith(head):
                self._begin(name, parts)
                self._rest = start[len(head) :]
                self._json = _Scan()
                self._mode = "arguments"
                return True
        if any(head.startswith(start) for head in self._heads):
            return False
        return self._broken(parts)

    def _arguments(self, parts: list[Part]) -> bool:
        state = self._json.read(self._rest)
        place, self._json.place = self._json.place, 0
        if place:
            parts.append(CallPart(index=self.calls - 1, arguments=self._rest[:place]))
            self._rest = self._rest[place:]
        if state == "more":
            return False
        self._mode = "next"
        return True

    def _next(self) -> bool:
        """After a call's arguments: its brace, and the next call of a list or the list's end."""
        ends = ("}, ", "}]") if self._format.listed else ("}",)
        for end in ends:
            if self._rest.startswith(end):
                self._rest = self._rest[len(end) :]
                self._mode = "call" if end == "}, " else "close"
                self._opened = ""
                return True
        if any(end.startswith(self._rest) for end in ends):
            return False
        self._mode = "text"
        return True

    def _close(self) -> bool:
        rest, close = self._rest.lstrip(_BLANK), self._format.close
        if close and rest.startswith(close):
            self._rest = rest[len(close) :]
        elif self._may_close():
            return False
        self._mode = "text"
        return True

    def _may_close(self) -> bool:
        return bool(self._format.close) and self._format.close.startswith(self._rest.lstrip(_BLANK))

    def _begin(self, name: str, parts: list[Part]) -> None:
        self._blank = ""
        parts.append(CallPart(index=self.calls, id=_new_id(short=self._format.short_ids), name=name))
        self.calls += 1

    def _say(self, text: str, parts: list[Part]) -> None:
        """Send ``text``, but for blanks at its end: those before a call are no text."""
        text = self._blank + text
        ready = text.rstrip(_BLANK)
        self._blank = text[len(ready) :]
        if ready:
            self._bare = False
            parts.append(ready)


class _Scan:
    """Finds the end of a JSON object or list, whatever is in it, as it comes in."""

    def __init__(self) -> None:
        self.place = 0
        """How far the text was read."""
        self._depth = 0
        self._string = False
        self._escaped = False

    def read(self, text: str) -> Literal["more", "done", "wrong"]:
        """Read on in ``text``, which has grown since the last time."""
        while self.place < len(text):
            character = text[self.place]
            self.place += 1
            if self._string:
                self._in_string(character)
            elif character in "{[":
                self._depth += 1
            elif self._depth == 0:
                if character not in _BLANK:
                    return "wrong"
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return "done"
            elif character == '"':
                self._string = True
        return "more"

    def _in_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._string = False


def _one(entry: Any) -> tuple[str, Mapping[str, Any]]:
    """Name and arguments of a call; raise for what is none. Some models write the arguments as a string."""
    name = entry["name"]
    arguments = entry["arguments"] if "arguments" in entry else entry["parameters"]
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise TypeError("no call")
    return name, arguments


def _written(arguments: Mapping[str, Any]) -> str:
    """JSON again; raise ``ValueError`` for what Python reads and JSON has not."""
    try:
        text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(arguments, allow_nan=False)
    return text


def _new_id(*, short: bool) -> str:
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(9)) if short else f"call_{secrets.token_hex(12)}"
