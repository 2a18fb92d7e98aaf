"""What the service can serve at this moment: names of the lists, and what each is best run as on this machine.

In: an installation, how many requests at once and how long a context, fallback lists. Out: a route for a name. What was
found is remembered until a list, the store or a model's file changes; no name from a request becomes a path or an
address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from msgspec import structs

from assay import catalog
from assay.app.candidates import REMOTE_ENGINE, on_engines
from assay.app.getting import choose, none_runs
from assay.app.here import Here
from assay.app.lifecycle import answering
from assay.app.sizing import Sizing
from assay.catalog.registry_entry import RESERVED
from assay.disk import Stamp, stamp_of
from assay.errors import AssayError, BadInput, UnknownModel
from assay.serve import Listed, Offer, Route
from assay.types import Estimate, File, Variant

SLOTS = (8, 4, 2, 1)
"""Requests at once that are tried, from the most."""
REMEMBERED = 1000
"""Names that are remembered; strangers may send any number of wrong ones, which are not."""
FRESH_S = 0.25
"""How long nothing is looked at again: a burst of requests costs one look."""
VERSION = 9
"""Digits of a version at most, as in ``alias:1``."""
READ = frozenset({"gguf", "onnx"})
"""Formats that run and whose files tell what they are."""
SAID = ("id", "alias", "tasks", "engine", "min_memory", "notes")
"""Fields of a variant that its files do not tell."""


T = TypeVar("T")
State = tuple[tuple[Path, Stamp | None], ...]
"""Files and folders that tell whether anything has changed."""


class Loads(NamedTuple):
    """How models are loaded. ``slots`` None: as many as fit in half of ``budget`` (bytes), up to eight."""

    context_length: int | None = None
    slots: int | None = None
    threads: int | None = None
    budget: int | None = None


class View:
    """What is found as long as lists, store and files stay as they are; ``here`` reads each list once."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self.routes: dict[str, Route] = {}
        self.listed: tuple[Listed, ...] | None = None
        self.sizings: dict[int, Sizing] = {}
        self.files = here.looked_at
        """What models outside the store are made of, or would be were it there, each as it was before it was read."""

    @property
    def outdated(self) -> bool:
        return any(stamp_of(place) != stamp for place, stamp in tuple(self.files.items()))

    def stamps(self, variant: Variant) -> list[tuple[File, Stamp | None]]:
        """Of the variant's files that may change, which are watched from now on: what lies in the store never does."""
        folder = catalog.folder_of(variant)
        if folder is None:
            return []
        places = [(file, folder / file.path) for file in variant.files]
        if folder.is_relative_to(self.here.store.layout.folder):
            places = [(file, place) for file, place in places if place.is_symlink()]
        return [(file, self.files.setdefault(place, stamp_of(place))) for file, place in places]


def quiet(_problem: str) -> None:
    """Tell nobody."""


