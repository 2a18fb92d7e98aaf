"""One entry of a registry: read, checked, and joined with what lies on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs

from assay.amounts import parse_amount
from assay.catalog.adapter import adapter_variant
from assay.catalog.local import looked_at, variants_at
from assay.catalog.registry_file import EntryFile
from assay.catalog.remote import remote_variant
from assay.disk import Stamp, expanded
from assay.errors import BadInput, BadRegistry
from assay.types import Variant

PromptList = tuple[str | dict[str, Any], ...]
Bundled = Mapping[str, Sequence[Variant]]
"""The package's own variants by lower-case id, and by alias those that can be run."""

RESERVED = frozenset({"auto", "all", "bundled"})
SCHEMA_HINT = "check it against models.schema.json, which ships with Assay"


class Entry(Struct, frozen=True, kw_only=True):
    """One model of a registry. ``variants`` are those that can be run; ``problem`` says why there is none, and
    ``remedy`` what helps where that is not to say what the model is.

    ``min_memory`` and ``size`` are bytes; ``prompts`` are the entry's own (a file, or the list as it was written);
    ``quantisation``, ``licence`` and ``context_length`` are what the entry says, not what its variants have.
    ``looked_at`` are the files and folders of its ``path``, there or not, each as it was before it was read.
    """

    alias: str
    variants: tuple[Variant, ...] = ()
    problem: str | None = None
    remedy: str | None = None
    tasks: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    min_memory: int | None = None
    size: int | None = None
    source: str | None = None
    engine: str | None = None
    notes: str | None = None
    prompts: Path | PromptList | None = None
    quantisation: str | None = None
    licence: str | None = None
    context_length: int | None = None
    looked_at: dict[Path, Stamp | None] = {}


class Place(NamedTuple):
    """Where in which file something stands; makes the error that says so."""

    path: Path
    where: str

    @property
    def folder(self) -> Path:
        """Where the file's relative paths start from."""
        return self.path.absolute().parent

    def bad(self, why: str, remedy: str) -> BadRegistry:
        return BadRegistry(f"{self.path}: {self.where} cannot be used", why=why, remedy=remedy)


def read_entry(place: Place, key: str | None, row: Any, bundled: Bundled) -> tuple[Entry, list[str]]:
    """The entry, and the keys of it that are not read. ``key`` is its alias where the file is a map.

    Raises:
        BadRegistry: a key is missing or holds something else than expected.
    """
    if isinstance(row, str) and key is None:
        row = {"alias": row}
    if not isinstance(row, dict):
        raise place.bad(f"it is {kind_of(row)}; an object is expected", 'write {"name": "...", "task": "chat"}')
    try:
        read = msgspec.convert(row, EntryFile)
    except msgspec.ValidationError as error:
        raise place.bad(_told(str(error)), SCHEMA_HINT) from error
    alias = _alias(place, key, read)
    if sum(map(bool, (read.endpoint, read.path or read.adapter))) > 1:
        raise place.bad("endpoint stands beside path or adapter, which it excludes", "keep one of them")
    if read.key is not None:
        _check_key(place, read)
    entry = Entry(
        alias=alias,
        tasks=_words(read.task, read.tasks),
        capabilities=_words(read.capabilities),
        min_memory=_amount(place, "min_ram_gb", read.min_ram_gb, "GB"),
        size=_amount(place, "size_mb", read.size_mb, "MB"),
        source=read.source,
        engine=read.engine,
        notes=read.notes,
        prompts=read_prompts(place, read.prompts),
        quantisation=(read.quantisation or read.quantization or "").lower() or None,
        licence=read.licence or read.license,
        context_length=read.context_length,
        looked_at=looked_at(files) if (files := _files(read, place)) else {},
    )
    return _with_variants(entry, read, place, bundled), [name for name in row if name not in KEYS]


def _check_key(place: Place, read: EntryFile) -> None:
    """A key must be named, not written down; the error does not show it."""
    if not read.endpoint:
        raise place.bad("key stands without an endpoint", "leave it out: only a server elsewhere wants one")
    kind, _, name = (read.key or "").partition(":")
    whole = name.isidentifier() if kind == "env" else all(name.partition("/")) if kind == "keyring" else False
    if not whole:
        raise place.bad(
            "key does not say where the key is kept; a key itself must not stand in a file that people share",
            'write "env:NAME" for a variable of the environment, or "keyring:SERVICE/USER"',
        )


