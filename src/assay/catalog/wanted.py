"""What must be asked of the Hub before a name can be run, and what becomes of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from assay.catalog.curated import CuratedEntry
from assay.catalog.hub_name import HubName
from assay.catalog.left_out import LeftOut
from assay.catalog.offers import Offers, alias_of, chosen, offers
from assay.catalog.registry_entry import Entry, as_entry_says
from assay.errors import UnknownModel
from assay.types import Format, Repo, Variant


class Wanted(Struct, frozen=True, kw_only=True):
    """One repository to be asked. ``name`` holds what of it is wished for.

    ``alias`` names what it offers, else the repository does; ``forms`` are the formats to take from it (empty: all).
    What ``curated`` and ``entry`` say of the model is laid over what the repository tells.
    """

    name: HubName
    alias: str | None = None
    forms: tuple[Format, ...] = ()
    curated: CuratedEntry | None = None
    entry: Entry | None = None


def offered(answers: Iterable[tuple[Wanted, Repo]]) -> Offers:
    """The variants that were wished for, in the order of ``answers``; where two have one id, the first counts.

    Raises:
        UnknownModel: none of the repositories has one; the error tells why.
    """
    variants: dict[str, Variant] = {}
    left: list[LeftOut] = []
    there: list[str] = []
    asked: list[str] = []
    for wanted, repo in answers:
        found = offers(repo, wanted.alias)
        left += found.left_out
        asked.append(repo.id)
        in_form = [v for v in found.variants if not wanted.forms or v.format in wanted.forms]
        there += [variant.selector for variant in in_form]
        for variant in chosen(in_form, wanted.name.selector):
            told = _as_told(variant, wanted)
            variants.setdefault(told.id, told)
    found_all = Offers(tuple(variants.values()), tuple(left))
    if not variants:
        raise _none(found_all, asked, there)
    return found_all


def promised(wanted: Wanted) -> Variant:
    """The variant as far as it is known before the Hub was asked: no files, and no size."""
    alias = wanted.alias or alias_of(wanted.name.repo)
    form: Format = wanted.forms[0] if wanted.forms else "gguf"
    bare = Variant(
        id=f"{alias}:{wanted.name.selector or form}",
        alias=alias,
        format=form,
        source=wanted.name.source,
        revision=wanted.name.revision,
    )
    return _as_told(bare, wanted)


def _as_told(variant: Variant, wanted: Wanted) -> Variant:
    if wanted.curated is not None:
        variant = _as_curated(variant, wanted.curated)
    if wanted.entry is not None:
        variant = structs.replace(as_entry_says(wanted.entry, variant), quantisation=variant.quantisation)
    return variant


def _as_curated(variant: Variant, entry: CuratedEntry) -> Variant:
    """The publisher's own words come before those of whoever quantised it; a file's own figures before rounded ones."""
    said: dict[str, Any] = {
        "parameters": variant.parameters or entry.parameters,
        "context_length": variant.context_length or entry.context_length,
        "licence": entry.licence,
        "tasks": entry.tasks,
        "capabilities": tuple(w for w in entry.capabilities if w != "vision" or variant.format != "gguf"),
        "languages": entry.languages,
        "base": variant.base or (entry.repo if variant.format != "safetensors" else None),
        "notes": entry.notes,
    }
    return structs.replace(variant, **{key: value for key, value in said.items() if value})


def _none(found: Offers, asked: list[str], there: list[str]) -> UnknownModel:
    if there:
        return UnknownModel(
            f"{' and '.join(asked)} has nothing that is called so",
            why=f"there is {', '.join(dict.fromkeys(there))}",
            remedy=f"name one of these after the colon, as in {there[0]}",
        )
    return UnknownModel(
        f"{' and '.join(asked) or 'nothing'} has no model that can be run or compiled here",
        why=found.why_none or "it has no weights",
        remedy="look for a repository of the same model in GGUF, ONNX or safetensors",
    )