class Directory:
    """Routes by name. ``routes`` are fallback lists: a name -> the names to try in turn.

    ``given`` are variants that the owner of the service named by path or address; they are served under their alias.
    ``tell`` hears, from another thread, what of the lists cannot be read. Looking things up takes a thread of its own,
    one name after the other: what was read for one serves the next. Raise ``BadRegistry`` where the list that was asked
    for cannot be read.
    """

    def __init__(
        self,
        here: Here,
        loads: Loads = Loads(),  # noqa: B008 - frozen
        *,
        routes: Mapping[str, Sequence[str]] | None = None,
        given: Sequence[Variant] = (),
        tell: Callable[[str], None] = quiet,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seen = _state(here)
        here = Here(here.settings, here.token)
        self._view = View(here)
        self._clock = clock
        self._loads = loads
        self._tell = tell
        self._routes = dict(routes or {})
        self._spelt = {name.lower(): name for name in self._routes}
        self._given = {variant.alias.lower(): variant for variant in given}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="directory")
        self._looked = clock()
        self._told: set[str] = set()
        self._tell_new({*here.unread})

    async def route(self, name: str) -> Route:
        """What ``name`` stands for: an alias, ``alias:selector``, a variant's id, a fallback list, or ``alias:1``.

        Raises:
            UnknownModel: nothing of that name is here and can be run.
        """
        return await self._route(await self._now(), name)

    async def listed(self) -> tuple[Listed, ...]:
        """Every name that can be asked for: fallback lists, then each alias with its variants."""
        view = await self._now()
        if view.listed is None:
            view.listed = await self._listing(view)
        return view.listed

    async def gaps(self) -> list[str]:
        """What the fallback lists name and is not here now, a line each; the rest of a list is served all the same."""
        lines = list[str]()
        for name in self._routes:
            try:
                missing = [why for _, why in (await self.route(name)).missing]
            except AssayError as error:
                missing = [f"nothing of it can be run ({error.why or error.message})"]
            lines += [f"fallback list {name}: {why}" for why in missing]
        return lines

    async def _now(self) -> View:
        """What is known; found anew where a list, the store or a model's files have changed since."""
        now = self._clock()
        if now - self._looked >= FRESH_S:
            state, self._looked = _state(self._view.here), now
            if state != self._seen or self._view.outdated:
                await self._aside(lambda: self._renew(state))
        return self._view

    def _renew(self, state: State) -> None:
        """Read the lists anew. Where one cannot be read any more, as while it is edited, what it said before stays."""
        if state == self._seen and not self._view.outdated:
            return
        self._seen = state
        here = Here(self._view.here.settings, self._view.here.token)
        try:
            broken = set(here.broken) - set(self._view.here.broken)
            _ = here.catalog
        except AssayError as error:
            broken = {error.sentence}
        self._tell_new({f"{problem}; what was read before is still served" for problem in broken} or {*here.unread})
        if not broken:
            self._view = View(here)

    def _tell_new(self, problems: set[str]) -> None:
        for problem in sorted(problems - self._told):
            self._tell(problem)
        self._told = problems

    async def _route(self, view: View, name: str) -> Route:
        known = view.routes.get(name)
        return await self._aside(lambda: self._found(view, name)) if known is None else known

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _found(self, view: View, name: str) -> Route:
        if name in view.routes:
            return view.routes[name]
        if name.lower() in self._spelt:
            route = self._fallback(view, self._spelt[name.lower()])
        else:
            offers = self._offers(view, name)
            route = Route(name=name, offers=offers[:1], others=offers[1:])
        if len(view.routes) < REMEMBERED:
            view.routes[name] = route
        return route

    def _fallback(self, view: View, name: str) -> Route:
        """All that the list names; what of it is not here now is missing, as long as one is."""
        found, missing = dict[str, Offer](), list[tuple[int, str]]()
        for word in self._routes[name]:
            try:
                first = self._offers(view, word)[0]
            except AssayError as error:
                missing.append((len(found), error.clause))
            else:
                found.setdefault(first.id, first)
        if not found:
            told = "; ".join(why for _, why in missing)
            raise UnknownModel(f"nothing of the fallback list {name} can be run", why=told, remedy="assay model list")
        return Route(name=name, offers=tuple(found.values()), missing=tuple(missing))

    def _offers(self, view: View, name: str) -> tuple[Offer, ...]:
        """What can be run of a name, best first; at least one."""
        given = self._given.get(name.lower())
        if given is not None:
            if given.path is not None:
                view.files = catalog.looked_at(Path(given.path)) | view.files
            return (self._offer(view, _as_it_lies(view, given)),)
        found = _as_they_lie(view, _named(view.here, name))
        local = found.runnable
        if not local:
            raise UnknownModel(
                f"{found.alias} is not on this machine",
                why=found.problem or "the service fetches nothing by itself",
                remedy=f"assay model download {found.alias}",
            )
        if local[0].format == "remote":
            return tuple(self._offer(view, variant) for variant in local)
        sizing = self._sizing(view, 1)
        chosen = choose(found, view.here, sizing, ask=False)
        ranked = [one for one in chosen.ranked.rankings if one.engine is not None and one.variant.here]
        sizing.close()
        if not ranked:
            raise none_runs(chosen, sizing)
        return tuple(self._offer(view, one.variant) for one in ranked)

    def _offer(self, view: View, variant: Variant) -> Offer:
        if variant.format == "remote":
            return Offer(variant=variant, engine=REMOTE_ENGINE, needs=0, seconds=0.0)
        engine = on_engines(variant, ())[0].engine
        slots, estimate = self._slots(view, variant)
        loads = self._loads
        options = answering(engine, context_length=loads.context_length, slots=slots, threads=loads.threads)
        needs = estimate.best if estimate is not None else None
        stamps = tuple(stamp for _, stamp in view.stamps(variant))
        return Offer(variant=variant, engine=engine, options=options, needs=needs, stamps=stamps)

    def _slots(self, view: View, variant: Variant) -> tuple[int, Estimate | None]:
        """How many requests at once, and what that is reckoned to take."""
        if self._loads.slots is not None:
            return self._loads.slots, self._sizing(view, self._loads.slots).estimate(variant)
        half = self._loads.budget // 2 if self._loads.budget is not None else None
        for slots in SLOTS[:-1]:
            estimate = self._sizing(view, slots).estimate(variant)
            if estimate is None or half is None:
                break
            if estimate.best <= half:
                return slots, estimate
        return 1, self._sizing(view, 1).estimate(variant)

    def _sizing(self, view: View, slots: int) -> Sizing:
        if slots not in view.sizings:
            view.sizings[slots] = Sizing(view.here, self._loads.context_length, slots)
        return view.sizings[slots]

    async def _listing(self, view: View) -> tuple[Listed, ...]:
        aliases = await self._aside(lambda: [found.alias for found in view.here.catalog.models()])
        listed: dict[str, Listed] = {}
        offers = dict[str, Offer]()

        def add(
            name: str, kind: Literal["alias", "variant", "route"], variant: Variant, tries: tuple[str, ...] = ()
        ) -> None:
            listed.setdefault(name.lower(), Listed(id=name, kind=kind, variant=variant, tries=tries))

        for name in (*self._routes, *self._given, *aliases):
            try:
                route = await self._route(view, name)
            except AssayError:
                continue  # it cannot be served now: asking for it says why
            best = route.offers[0].variant
            if name in self._routes:
                add(name, "route", best, tuple(offer.id for offer in route.offers))
            else:
                add(best.alias, "alias", best)
            offers |= {offer.id: offer for offer in (*route.offers, *route.others)}
        for offer in offers.values():
            add(offer.id, "variant", offer.variant)
        return tuple(listed.values())