KEYS = frozenset(EntryFile.__struct_fields__)


def _with_variants(entry: Entry, read: EntryFile, where: Place, bundled: Bundled) -> Entry:
    """The entry with its variants, over whose own words the entry's are laid; else with the reason for none."""
    try:
        found = _found(read, entry.alias, where, bundled)
    except BadInput as error:
        return structs.replace(entry, problem=error.clause)
    wanted = entry.quantisation
    matching = [v for v in found if wanted is None or v.quantisation is None or v.quantisation == wanted]
    if not matching:
        there = ", ".join(sorted({str(variant.quantisation) for variant in found}))
        missing = f"there is no {wanted} of it, only {there}" if found else "it is not on this machine"
        return structs.replace(entry, problem=missing)
    return structs.replace(entry, variants=tuple(as_entry_says(entry, variant) for variant in matching))


def as_entry_says(entry: Entry, variant: Variant) -> Variant:
    """The variant under the entry's alias, with what the entry says laid over its own words."""
    said: dict[str, Any] = {
        "quantisation": entry.quantisation,
        "licence": entry.licence,
        "tasks": entry.tasks,
        "capabilities": entry.capabilities,
        "engine": entry.engine,
        "context_length": entry.context_length,
        "min_memory": entry.min_memory,
        "notes": entry.notes,
    }
    given = {name: value for name, value in said.items() if value}
    return structs.replace(variant, id=_id(variant, entry.alias), alias=entry.alias, **given)


def _found(read: EntryFile, alias: str, where: Place, bundled: Bundled) -> list[Variant]:
    place = _files(read, where)
    if read.endpoint:
        named = "#" in read.endpoint
        remote = remote_variant(read.endpoint, model=None if named else read.model or alias, alias=alias)
        return [structs.replace(remote, key=read.key)]
    if read.adapter:
        return [adapter_variant(read.adapter, place, name=alias)]
    if place is not None:
        return variants_at(place, alias)
    return list(bundled.get((read.source or alias).removeprefix("bundled:").lower(), ()))


def _files(read: EntryFile, where: Place) -> Path | None:
    """The file or folder that the entry names."""
    return where.folder / expanded(read.path) if read.path else None


def _id(variant: Variant, alias: str) -> str:
    """The variant's own id with the entry's alias in place of its own."""
    own = f"{variant.alias}:"
    return f"{alias}:{variant.id.removeprefix(own)}" if variant.id.startswith(own) else alias


def _alias(place: Place, key: str | None, read: EntryFile) -> str:
    alias = (key or read.alias or read.name or "").strip()
    if not alias:
        raise place.bad('it has no "alias" and no "name"', "give it one")
    if alias.lower() in RESERVED:
        raise place.bad(f"{alias} is a word that names several models at once", "give it another name")
    return alias


def _amount(place: Place, key: str, value: float | str | None, unit: str) -> int | None:
    """Bytes; zero says as little as nothing does."""
    if value is None:
        return None
    try:
        return parse_amount(value, unit) or None
    except ValueError as error:
        raise place.bad(f"{key}: {error}", f"write a number of {unit}") from error


def _words(*given: str | list[str] | None) -> tuple[str, ...]:
    if not any(given):
        return ()
    words = [word for part in given if part for word in (part.split(",") if isinstance(part, str) else part)]
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))


def read_prompts(place: Place, given: Any) -> Path | PromptList | None:
    """A file of prompts with its path made absolute, or the list as it was written; its items are not checked here.

    Raises:
        BadRegistry: neither of the two.
    """
    if given is None:
        return None
    if isinstance(given, str) and given.strip():
        return place.folder / expanded(given)
    if isinstance(given, list) and all(isinstance(prompt, str | dict) for prompt in given):
        return tuple(given)
    raise place.bad("prompts: the path of a prompts.json, or a list of prompts, is expected", SCHEMA_HINT)


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _told(error: str) -> str:
    """The library's own sentence with the key in front: "Expected `int`, got `str` - at `$.key`"."""
    what, _, where = error.partition(" - at `$")
    key = where.strip("`").lstrip(".")
    return f"{key}: {what}" if key else what
