"""What the service can serve at this moment: names of the lists, and what each is best run as on this machine.

In: an installation, how many requests at once and how long a context, fallback lists. Out: a route for a name. What was
found is remembered until a list or the store changes; no name from a request becomes a path or an address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from assay import catalog
from assay.app.candidates import REMOTE_ENGINE, on_engines
from assay.app.getting import choose, none_runs
from assay.app.here import REGISTRY, Here
from assay.app.sizing import Sizing
from assay.errors import AssayError, BadInput, UnknownModel
from assay.serve import Listed, Offer, Route
from assay.types import EngineOptions, Estimate, Variant

SLOTS = (8, 4, 2, 1)
"""Requests at once that are tried, from the most."""
REMEMBERED = 1000
"""Names that are remembered; strangers may send any number of wrong ones, which are not."""
EMBEDDINGS = frozenset({"embeddings", "embedding", "feature-extraction"})
FRESH_S = 0.25
"""How long nothing is looked at again: a burst of requests costs one look."""
VERSION = 9
"""Digits of a version at most, as in ``alias:1``."""


class Loads(NamedTuple):
    """How models are loaded. ``slots`` None: as many as fit in half of ``budget`` (bytes), up to eight."""

    context_length: int | None = None
    slots: int | None = None
    threads: int | None = None
    budget: int | None = None


class Directory:
    """Routes by name. ``routes`` are fallback lists: a name -> the names to try in turn.

    ``given`` are variants that the owner of the service named by path or address; they are served under their alias.
    """

    def __init__(
        self,
        here: Here,
        loads: Loads = Loads(),  # noqa: B008 - frozen
        *,
        routes: Mapping[str, Sequence[str]] | None = None,
        given: Sequence[Variant] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._here = here
        self._clock = clock
        self._loads = loads
        self._routes = dict(routes or {})
        self._given = {variant.alias.lower(): variant for variant in given}
        self._known: dict[str, Route] = {}
        self._list: tuple[Listed, ...] | None = None
        self._seen = self._state()
        self._looked = clock()
        self._sizings: dict[int, Sizing] = {}

    async def route(self, name: str) -> Route:
        """What ``name`` stands for: an alias, ``alias:selector``, a variant's id, a fallback list, or ``alias:1``.

        Raises:
            UnknownModel: nothing of that name is here and can be run.
        """
        self._refresh()
        known = self._known.get(name)
        if known is None:
            known = await asyncio.to_thread(self._found, name)
            if len(self._known) < REMEMBERED:
                self._known[name] = known
        return known

    async def listed(self) -> tuple[Listed, ...]:
        """Every name that can be asked for: fallback lists, then each alias with its variants."""
        self._refresh()
        if self._list is None:
            self._list = await asyncio.to_thread(self._listing)
        return self._list

    def _refresh(self) -> None:
        """Forget what was found where a list or the store has changed since."""
        now = self._clock()
        if now - self._looked < FRESH_S:
            return
        state, self._looked = self._state(), now
        if state != self._seen:
            self._seen = state
            self._here = Here(self._here.settings, self._here.token)
            self._known, self._list, self._sizings = {}, None, {}

    def _state(self) -> tuple[tuple[int, int] | None, ...]:
        settings, records = self._here.settings, self._here.store.layout.records
        named = [settings.registry] if settings.registry else []
        places = [*named, Path.cwd() / REGISTRY, settings.home / REGISTRY, records]
        return tuple(_stamp(place) for place in places)

    def _found(self, name: str) -> Route:
        if name in self._routes:
            return self._fallback(name)
        offers = self._offers(name)
        return Route(name=name, offers=offers[:1], others=offers[1:])

    def _fallback(self, name: str) -> Route:
        """All that the list names; what of it is not here now is left out, as long as one is."""
        found, failures = dict[str, Offer](), list[AssayError]()
        for word in self._routes[name]:
            try:
                first = self._offers(word)[0]
            except AssayError as error:
                failures.append(error)
            else:
                found.setdefault(first.id, first)
        if not found:
            told = "; ".join(error.clause for error in failures)
            raise UnknownModel(f"nothing of the fallback list {name} can be run", why=told, remedy="assay model list")
        return Route(name=name, offers=tuple(found.values()))

    def _offers(self, name: str) -> tuple[Offer, ...]:
        """What can be run of a name, best first; at least one."""
        given = self._given.get(name.lower())
        if given is not None:
            return (self._offer(given, ()),)
        found = self._named(name)
        local = [variant for variant in found.variants if variant.format != "safetensors"]
        if not local:
            raise UnknownModel(
                f"{found.alias} is not on this machine",
                why=found.problem or "the service fetches nothing by itself",
                remedy=f"assay model download {found.alias}",
            )
        if local[0].format == "remote":
            return tuple(self._offer(variant, ()) for variant in local)
        sizing = self._sizing(1)
        chosen = choose(found, self._here, sizing, ask=False)
        ranked = [one for one in chosen.ranked.rankings if one.engine is not None and one.variant.here]
        sizing.close()
        if not ranked:
            raise none_runs(chosen, sizing)
        return tuple(self._offer(one.variant, one.reasons) for one in ranked)

    def _named(self, name: str) -> catalog.Found:
        """By the lists; ``alias:1``, which is how some runners number what they serve, is the alias."""
        alias, _, version = name.rpartition(":")
        numbered = bool(alias) and version.isascii() and version.isdigit() and len(version) <= VERSION
        try:
            return self._here.catalog.named(name)
        except UnknownModel:
            if not numbered:
                raise
        return self._here.catalog.named(alias)

    def _offer(self, variant: Variant, reasons: tuple[str, ...]) -> Offer:
        if variant.format == "remote":
            return Offer(variant=variant, engine=REMOTE_ENGINE, needs=0, seconds=0.0)
        engine = on_engines(variant, ())[0].engine
        slots, estimate = self._slots(variant)
        options = EngineOptions(
            context_length=self._loads.context_length,
            slots=slots,
            threads=self._loads.threads,
            extra={"cache_prompt": "true"} if engine == "llamacpp" else {},
        )
        needs = estimate.best if estimate is not None else None
        return Offer(variant=variant, engine=engine, options=options, needs=needs, reasons=reasons)

    def _slots(self, variant: Variant) -> tuple[int, Estimate | None]:
        """How many requests at once, and what that is reckoned to take."""
        if self._loads.slots is not None:
            return self._loads.slots, self._sizing(self._loads.slots).estimate(variant)
        half = self._loads.budget // 2 if self._loads.budget is not None else None
        for slots in SLOTS[:-1]:
            estimate = self._sizing(slots).estimate(variant)
            if estimate is None or half is None:
                break
            if estimate.best <= half:
                return slots, estimate
        return 1, self._sizing(1).estimate(variant)

    def _sizing(self, slots: int) -> Sizing:
        if slots not in self._sizings:
            self._sizings[slots] = Sizing(self._here, self._loads.context_length, slots)
        return self._sizings[slots]

    def _listing(self) -> tuple[Listed, ...]:
        names = [*self._routes, *self._given, *(found.alias for found in self._here.catalog.models())]
        listed: dict[str, Listed] = {}
        offers = dict[str, Offer]()
        for name in names:
            try:
                route = self._found(name)
            except AssayError:
                continue  # it cannot be served now: asking for it says why
            best = route.offers[0].variant
            if name in self._routes:
                one = Listed(id=name, kind="route", variant=best, embeds=_embeds(best))
            else:
                one = Listed(id=best.alias, kind="alias", variant=best, embeds=_embeds(best))
            listed.setdefault(one.id.lower(), one)
            offers |= {offer.id: offer for offer in (*route.offers, *route.others)}
        for offer in offers.values():
            one = Listed(id=offer.id, kind="variant", variant=offer.variant, embeds=_embeds(offer.variant))
            listed.setdefault(offer.id.lower(), one)
        return tuple(listed.values())


def given_variants(names: Sequence[str], here: Here) -> tuple[list[str], list[Variant]]:
    """Names as the lists know them, and what the owner named by path or address as variants of their own.

    Raises:
        UnknownModel: nothing of that name is here. BadInput: a file is broken.
    """
    known, own = list[str](), list[Variant]()
    for name in names:
        found = here.catalog.find(name)
        if found.origin in {"path", "address"}:
            runnable = [variant for variant in found.variants if variant.format != "safetensors"]
            if not runnable:
                raise BadInput(f"{name} cannot be served as it is", remedy=f"assay model compile {name}")
            one = structs.replace(runnable[0], alias=found.alias)
            own.append(one)
            known.append(one.alias)
        else:
            known += [variant.id for variant in found.variants] if found.alias in {"auto", "all", "bundled"} else [name]
    return known, own


def read_route(text: str) -> tuple[str, tuple[str, ...]]:
    """``NAME=A,B,C`` -> the name of a fallback list and what to try in turn.

    Raises:
        BadInput: it does not read like that.
    """
    name, equals, rest = text.partition("=")
    words = tuple(word.strip() for word in rest.split(",") if word.strip())
    if not (equals and name.strip() and words):
        raise BadInput(f"{text!r} is no fallback list", remedy="write it like fast=small-model,large-model,remote")
    return name.strip(), words


def _embeds(variant: Variant) -> bool:
    return bool(EMBEDDINGS & {*variant.tasks, *variant.capabilities})


def _stamp(place: Path) -> tuple[int, int] | None:
    try:
        status = place.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