def given_variants(names: Sequence[str], here: Here, routes: Collection[str] = ()) -> tuple[list[str], list[Variant]]:
    """Names as the lists or ``routes`` know them, and what the owner named by path or address as variants of their own.

    Raises:
        UnknownModel: nothing of that name is here. BadInput: a file is broken.
    """
    known, own = list[str](), list[Variant]()
    for name in names:
        if name in routes:
            known.append(name)
            continue
        found = here.catalog.find(name)
        if found.origin in {"path", "address"}:
            if not found.runnable:
                raise BadInput(f"{name} cannot be served as it is", remedy=f"assay model compile {name}")
            one = structs.replace(found.runnable[0], alias=found.alias)
            own.append(one)
            known.append(one.alias)
        else:
            known += [variant.id for variant in found.variants] if found.alias in RESERVED else [name]
    return known, own


def _as_they_lie(view: View, found: catalog.Found) -> catalog.Found:
    """The same by what its files are now, less what is broken; raise the first reason where nothing is left."""
    variants, problems = list[Variant](), list[AssayError]()
    for variant in found.variants:
        try:
            variants.append(_as_it_lies(view, variant))
        except AssayError as error:
            problems.append(error)
    if problems and not variants:
        raise problems[0]
    return structs.replace(found, variants=tuple(variants))


def _as_it_lies(view: View, told: Variant) -> Variant:
    """What lies at the path of ``told`` by now, with what people said of it. Raise ``UnknownModel`` or ``BadInput``."""
    same = all(stamp and file.size in {None, stamp.size} for file, stamp in view.stamps(told))
    if same or told.path is None or told.format not in READ:
        return told
    said = {name: getattr(told, name) for name in SAID}
    return structs.replace(catalog.variants_at(Path(told.path))[0], **said)


def _named(here: Here, name: str) -> catalog.Found:
    """By the lists; ``alias:1``, which is how some runners number what they serve, is the alias."""
    alias, _, version = name.rpartition(":")
    numbered = bool(alias) and version.isascii() and version.isdigit() and len(version) <= VERSION
    try:
        return here.catalog.named(name)
    except UnknownModel:
        if not numbered:
            raise
    return here.catalog.named(alias)


def _state(here: Here) -> State:
    """What changes when a list, the store or what loads were seen to take does."""
    return tuple((place, stamp_of(place)) for place in (*here.lists, here.store.layout.records, here.observations))
