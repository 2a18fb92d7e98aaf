"""How a chat's answers are made: what ``/set`` sets, read from words and shown as words. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from msgspec import Struct, structs

from assay.errors import BadInput

DEFAULT = "default"


class Tuning(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Values of a chat; None leaves a field out of the request. ``context`` is in tokens.

    ``full`` is what happens when the conversation outgrows the context: ``stop`` asks, ``drop`` leaves the oldest turns
    out and says so.
    """

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | None = None
    context: int | None = None
    full: Literal["stop", "drop"] = "stop"

    @property
    def parameters(self) -> dict[str, Any]:
        """Fields of a request."""
        names = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")
        return {name: getattr(self, name) for name in names}


class Key(NamedTuple):
    """One thing to set: its field, how a word is read, what it does."""

    field: str
    read: Callable[[str], Any]
    about: str


def _number(low: float, high: float, *, above: bool = False) -> Callable[[str], float]:
    def read(word: str) -> float:
        value = float(word)
        if not math.isfinite(value) or not low <= value <= high or (above and value == low):
            raise ValueError
        return value

    read.__doc__ = f"a number {'above' if above else 'from'} {low:g}{', at most' if above else ' to'} {high:g}"
    return read


def _count(least: int) -> Callable[[str], int]:
    def read(word: str) -> int:
        value = int(word.replace(",", ""))
        if value < least:
            raise ValueError
        return value

    read.__doc__ = f"a whole number, {least} or more"
    return read


def _text(word: str) -> str:
    """a text"""
    return word


def _full(word: str) -> str:
    """stop or drop"""
    if word not in {"stop", "drop"}:
        raise ValueError
    return word


KEYS = {
    "temperature": Key("temperature", _number(0, 2), "0 picks the likeliest token"),
    "top_p": Key("top_p", _number(0, 1, above=True), "share of the likeliest tokens to draw from"),
    "top_k": Key("top_k", _count(1), "how many of the likeliest tokens to draw from"),
    "max_tokens": Key("max_tokens", _count(1), "most tokens of an answer"),
    "seed": Key("seed", _count(0), "the same draws again"),
    "stop": Key("stop", _text, "an answer ends before this text"),
    "ctx": Key("context", _count(1), "context length in tokens; loads the model again"),
    "full": Key("full", _full, "a full context: stop and ask, or drop the oldest"),
}


def tuned(tuning: Tuning, key: str, word: str) -> Tuning:
    """``tuning`` with ``key`` set to what ``word`` says; ``default`` unsets it.

    Raises:
        BadInput: no such key, or no such value.
    """
    found = KEYS.get(key)
    if found is None:
        near = difflib.get_close_matches(key, KEYS, n=1)
        raise BadInput(
            f"there is nothing named {key!r} to set",
            remedy=f"/set {near[0]}" if near else f"one of {', '.join(KEYS)}",
        )
    if word == DEFAULT:
        return structs.replace(tuning, **{found.field: getattr(Tuning(), found.field)})
    try:
        return structs.replace(tuning, **{found.field: found.read(word)})
    except (ValueError, OverflowError):
        raise BadInput(f"{key} cannot be {word!r}", remedy=f"give {found.read.__doc__}, or {DEFAULT}") from None


def tuning_rows(tuning: Tuning) -> list[tuple[str, str, str]]:
    """Key, value and what it does, of all that can be set."""
    values = {key: getattr(tuning, found.field) for key, found in KEYS.items()}
    return [(key, DEFAULT if values[key] is None else str(values[key]), KEYS[key].about) for key in KEYS]
