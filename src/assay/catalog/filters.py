"""``--filter`` and ``--search`` of a list of models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, TypeVar, get_args

from msgspec import Struct

from assay.catalog.licence import licence_class
from assay.catalog.near import near_names
from assay.catalog.spelling import task_word
from assay.errors import BadInput

Key = Literal["device", "task", "alias", "provider", "licence"]
KEYS: tuple[Key, ...] = get_args(Key)
SPELLINGS = {"license": "licence"}
PROVIDERS = {
    "cpu": ("cpu",),
    "gpu": (
        "cuda", "tensorrt", "nvtensorrtrtx", "trtrtx", "dml", "directml", "webgpu", "rocm", "migraphx", "coreml", "gpu",
    ),
    "npu": ("qnn", "vitisai", "npu"),
}  # fmt: skip
"""Device -> the execution providers of ONNX Runtime that use it, without the ending ``ExecutionProvider``."""
FORM = re.compile(r"\s*(?P<before>!?)\s*(?P<key>[A-Za-z]+)\s*(?P<middle>!?)=\s*(?P<after>!?)\s*(?P<value>.*?)\s*")


class Listed(Protocol):
    """What a filter looks at; a row of a list has it."""

    @property
    def alias(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def device(self) -> str | None: ...
    @property
    def engines(self) -> tuple[str, ...]: ...
    @property
    def licence(self) -> str | None: ...
    @property
    def tasks(self) -> tuple[str, ...]: ...
    @property
    def capabilities(self) -> tuple[str, ...]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def notes(self) -> str | None: ...


Row = TypeVar("Row", bound=Listed)


class Filter(Struct, frozen=True):
    """``value`` is lower-case, without the ``*`` that made it a ``prefix``."""

    key: Key
    value: str
    negated: bool = False
    prefix: bool = False


def parse_filter(text: str) -> Filter:
    """``key=value``, with ``!`` before the value to negate it and ``*`` at its end to match any ending.

    Raises:
        BadInput: not of that form, or a key that nothing has.
    """
    match = FORM.fullmatch(text)
    if match is None or not match["value"].strip("*"):
        raise BadInput(f"{text!r} is no filter", why="key=value is expected", remedy=f"write it like {EXAMPLE}")
    key = SPELLINGS.get(match["key"].lower(), match["key"].lower())
    known = next((one for one in KEYS if one == key), None)
    if known is None:
        near = near_names(key, KEYS, n=1)
        raise BadInput(
            f"{text!r} filters by {match['key']}, which models do not have",
            why=f"the keys are {', '.join(KEYS)}",
            remedy=f"write {near[0]}={match['value']}" if near else f"write it like {EXAMPLE}",
        )
    value = match["value"].lower()
    negated = bool(match["before"]) ^ bool(match["middle"]) ^ bool(match["after"])
    return Filter(known, value.rstrip("*"), negated, value.endswith("*"))


def keeps(filters: Iterable[Filter], row: Listed) -> bool:
    """Whether ``row`` passes every filter. One that does not tell what is asked for passes a negated filter only."""
    return all(_matches(one, row) is not one.negated for one in filters)


def providers(device: str | None, engines: Sequence[str]) -> tuple[str, ...]:
    """The words by which ``provider=`` finds a variant: its engines, and the execution providers of its device."""
    return (*engines, *PROVIDERS.get(device or "", ()))


def searched(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows in which every word of ``text`` occurs; those come first in whose alias it does, then in their order."""
    words = text.lower().split()
    scored = [(score, row) for row in rows if (score := _score(row, words)) is not None]
    return [row for _, row in sorted(scored, key=lambda pair: -pair[0])]


def _matches(wanted: Filter, row: Listed) -> bool:
    if wanted.key == "device":
        return _like(wanted, row.device)
    if wanted.key == "alias":
        return _like(wanted, row.alias)
    if wanted.key == "task":
        words = (*row.tasks, *row.capabilities)
        return any(
            _like(wanted, word) or (not wanted.prefix and task_word(word) == task_word(wanted.value)) for word in words
        )
    if wanted.key == "provider":
        short = Filter(wanted.key, wanted.value.removesuffix("executionprovider"), prefix=wanted.prefix)
        return any(_like(short, word) for word in providers(row.device, row.engines))
    kind = licence_class(row.licence)
    return _like(wanted, row.licence) or _like(wanted, kind) or _like(wanted, kind.replace(" ", "-"))


def _like(wanted: Filter, value: str | None) -> bool:
    if value is None:
        return False
    lower = value.lower()
    return lower.startswith(wanted.value) if wanted.prefix else lower == wanted.value


def _score(row: Listed, words: Sequence[str]) -> int | None:
    """How well the words fit, None where one does not occur."""
    alias, row_id = row.alias.lower(), row.id.lower()
    tags = {word.lower() for word in (*row.tasks, *row.capabilities, *row.languages)}
    notes = (row.notes or "").lower()
    total = 0
    for word in words:
        if alias == word:
            total += 32
        elif alias.startswith(word):
            total += 16
        elif word in alias:
            total += 8
        elif word in tags:
            total += 4
        elif word in row_id:
            total += 2
        elif word in notes or any(word in tag for tag in tags):
            total += 1
        else:
            return None
    return total


EXAMPLE = "device=cpu, task=!embeddings or alias=qwen*"
