"""Reads prompt sets: ``prompts.json``, ``.jsonl``, the set that comes with Assay, or a single prompt."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from assay.errors import BadPrompts
from assay.types import Expect, Prompt


class PromptEntry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One prompt. A string stands for an entry that has only ``prompt``; without ``id`` it becomes p001, p002..."""

    prompt: str
    id: str | None = None
    system: str | None = None
    tags: tuple[str, ...] = ()
    expect: Expect | None = None


PromptFile = list[str | PromptEntry]
"""What a ``prompts.json`` holds."""


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of a ``.json`` file (a list) or a ``.jsonl`` file (one entry a line).

    Raises ``BadPrompts``, which names the entry and the field, for anything that cannot be used as it stands.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadPrompts(
            f"{path} cannot be read", why=error.strerror, remedy="give the path of a prompts.json"
        ) from error
    entries = _lines(raw, path) if path.suffix == ".jsonl" else _list(raw, path)
    if not entries:
        raise BadPrompts(f"{path} holds no prompt", remedy='write at least one, as in ["What is 2 + 2?"]')
    return as_prompts(entries, str(path))


def as_prompts(entries: Sequence[Any], where: str) -> tuple[Prompt, ...]:
    """Prompts from strings and objects as a ``prompts.json`` holds them; ``where`` is named in errors.

    Raises ``BadPrompts``, which names the entry and the field.
    """
    prompts: dict[str, Prompt] = {}
    for number, entry in enumerate(entries, start=1):
        prompt = _prompt(entry, number, f"{where}, entry {number}")
        if prompt.id in prompts:
            raise BadPrompts(
                f"{where}, entry {number}: the id {prompt.id!r} is there twice",
                why="results are kept by id",
                remedy="give each prompt an id of its own, or leave ids out",
            )
        prompts[prompt.id] = prompt
    return tuple(prompts.values())


def default_prompts() -> tuple[Prompt, ...]:
    """The dozen general prompts that come with Assay, for models that bring no prompts of their own."""
    raw = resources.files("assay.measure").joinpath("default_prompts.json").read_bytes()
    return as_prompts(msgspec.json.decode(raw), "default_prompts.json")


def single(text: str) -> tuple[Prompt, ...]:
    """A set of one prompt. Raises ``BadPrompts`` when it is blank."""
    return as_prompts([text], "the prompt")


def prompts_schema() -> bytes:
    """JSON Schema of ``prompts.json``, made from the structs; the package ships it as ``prompts.schema.json``."""
    schema = msgspec.json.schema(PromptFile)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Assay prompts"
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


def _list(raw: bytes, path: Path) -> list[Any]:
    entries = _decode(raw, str(path))
    if not isinstance(entries, list):
        raise BadPrompts(
            f"{path} is not a list",
            why=f"it holds {_kind(entries)}",
            remedy='write a list of strings or of objects {"id", "prompt", "system", "tags", "expect"}',
        )
    return entries


def _lines(raw: bytes, path: Path) -> list[Any]:
    lines = enumerate(raw.splitlines(), start=1)
    return [_decode(line, f"{path}, line {number}") for number, line in lines if line.strip()]


def _decode(raw: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPrompts(f"{where} is not JSON", why=str(error), remedy="check it with a JSON editor") from error


def _prompt(entry: Any, number: int, where: str) -> Prompt:
    try:
        given = msgspec.convert({"prompt": entry} if isinstance(entry, str) else entry, PromptEntry)
    except msgspec.ValidationError as error:
        remedy = 'an entry is a string or an object {"id", "prompt", "system", "tags", "expect"}'
        raise BadPrompts(f"{where} cannot be used", why=str(error), remedy=remedy) from error
    if not given.prompt.strip():
        raise BadPrompts(f"{where}: the prompt is empty", remedy="write a prompt or take the entry out")
    if given.id is not None and not given.id.strip():
        raise BadPrompts(f"{where}: the id is empty", remedy="write an id, or leave it out")
    return Prompt(
        id=given.id or f"p{number:03}",
        prompt=given.prompt,
        system=given.system,
        tags=given.tags,
        expect=given.expect,
    )


def _kind(value: Any) -> str:
    names = {dict: "an object", str: "a string", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")
