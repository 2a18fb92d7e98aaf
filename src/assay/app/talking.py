"""From a name to somebody to talk to: the best variant is found, fetched where it is not here, and given a place.

In: flags and a name. Out: a ``Talker`` that is not open yet: behind the service of this home where one is up and can do
what is asked, else in a process of this command's own. The service's fallback lists are names, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from assay.app.candidates import on_engines, told
from assay.app.getting import best_of, brought, choose
from assay.app.here import Here, open_here
from assay.app.lifecycle import Lifecycle, answering
from assay.app.service_client import ServiceClient, find_service
from assay.app.service_talker import ServiceTalker
from assay.app.sizing import Sizing
from assay.app.talker import OWN_PROCESS, OwnTalker, Place, Talker
from assay.app.upstream_keys import sent_with
from assay.errors import BadInput, ServiceError, UnknownModel
from assay.settings import api_key, resolve
from assay.types import Reporter, Transfers, Variant

WAS_RUNNING = "it was running"
ASK_S = 5.0
"""How long the service may take to say whether it knows a model."""


class Wishes(Struct, frozen=True, kw_only=True):
    """What was asked for beside the model's name; None and False: nothing.

    ``ttl`` (seconds) and ``retain`` say how long the service keeps the model.
    """

    engine: str | None = None
    threads: int | str | None = None
    context_length: int | str | None = None
    slots: int | None = None
    config: str | Path | None = None
    token: str | None = None
    home: str | Path | None = None
    timeout_s: float | str | None = None
    max_tokens: int | str | None = None
    temperature: float | str | None = None
    ttl: float | None = None
    retain: bool = False

    @property
    def flags(self) -> dict[str, Any]:
        """Those that are settings."""
        named = ("home", "context_length", "max_tokens", "temperature", "threads", "timeout_s")
        return {"registry": self.config, **{name: getattr(self, name) for name in named}}


class Talkers:
    """Gives talkers by name. ``reporter`` hears of steps, ``transfers`` of downloads."""

    def __init__(self, wishes: Wishes, reporter: Reporter, transfers: Transfers) -> None:
        self.settings = resolve(wishes.flags, os.environ, Path.cwd())
        self._wishes = wishes
        self._reporter = reporter
        self._transfers = transfers

    def require(self, name: str, /) -> None:
        """Raise ``UnknownModel`` where nothing has that name; nobody but the service is asked for it."""
        here = open_here(self._wishes.flags, token=self._wishes.token)
        try:
            here.catalog.find(name)
        except UnknownModel:
            if _listing(name, here) is None:
                raise

    def talker(self, name: str, context_length: int | None = None, /) -> Talker:
        """The best variant of ``name``, on this machine; ``context_length`` in tokens goes before the flag's.

        Raises:
            UnknownModel: nothing of that name that runs. HubError, StoreError: it cannot be fetched. BadInput: it is to
            stay in the service, and that cannot serve it, or a server is to load it as flags say.
        """
        wishes = self._wishes
        own = {"context_length": context_length} if context_length is not None else {}
        here = open_here({**wishes.flags, **own}, token=wishes.token)
        sizing = Sizing(here, slots=wishes.slots)
        began = time.monotonic()
        try:
            variant, reasons, by_path = _best(name, here, sizing)
        except UnknownModel:
            listed = _listing(name, here)
            if listed is None:
                raise
            return self._of_list(name, *listed, context_length, time.monotonic() - began)
        found = time.monotonic()
        _refuse_loading(variant, wishes, context_length)
        variant, was_here = brought(variant, here, self._transfers), variant.here
        if variant.format == "remote":
            variant = told(variant, here.hashes, api_key(os.environ))
        candidate = on_engines(variant, (wishes.engine,) if wishes.engine else ())[0]
        service = find_service(here.settings.home)
        why_own = own_because(wishes, variant, service is not None, by_path=by_path, context_length=context_length)
        if service is not None and why_own is None:
            why_own = unserved_because(service, variant)
        asked = service if why_own is None else None
        place = Place(
            variant=variant.id,
            engine=candidate.engine,
            where=f"the service at {asked.state.address}" if asked is not None else _own_place(variant),
            why_there=why_own or WAS_RUNNING,
            reasons=reasons,
            found_s=found - began,
            fetched_s=None if was_here else time.monotonic() - found,
        )
        if asked is not None:
            return ServiceTalker(asked, place, starting=self._reporter.stage, ttl=wishes.ttl, retain=wishes.retain)
        if wishes.retain or wishes.ttl is not None:
            what = "--retain" if wishes.retain else "--ttl"
            startable = service is None and variant.format != "remote"
            remedy = "assay service start" if startable else "leave out what the service cannot do"
            raise BadInput(f"{what} needs the service to keep {variant.id} loaded", why=why_own, remedy=remedy)
        settings = here.settings
        options = answering(
            candidate.engine,
            context_length=settings.context_length,
            slots=wishes.slots or 1,
            threads=settings.threads,
        )
        return OwnTalker(
            candidate,
            Lifecycle(options, here.hold),
            place,
            starting=self._reporter.stage,
            headers=sent_with(variant, api_key(os.environ)) if variant.format == "remote" else None,
        )

    def _of_list(
        self, name: str, service: ServiceClient, variants: list[str], context_length: int | None, found_s: float
    ) -> Talker:
        wishes = self._wishes
        why_own = _own_flags(wishes, context_length)
        if why_own is not None:
            raise BadInput(
                f"{name} is a fallback list of the service", why=why_own, remedy="name one model of the list"
            )
        place = Place(
            variant=name,
            engine="any",
            where=f"the service at {service.state.address}",
            why_there=WAS_RUNNING,
            reasons=(f"the first of the service's list {name} that can be had",),
            found_s=found_s,
        )
        return ServiceTalker(
            service,
            place,
            starting=self._reporter.stage,
            variants=variants,
            ttl=wishes.ttl,
            retain=wishes.retain,
        )


def own_because(
    wishes: Wishes, variant: Variant, running: bool, *, by_path: bool, context_length: int | None = None
) -> str | None:
    """Why the service is not asked; None where it is."""
    if variant.format == "remote":
        return "it is a server already"
    if not running:
        return "no service is running"
    given = _own_flags(wishes, context_length)
    if given is not None:
        return given
    if by_path:
        return "the service knows models by name, not by path"
    return None


def _own_flags(wishes: Wishes, context_length: int | None) -> str | None:
    """Why the service cannot do what flags ask for; None where it can."""
    given = [*_loading(wishes, context_length), *(["--config"] if wishes.config is not None else [])]
    return f"{', '.join(given)}: the service loads models in its own way" if given else None


def _loading(wishes: Wishes, context_length: int | None) -> list[str]:
    """The flags that were given of how a model is loaded."""
    flags: Mapping[str, Any] = {
        "--engine": wishes.engine,
        "--threads": wishes.threads,
        "--parallel": wishes.slots,
        "--ctx": wishes.context_length,
        "/set ctx": context_length,
    }
    return [name for name, value in flags.items() if value is not None]


def _refuse_loading(variant: Variant, wishes: Wishes, context_length: int | None) -> None:
    given = _loading(wishes, context_length)
    if given and variant.format == "remote":
        raise BadInput(
            f"{', '.join(given)} cannot be had of {variant.id}",
            why=f"{_own_place(variant)} loads it in its own way",
            remedy="/set ctx default" if given == ["/set ctx"] else "leave it out",
        )


def _own_place(variant: Variant) -> str:
    """Where it answers without the service."""
    if variant.format != "remote":
        return OWN_PROCESS
    address = urlsplit(variant.source)
    return f"the server at {address.scheme}://{address.netloc}"


def _listing(name: str, here: Here) -> tuple[ServiceClient, list[str]] | None:
    """The service that has a fallback list of that name, and the variants that it tries; None where none has."""
    service = find_service(here.settings.home)
    if service is None:
        return None
    try:
        told = service.ask("GET", f"/v1/models/{name}", timeout_s=ASK_S)
    except ServiceError:
        return None
    if not isinstance(told, dict) or told.get("kind") != "route":
        return None
    return service, [str(one) for one in told.get("variants") or ()]


def unserved_because(service: ServiceClient, variant: Variant) -> str | None:
    """Why the service cannot be asked for ``variant``, such as a list of models that it does not read; else None."""
    try:
        service.ask("GET", f"/v1/models/{variant.id}", timeout_s=ASK_S)
    except ServiceError as error:
        return error.sentence
    return None


def _best(name: str, here: Here, sizing: Sizing) -> tuple[Variant, tuple[str, ...], bool]:
    """The best variant of what is here, else of what the hub offers; why it; whether it was named by path."""
    found = here.catalog.find(name)
    best = best_of(choose(found, here, sizing, ask=not found.runnable), sizing)
    sizing.close()
    return best.variant, best.reasons, found.origin == "path"
