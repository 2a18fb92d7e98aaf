"""The rows of ``model list``: every model that can be named here, and whether it runs and fits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from assay.catalog.best import Ranked, Ranking, best, ranking_of
from assay.catalog.catalog import Catalog, Found, Origin
from assay.catalog.filters import Filter, keeps, searched
from assay.catalog.fit import Fits, by_needs, fit_of_entry
from assay.catalog.licence import LicenceClass, licence_class
from assay.catalog.registry_entry import Entry
from assay.catalog.wanted import promised
from assay.types import Estimate, Format, Variant

class_of = cache(licence_class)
"""Few licences, many models."""


class Row(Struct, frozen=True, kw_only=True):
    """One variant of a model. ``variant`` is None where a registry names a model that can neither be run nor fetched.

    ``runs`` marks what the alias runs here; it is the first row of its alias unless a filter took it away. ``cached``
    says that its files are on this machine; ``origin`` is the source that told of the model. ``size`` is in bytes.
    ``fits`` is None where nobody can say, and ``reason`` tells why. ``engines`` are those here that read its format.
    """

    alias: str
    id: str
    origin: Origin
    variant: Variant | None
    runs: bool
    cached: bool
    device: str | None
    task: str | None
    size: int | None
    licence: str | None
    licence_class: LicenceClass
    fits: Fits | None
    reason: str
    engines: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    notes: str | None = None


def listing(
    catalog: Catalog,
    *,
    estimate_of: Callable[[Variant], Estimate | None],
    budget: int | None,
    engines: Mapping[Format, Sequence[str]],
    devices: Collection[str] = ("cpu",),
    filters: Iterable[Filter] = (),
    cached: bool = False,
    variants: bool = False,
    search: str | None = None,
) -> list[Row]:
    """The models in the catalog's order, of each the variant that it runs here, or with ``variants`` all, best first.

    A filter that leaves out what an alias runs shows the next best that passes it. With ``search``, only those rows
    are given that it finds, the best finds first. ``estimate_of`` is asked once for each variant with files of a model
    of which something may be shown. ``budget`` is bytes of memory; ``engines`` and ``devices`` are as for ``best``.
    """
    wanted = tuple(filters)
    here = _Here(budget, engines, devices)
    rows: list[Row] = []
    for found in catalog.models():
        among = _variants(found)
        if (
            among
            and (wanted or cached)
            and not any(_passes(_row(found, v, here), wanted, cached=cached) for v in among)
        ):
            continue
        shown = _ranked(found, among, estimate_of, here) if among else [_bare(found, budget)]
        shown = [row for row in shown if _passes(row, wanted, cached=cached)]
        rows += shown if variants else shown[:1]
    return _together(searched(rows, search)) if search and search.strip() else rows


class _Here(NamedTuple):
    """What runs on this machine, and in how much memory."""

    budget: int | None
    engines: Mapping[Format, Sequence[str]]
    devices: Collection[str]


def _variants(found: Found) -> list[Variant]:
    """What is here and what is promised; a checkpoint for compiling only where it is all there is."""
    if not found.wanted:
        return list(found.variants)
    here = {variant.id: variant for variant in found.variants}
    promises = [promised(wanted) for wanted in found.wanted if "safetensors" not in wanted.forms]
    if not here and not promises:
        promises = [promised(wanted) for wanted in found.wanted]
    sources = {variant.source for variant in found.variants}
    return [*here.values(), *(p for p in promises if p.source not in sources and p.id not in here)]


def _ranked(
    found: Found, among: Sequence[Variant], estimate_of: Callable[[Variant], Estimate | None], here: _Here
) -> list[Row]:
    """Nothing can be estimated of what has no files yet."""
    estimates = {v.id: known for v in among if v.files and (known := estimate_of(v)) is not None}
    budget, engines, devices = here
    if len(among) == 1:
        ranked = Ranked((ranking_of(among[0], budget, estimates.get(among[0].id), engines, devices),))
    else:
        ranked = best(among, budget=budget, estimates=estimates, engines=engines, devices=devices)
    runs = ranked.best
    return [_row(found, one.variant, here, one, runs=one is runs) for one in ranked.rankings]


def _row(found: Found, variant: Variant, here: _Here, ranking: Ranking | None = None, *, runs: bool = False) -> Row:
    size = found.entry.size if found.entry else None
    fits = ranking.fits if ranking else None
    reason = "; ".join(ranking.reasons) if ranking else ""
    if fits is None and size is not None and here.budget is not None:
        fits, reason = by_needs(None, size, here.budget, reason)
    return Row(
        alias=found.alias,
        id=variant.id,
        origin=found.origin,
        variant=variant,
        runs=runs,
        cached=variant.path is not None,
        device=_device(variant, here.devices),
        task=_task(variant.tasks, variant.capabilities),
        size=variant.disk if variant.disk is not None else size,
        licence=variant.licence,
        licence_class=class_of(variant.licence),
        fits=fits,
        reason=reason,
        engines=tuple(here.engines.get(variant.format, ())),
        tasks=variant.tasks,
        capabilities=variant.capabilities,
        languages=variant.languages,
        notes=variant.notes,
    )


def _bare(found: Found, budget: int | None) -> Row:
    """An entry of a registry that is a name and no more."""
    entry = found.entry or Entry(alias=found.alias)
    fits, reason = fit_of_entry(entry, budget)
    return Row(
        alias=found.alias,
        id=found.alias,
        origin=found.origin,
        variant=None,
        runs=False,
        cached=False,
        device=None,
        task=_task(entry.tasks, entry.capabilities),
        size=entry.size,
        licence=entry.licence,
        licence_class=class_of(entry.licence),
        fits=fits,
        reason=f"{found.problem}; {reason}" if found.problem else reason,
        tasks=entry.tasks,
        capabilities=entry.capabilities,
        notes=entry.notes,
    )


def _device(variant: Variant, devices: Collection[str]) -> str | None:
    """Where it runs: what it was made for, else the best that the engines here use; nothing here for an address."""
    if variant.format in {"remote", "adapter", "safetensors"}:
        return variant.device
    return variant.device or ("gpu" if variant.format == "gguf" and "gpu" in devices else "cpu")


def _task(tasks: Sequence[str], capabilities: Sequence[str]) -> str | None:
    """One word for what it is for: chat, wherever it can do that, whatever else it was made for."""
    return "chat" if "chat" in (*tasks, *capabilities) else next(iter(tasks), None)


def _passes(row: Row, filters: Sequence[Filter], *, cached: bool) -> bool:
    return (row.cached or not cached) and keeps(filters, row)


def _together(rows: Sequence[Row]) -> list[Row]:
    """The rows of an alias one after another, where its best find stood."""
    by_alias: dict[str, list[Row]] = {}
    for row in rows:
        by_alias.setdefault(row.alias, []).append(row)
    return [row for together in by_alias.values() for row in together]
