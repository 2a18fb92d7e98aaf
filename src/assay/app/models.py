"""What is done with models by name: list them, tell of one, fetch, import.

In: names and flags. Out: rows, an ``Info``, records of what is in the store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, structs

from assay import catalog, store
from assay.app.getting import Choice, best_of, choose, fetch, none_runs
from assay.app.here import Here, open_here
from assay.app.sizing import Sizing
from assay.errors import BadInput, HubError, UnknownModel
from assay.types import Estimate, Reporter, Silent, Stored, Transfers, Variant

REMARK = "#"


class Told(Struct, frozen=True, kw_only=True):
    """One variant of a model, with its place among the others on this machine.

    ``runs`` marks the one that the alias runs, ``ok`` all that could be run in its place.
    """

    variant: Variant
    runs: bool
    ok: bool
    engine: str | None
    fits: catalog.Fits | None
    reasons: tuple[str, ...]
    licence_class: catalog.LicenceClass
    estimate: Estimate | None
    stored: Stored | None
    path: str | None


class Info(Struct, frozen=True, kw_only=True):
    """All that is known of a model; ``variants`` best first, ``runs`` the id of what the alias runs here."""

    alias: str
    origin: str
    runs: str | None
    variants: tuple[Told, ...]
    memory_budget: int | None
    left_out: tuple[catalog.LeftOut, ...]
    unasked: tuple[str, ...]
    pages: tuple[str, ...]


def list_models(
    *,
    filters: Sequence[str] = (),
    cached: bool = False,
    variants: bool = False,
    search: str | None = None,
    config: str | Path | None = None,
    context_length: int | None = None,
    slots: int | None = None,
    home: str | Path | None = None,
    reporter: Reporter | None = None,
) -> list[catalog.Row]:
    """Every model that can be named, in the order of the sources; no hub is asked.

    Raises:
        BadInput: a filter that is none. BadRegistry: ``config`` cannot be read.
    """
    wanted = [catalog.parse_filter(text) for text in filters]
    here = open_here({"home": home, "registry": config, "context_length": context_length})
    sizing = Sizing(here, slots=slots)
    for warning in here.unread:
        (reporter or Silent()).note(warning)
    rows = catalog.listing(
        here.catalog,
        estimate_of=sizing.estimate,
        budget=sizing.budget,
        engines=sizing.engines,
        filters=wanted,
        cached=cached,
        variants=variants,
        search=search,
    )
    sizing.close()
    return [_sound(row, sizing) for row in rows]


def model_info(
    name: str,
    *,
    ask: bool = False,
    config: str | Path | None = None,
    context_length: int | None = None,
    slots: int | None = None,
    token: str | None = None,
    home: str | Path | None = None,
) -> Info:
    """One model with its variants, best first. The hub is asked where nothing is here, or with ``ask``.

    A hub that cannot be asked is told of in ``unasked``; what is known without it is given.

    Raises:
        UnknownModel: nothing of that name.
    """
    here = open_here({"home": home, "registry": config, "context_length": context_length}, token=token)
    sizing = Sizing(here, slots=slots)
    found = here.catalog.find(name)
    if found.curated is None and not found.variants and not any(wanted.curated for wanted in found.wanted):
        chosen = choose(found, here, sizing)
    else:
        chosen = _as_far_as_known(found, here, sizing, ask=ask or not found.variants)
    sizing.close()
    best = chosen.best
    stored = {one.variant.id.lower(): one for one in here.catalog.stored}
    return Info(
        alias=found.alias,
        origin=found.origin,
        runs=best.variant.id if best else None,
        variants=tuple(_told(ranking, chosen, stored, here) for ranking in chosen.ranked.rankings),
        memory_budget=sizing.budget,
        left_out=chosen.left_out,
        unasked=chosen.unasked,
        pages=found.curated.pages if found.curated else (),
    )


def download(
    names: Sequence[str],
    *,
    config: str | Path | None = None,
    context_length: int | None = None,
    slots: int | None = None,
    token: str | None = None,
    home: str | Path | None = None,
    transfers: Transfers | None = None,
) -> list[Stored]:
    """Fetch the best variant of each name, or what its ``:quantisation`` means; what is in the store stays.

    Raises:
        UnknownModel: a name that is nothing, before anything is fetched. HubError, StoreError: what failed; the other
        names are fetched all the same.
    """
    here = open_here({"home": home, "registry": config, "context_length": context_length}, token=token)
    sizing = Sizing(here, slots=slots)
    transfers = transfers or Silent()
    wanted: list[Variant] = []
    kept: list[Stored] = []
    for name in dict.fromkeys(names):
        found = here.catalog.find(name)
        if found.variants:
            kept += _here_already(name, found, here, transfers)
            continue
        wanted += _to_fetch(choose(found, here, sizing), sizing, transfers)
    fetched = fetch(wanted, here, transfers=transfers)
    for one in fetched:
        sizing.estimate(here.store.placed(one))
    sizing.close()
    return [*kept, *fetched]


def names_in(path: Path) -> list[str]:
    """The models that a file names: a line each (``#`` begins a remark), or the entries of a ``models.json``.

    Raises:
        BadInput: it cannot be read, or names nothing.
    """
    if path.suffix.lower() == ".json":
        return [entry.alias for entry in catalog.read_registry(path).entries]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read", why=str(error), remedy="give a text file, a name a line") from error
    names = [name for line in lines if (name := line.partition(REMARK)[0].strip())]
    if not names:
        raise BadInput(f"{path} names no model", remedy="write a name a line: qwen2.5-0.5b, hf:owner/name:q4_k_m")
    return names


def importable(*, home: str | Path | None = None) -> list[store.Found]:
    """Models in the folders of other programs on this machine, which ``import_models`` takes by name."""
    open_here({"home": home})
    return store.found(store.places(os.environ, Path.home()))


def import_models(
    source: str,
    *,
    alias: str | None = None,
    copy: bool = False,
    home: str | Path | None = None,
    reporter: Reporter | None = None,
) -> list[Stored]:
    """Take a model that lies on this machine into the store, linked unless ``copy``; every model of a folder.

    Raises:
        UnknownModel: nothing is there. BadInput: pickled weights, or nothing that is read.
    """
    here = open_here({"home": home})
    reporter = reporter or Silent()
    named = store.read_import(source, store.places(os.environ, Path.home()))
    variants = catalog.variants_at(named.path, alias or named.alias)
    taken = [store.import_(here.store, variant, alias=alias, copy=copy, reporter=reporter) for variant in variants]
    sizing = Sizing(here)
    for one in taken:
        sizing.estimate(here.store.placed(one))
    sizing.close()
    return taken


def _sound(row: catalog.Row, sizing: Sizing) -> catalog.Row:
    """The row; one that is here and cannot be started, by its headers, as one that does not run."""
    against = sizing.against(row.variant) if row.cached and row.variant is not None and row.variant.files else None
    return structs.replace(row, runs=False, fits="no", reason=against.why) if against else row


def _as_far_as_known(found: catalog.Found, here: Here, sizing: Sizing, *, ask: bool) -> Choice:
    try:
        return choose(found, here, sizing, ask=ask)
    except (HubError, UnknownModel) as error:
        bare = {one.id: one for one in map(catalog.promised, reversed(found.wanted))}
        ranked = catalog.best(
            [*found.variants, *bare.values()],
            budget=sizing.budget,
            estimates={},
            engines=sizing.engines,
        )
        return Choice(found=found, ranked=ranked, estimates={}, unasked=(error.sentence,))


def _told(ranking: catalog.Ranking, chosen: Choice, stored: Mapping[str, Stored], here: Here) -> Told:
    variant, best = ranking.variant, chosen.best
    record = stored.get(variant.id.lower())
    return Told(
        variant=variant,
        runs=best is not None and variant.id == best.variant.id,
        ok=ranking.ok,
        engine=ranking.engine,
        fits=ranking.fits,
        reasons=ranking.reasons,
        licence_class=catalog.licence_class(variant.licence),
        estimate=chosen.estimates.get(variant.id),
        stored=record,
        path=here.store.placed(record).path if record else variant.path,
    )


def _here_already(name: str, found: catalog.Found, here: Here, transfers: Transfers) -> list[Stored]:
    kept = [one for variant in found.variants if (one := here.store.find(variant.id)) is not None]
    transfers.note(f"{name} is here already: {', '.join(variant.id for variant in found.variants)}")
    return kept


def _to_fetch(chosen: Choice, sizing: Sizing, transfers: Transfers) -> list[Variant]:
    """What a person named, whether or not it fits or runs, with a word about that; else the best of what does."""
    named = any(wanted.name.selector for wanted in chosen.found.wanted)
    if not named:
        return [best_of(chosen, sizing).variant]
    variants = [ranking.variant for ranking in chosen.ranked.rankings]
    if not variants:
        raise none_runs(chosen, sizing)
    for ranking in chosen.ranked.rankings:
        against = sizing.against(ranking.variant)
        if against is not None or ranking.fits == "no":
            why = against.why if against else "; ".join(ranking.reasons)
            transfers.note(f"{ranking.variant.id} is not going to run here: {why}")
    return variants
