"""Every model that can be named here, from all sources in one order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from assay.catalog.curated import CuratedEntry
from assay.catalog.hub_name import HubName, is_repo_id, parse_hub_name
from assay.catalog.local import WHAT_IS_READ, variants_at
from assay.catalog.near import near_names
from assay.catalog.offers import alias_of, chosen
from assay.catalog.registry import Registry
from assay.catalog.registry_entry import Entry, as_entry_says
from assay.catalog.remote import is_address, remote_variant
from assay.catalog.shelf import Shelf
from assay.catalog.wanted import Wanted
from assay.disk import expanded
from assay.errors import UnknownModel
from assay.types import Stored, Variant

Origin = Literal["registry", "store", "bundled", "curated", "hub", "path", "address"]
EVERY = frozenset({"auto", "all"})
BUNDLED = "bundled"
SHOWN = 12


class Found(Struct, frozen=True, kw_only=True):
    """What a name stands for.

    ``variants`` are on this machine (or behind an address); ``wanted`` are the repositories to ask, best first, where
    there is none, or where more than what is here is wished for. ``problem`` says why an entry of a registry has
    neither.
    """

    alias: str
    origin: Origin
    variants: tuple[Variant, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    entry: Entry | None = None
    curated: CuratedEntry | None = None
    problem: str | None = None

    @property
    def runnable(self) -> tuple[Variant, ...]:
        """Those of ``variants`` that are not for compiling alone."""
        return tuple(_only_runnable(self.variants))


class Catalog(Struct, frozen=True, kw_only=True):
    """The sources. ``registries`` come in the order of their precedence: ``--config``, the project's, the user's."""

    registries: tuple[Registry, ...] = ()
    stored: tuple[Stored, ...] = ()
    bundled: tuple[Variant, ...] = ()
    curated: tuple[CuratedEntry, ...] = ()

    def find(self, text: str) -> Found:
        """What ``text`` stands for, in this order of precedence:

        1. ``hf:owner/name[:file or quantisation][@revision]`` or the address of a model's page: what of it is in the
           store, and the repository itself; an address (``http://host/v1#model``);
        2. ``auto`` or ``ALL``: every entry of the registries that can be run, without a registry what is in the store,
           and without that the bundled models; ``bundled``: all bundled models;
        3. an alias or a variant's id of the registries in their order, of the store, the bundled models, the curated
           list; then the same with ``:quantisation`` (or format, device, file) after an alias. An entry of a registry
           that is a name and no more leaves it to the sources after it;
        4. a path: a .gguf file, a folder of them, of ONNX Runtime GenAI, or of safetensors.

        An alias means what can be run of it: safetensors, which are for compiling, only where there is nothing else.
        Nothing is asked of a hub here. Files of one's own are not hashed: see ``with_digests``.

        Raises:
            UnknownModel: nothing of that name; the error names near ones. BadInput: a file is broken.
        """
        text = text.strip()
        shelf = Shelf(self.stored, self.bundled, self.curated)
        if name := parse_hub_name(text):
            return _of_hub(name, shelf)
        if is_address(text):
            variant = remote_variant(text)
            return Found(alias=variant.alias, origin="address", variants=(variant,))
        if text.lower() in EVERY or text.lower() == BUNDLED:
            return self._every(text.lower(), shelf)
        if found := self._listed(text, shelf):
            return found
        if _is_path(text):
            return _at(text)
        raise self._unknown(text)

    def named(self, text: str) -> Found:
        """What ``text`` stands for by the lists alone, as ``find`` has it under 3.

        For names that strangers send: no path of the file system and no address is ever made of it.

        Raises:
            UnknownModel: nothing of that name; the error names near ones.
        """
        found = self._listed(text.strip(), Shelf(self.stored, self.bundled, self.curated))
        if found is None:
            raise self._unknown(text, also="")
        return found

    def models(self) -> list[Found]:
        """Every model once, by its alias, from the first source that has it; those of the store in their own order."""
        shelf = Shelf(self.stored, self.bundled, self.curated)
        seen: dict[str, Found] = {}
        for found in self._all(shelf):
            known = seen.setdefault(found.alias.lower(), found)
            if known.problem and not found.problem:
                seen[found.alias.lower()] = found
        return list(seen.values())

    def _all(self, shelf: Shelf) -> Iterator[Found]:
        for registry in self.registries:
            yield from (_of_entry(entry, shelf) for entry in registry.entries)
        for alias in dict.fromkeys(record.variant.alias for record in self.stored):
            curated = shelf.curated_named(alias)
            yield _of_shelf(curated.alias if curated else alias, curated, shelf)
        for alias in dict.fromkeys(variant.alias for variant in self.bundled):
            yield Found(alias=alias, origin="bundled", variants=tuple(shelf.bundled(alias)))
        for entry in self.curated:
            yield _of_shelf(entry.alias, entry, shelf)

    def _listed(self, text: str, shelf: Shelf) -> Found | None:
        alias, _, selector = text.rpartition(":")
        return self._named(text, None, shelf) or (self._named(alias, selector, shelf) if alias and selector else None)

    def _named(self, name: str, selector: str | None, shelf: Shelf) -> Found | None:
        """By alias, or without a selector by a variant's id."""
        problems: list[UnknownModel] = []
        for registry in self.registries:
            found = _in_registry(registry, name, selector, shelf)
            if found is not None and found.problem is None:
                return found
            problems += [_cannot(registry, found)] if found is not None else []
        found = self._elsewhere(name, selector, shelf)
        if found is None and problems:
            raise problems[0]
        return found

    def _elsewhere(self, name: str, selector: str | None, shelf: Shelf) -> Found | None:
        """In the store, among the bundled models, in the curated list."""
        curated = shelf.curated_named(name)
        stored = shelf.stored_as(name, curated)
        picked = _runnable(stored) if selector is None else chosen(stored, selector)
        if not picked and selector is None:
            picked = [record.variant for record in self.stored if record.variant.id.lower() == name.lower()]
        wishes = shelf.wishes(curated, selector) if curated else ()
        if picked:
            return Found(alias=picked[0].alias, origin="store", variants=tuple(picked), wanted=wishes, curated=curated)
        bundled = shelf.bundled(name)
        here = _runnable(bundled) if selector is None else chosen(bundled, selector)
        if not here and selector is None:
            here = [variant for variant in self.bundled if variant.id.lower() == name.lower()]
        if here:
            return Found(alias=here[0].alias, origin="bundled", variants=tuple(here))
        if curated:
            return Found(alias=curated.alias, origin="curated", wanted=wishes, curated=curated)
        if selector is not None and (stored or bundled):
            raise _no_such(name, selector, (*stored, *bundled))
        return None

    def _every(self, word: str, shelf: Shelf) -> Found:
        if word == BUNDLED or not (self.registries or self.stored):
            return Found(alias=word, origin="bundled", variants=tuple(_only_runnable(self.bundled)))
        if not self.registries:
            stored = _only_runnable(record.variant for record in self.stored)
            return Found(alias=word, origin="store", variants=tuple(stored))
        entries = {entry.alias.lower(): entry for registry in reversed(self.registries) for entry in registry.entries}
        listed = dict.fromkeys(e.alias.lower() for registry in self.registries for e in registry.entries)
        variants = _only_runnable(v for alias in listed for v in _of_entry(entries[alias], shelf).variants)
        if not variants:
            warnings = [warning for registry in self.registries for warning in registry.warnings]
            raise UnknownModel(
                f"no entry of {' or '.join(str(registry.path) for registry in self.registries)} can be run here",
                why="; ".join(warnings[:SHOWN]) or "it has no entries",
                remedy='give an entry a "path" or an "endpoint"',
            )
        return Found(alias=word, origin="registry", variants=tuple(variants))

    def _unknown(self, text: str, *, also: str = f"; or {WHAT_IS_READ}") -> UnknownModel:
        aliases = [entry.alias for registry in self.registries for entry in registry.entries]
        aliases += [variant.alias for variant in (*(record.variant for record in self.stored), *self.bundled)]
        aliases += [entry.alias for entry in self.curated]
        aliases = list(dict.fromkeys(aliases))
        ids = [variant.id for variant in (*(record.variant for record in self.stored), *self.bundled)]
        near = near_names(text, [*ids, *(name for entry in self.curated for name in entry.names), *aliases])
        shown = ", ".join(aliases[:SHOWN]) + (f" and {len(aliases) - SHOWN} more" if len(aliases) > SHOWN else "")
        return UnknownModel(
            f"there is no model {text[:200]!r}",
            why=f"near names: {', '.join(near)}" if near else None,
            remedy=f"name one of {shown or 'your own'}{also}",
        )


def _in_registry(registry: Registry, name: str, selector: str | None, shelf: Shelf) -> Found | None:
    exact = next((entry for entry in registry.entries if entry.alias == name), None)
    entry = exact or next((entry for entry in registry.entries if entry.alias.lower() == name.lower()), None)
    if entry is None:
        same = [] if selector else [v for e in registry.entries for v in e.variants if v.id.lower() == name.lower()]
        return Found(alias=same[0].alias, origin="registry", variants=tuple(same)) if same else None
    found = _of_entry(entry, shelf, selector)
    if not (found.problem or found.variants or found.wanted):
        raise _no_such(entry.alias, selector or "", entry.variants)
    return found


def _cannot(registry: Registry, found: Found) -> UnknownModel:
    usual = f'give the entry a "path" ({WHAT_IS_READ}), an "endpoint", or a "source" (hf:owner/name)'
    return UnknownModel(
        f"{found.alias} of {registry.path} cannot be run here",
        why=found.problem,
        remedy=(found.entry.remedy if found.entry else None) or usual,
    )


def _of_entry(entry: Entry, shelf: Shelf, selector: str | None = None) -> Found:
    """An entry's own variants; else what the store has of it and the repositories that its source or alias names."""
    variants: Sequence[Variant] = entry.variants
    wanted: tuple[Wanted, ...] = ()
    problem = entry.problem
    if not variants:
        stored, wanted, wrong = shelf.of_entry(entry, selector or entry.quantisation)
        variants = _runnable([as_entry_says(entry, variant) for variant in stored])
        problem = None if variants or wanted else wrong or problem
    if selector is not None:
        variants = chosen(variants, selector)
    return Found(
        alias=entry.alias, origin="registry", variants=tuple(variants), wanted=wanted, entry=entry, problem=problem
    )


def _of_shelf(alias: str, curated: CuratedEntry | None, shelf: Shelf) -> Found:
    stored = shelf.stored_as(alias, curated)
    wanted = shelf.wishes(curated, None) if curated else ()
    origin: Origin = "store" if stored else "curated"
    return Found(alias=alias, origin=origin, variants=tuple(stored), wanted=wanted, curated=curated)


def _of_hub(name: HubName, shelf: Shelf) -> Found:
    stored = chosen(shelf.stored_from(name), name.selector)
    variants = stored if name.selector else _runnable(stored)
    alias = variants[0].alias if variants else alias_of(name.repo)
    wanted = Wanted(name=name, curated=shelf.curated_from(name.repo))
    return Found(alias=alias, origin="hub", variants=tuple(variants), wanted=(wanted,), curated=wanted.curated)


def _only_runnable(variants: Iterable[Variant]) -> list[Variant]:
    return [variant for variant in variants if variant.format != "safetensors"]


def _runnable(variants: Sequence[Variant]) -> list[Variant]:
    """Those that an engine can run; all where none can."""
    return _only_runnable(variants) or list(variants)


def _at(text: str) -> Found:
    if is_repo_id(text) and not expanded(text).exists():
        raise UnknownModel(
            f"there is nothing at {text}",
            why="a name with a slash is a path on this machine",
            remedy=f"hf:{text} asks the Hub; or give {WHAT_IS_READ}",
        )
    variants = variants_at(expanded(text))
    return Found(alias=variants[0].alias, origin="path", variants=tuple(variants))


def _is_path(text: str) -> bool:
    if "/" in text or "\\" in text or text.startswith(("~", ".")) or text.lower().endswith((".gguf", ".onnx")):
        return True
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # too long, or with a null byte: no path
        return False


def _no_such(alias: str, selector: str, variants: Iterable[Variant]) -> UnknownModel:
    there = ", ".join(variant.id for variant in variants)
    return UnknownModel(f"there is no {selector} of {alias}", why=f"there is {there}", remedy=f"name {alias} alone")
