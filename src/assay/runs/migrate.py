"""Older layouts of a run folder, brought up to the current one by pure functions.

A schema is left for the next by one `Step`, kept in `STEPS` under the version that it starts from. Version 1 is the
first, so there is none yet. A step sees decoded JSON, as written, and returns what the next version would have written.
With the first step, `assay.runs.writer.reopen` must rewrite an older folder before it appends to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from assay.errors import RunDamaged, RunTooNew
from assay.types import SCHEMA_VERSION

T = TypeVar("T")
Part = Literal["record", "sample", "score", "reading"]
Change = Callable[[dict[str, Any]], dict[str, Any]]


def _unchanged(raw: dict[str, Any]) -> dict[str, Any]:
    return raw


class Step(NamedTuple):
    """From one schema to the next: a pure function for each part of a run that changed."""

    record: Change = _unchanged
    sample: Change = _unchanged
    score: Change = _unchanged
    reading: Change = _unchanged


STEPS: Final[Mapping[int, Step]] = {}


def decoder(
    part: Part,
    kind: type[T],
    version: int,
    *,
    steps: Mapping[int, Step] = STEPS,
    newest: int = SCHEMA_VERSION,
) -> Callable[[bytes], T]:
    """What decodes ``part`` of a run written under schema ``version`` as ``kind``, with every step in between applied.

    The decoder raises `msgspec.DecodeError` for what is no JSON, or does not have the form of ``kind``.
    """
    current = msgspec.json.Decoder(kind)
    if version == newest:
        return current.decode
    changes: list[Change] = [getattr(steps[older], part) for older in range(version, newest)]

    def decode(line: bytes) -> T:
        raw = msgspec.json.decode(line, type=dict[str, Any])
        for change in changes:
            raw = change(raw)
        if part == "record":
            raw["schema"] = newest
        return msgspec.convert(raw, kind)

    return decode


def schema_of(path: Path, content: bytes, newest: int = SCHEMA_VERSION) -> int:
    """The schema that ``run.json`` says it has. Raises `RunTooNew`, or `RunDamaged` where there is none."""
    try:
        raw = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunDamaged(f"{path} cannot be read", why=str(error)) from error
    schema = raw.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise RunDamaged(f"{path} does not say its schema", why="a run's record holds a number from 1 under `schema`")
    if schema > newest:
        raise RunTooNew(
            f"run {path.parent.name} was written by a newer Assay",
            why=f"it has schema {schema}, and this version reads schemas up to {newest}",
            remedy="pip install --upgrade assay",
        )
    return schema
