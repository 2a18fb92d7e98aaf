"""Talks to a model through the service of this home.

In: a running service and a variant or a fallback list that it serves. Out: the same answers as from a process of one's
own; what this command had loaded there is taken down again when it ends, unless it is to stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import structs

from assay.app.service_client import ServiceClient
from assay.app.service_session import ServiceSession
from assay.app.talker import LONGEST_S, Heard, Messages, Place, blank_sample
from assay.errors import ServiceError
from assay.types import Sample

THERE = frozenset({"waiting", "loading", "ready"})
"""States of a model that somebody wants up."""
SLACK_S, LOOK_S = 1.0, 0.02
"""How much earlier or later than here the service may think that what was asked last has ended, and how often it is
looked whether it has noticed.
"""

Rows = Mapping[str, Mapping[str, Any]]
"""What the service says of its models, by their ids."""


class ServiceTalker:
    """Asks the service at ``client`` for ``place.variant``, which may be a fallback list that tries ``variants``.

    Then ``place`` tells who has answered, once one has. ``ttl`` is how many seconds the model stays there idle after
    the end, None: as the service has it. With ``retain`` or a ``ttl`` it is left loaded at the end.
    """

    def __init__(
        self,
        client: ServiceClient,
        place: Place,
        *,
        starting: Callable[[str], None],
        variants: Sequence[str] = (),
        ttl: float | None = None,
        retain: bool = False,
    ) -> None:
        self._service = ServiceSession(client)
        self._name = place.variant
        self._variants = {_in_header(one): one for one in variants or (place.variant,)}
        self._place = place
        self._starting = starting
        self._ttl = ttl
        self._retain = retain
        self._loaded_here: set[str] = set()
        self._perhaps: set[str] = set()
        """What may have been loaded for a request of which no answer came."""
        self._broken_off = False
        self._ended = 0.0
        """When something was last asked from here."""

    @property
    def place(self) -> Place:
        return self._place

    async def open(self) -> None:
        """Have the service load it; raise ``ServiceError`` in its words where it does not."""
        await self._opened()

    async def answer(
        self, messages: Messages, parameters: Mapping[str, Any], heard: Heard | None, *, timeout_s: float = LONGEST_S
    ) -> Sample:
        """See ``Talker``."""
        there = await self._opened()
        opened = self._place

        def headed(headers: Mapping[str, str]) -> None:
            told = headers.get("X-Assay-Model")
            if told is not None:
                self._met(self._variants.get(told, told), headers.get("X-Assay-Engine"), there)

        self._ask(there)
        try:
            async with self._service.measuring(self._name, opened.engine) as client:
                blank = blank_sample(opened)
                sample = await client.chat(messages, parameters, blank, timeout_s=timeout_s, heard=heard, headed=headed)
            self._broken_off = sample.error is not None
        finally:
            self._ended = time.monotonic()
        if self._place.variant != opened.variant:
            await self._look(there)
        return structs.replace(sample, variant=self._place.variant, engine=self._place.engine)

    async def close(self) -> None:
        """Leave the service as it was found: what was loaded for this goes, unless others have used it since."""
        try:
            if self._ttl is not None:
                await self._keep(self._ttl)
            elif not self._retain:
                await self._let_go()
        except ServiceError:
            return  # it has gone, and the model with it
        finally:
            self._loaded_here.clear()
            self._perhaps.clear()

    async def _opened(self) -> Rows:
        """Have it loaded; what was there before."""
        there = await self._there()
        self._loaded_here = (self._loaded_here | self._perhaps) & there.keys()
        row = there.get(self._place.variant)
        if row is not None and row["state"] == "ready":
            self._place = _seen(self._place, row)
            return there
        self._starting(f"Loading {self._name} in the service")
        self._ask(there)
        try:
            row = await self._service.load(self._name)
            self._broken_off = False
        finally:
            self._ended = time.monotonic()
        self._met(str(row.get("id") or self._name), row.get("engine"), there)
        self._place = structs.replace(_seen(self._place, row), load_s=_load_s(row, there))
        return there

    def _ask(self, there: Rows) -> None:
        """A request begins: until its answer tells, any of the variants may be loaded for it."""
        self._perhaps = {*self._variants.values()} - there.keys()
        self._broken_off = True

    def _met(self, model: str, engine: str | None, there: Rows) -> None:
        """``model`` answers, of which nothing else is known where it is another than before."""
        if model not in there:
            self._loaded_here.add(model)
        self._perhaps.clear()
        if model != self._place.variant:
            self._place = structs.replace(
                self._place,
                variant=model,
                engine=engine or self._place.engine,
                engine_version=None,
                context_length=None,
                load_s=None,
            )

    async def _look(self, before: Rows) -> None:
        """Ask what is known of the model that has answered, if it is still there."""
        with contextlib.suppress(ServiceError):
            row = (await self._there()).get(self._place.variant, {})
            self._place = structs.replace(_seen(self._place, row), load_s=_load_s(row, before))

    async def _keep(self, ttl: float) -> None:
        """Have what is still up stay for ``ttl`` seconds."""
        mine = self._loaded_here | {self._place.variant}
        for model, row in (await self._there()).items():
            if model in mine and row["state"] == "ready":
                await self._service.load(model, ttl=ttl, timeout_s=5.0)

    async def _let_go(self) -> None:
        mine = self._loaded_here | self._perhaps
        for model, row in (await self._at_rest(mine)).items() if mine else ():
            if model in mine and not row.get("pinned") and self._unused(row):
                await self._service.unload(model)

    async def _at_rest(self, mine: Collection[str]) -> Rows:
        """What is there when the service has noticed that something was broken off, where it was."""
        there = await self._there()
        while self._broken_off and time.monotonic() < self._ended + SLACK_S:
            if not any(_busy(row) for model, row in there.items() if model in mine):
                break
            await asyncio.sleep(LOOK_S)
            there = await self._there()
        return there

    def _unused(self, row: Mapping[str, Any]) -> bool:
        """Whether nobody uses a model, or has used it since it was last asked for from here."""
        idle = row.get("idle_s")
        if row["state"] == "ready":
            return idle is not None and idle >= time.monotonic() - self._ended - SLACK_S
        return not _busy(row)

    async def _there(self) -> Rows:
        return {str(row.get("id")): row for row in await self._service.models() if row.get("state") in THERE}


def _busy(row: Mapping[str, Any]) -> bool:
    return bool(row.get("running") or row.get("waiting"))


def _load_s(row: Mapping[str, Any], before: Rows) -> float | None:
    """The seconds of a model's load; None where it was up ``before``."""
    was = before.get(str(row.get("id")), {})
    return None if was.get("state") == "ready" else row.get("load_s")


def _seen(place: Place, row: Mapping[str, Any]) -> Place:
    """A place, with what a row tells of its model."""
    return structs.replace(
        place,
        engine=row.get("engine") or place.engine,
        engine_version=row.get("engine_version") or place.engine_version,
        context_length=row.get("context_length") or place.context_length,
    )


def _in_header(name: str) -> str:
    """How a name stands in a header, where only ASCII may."""
    return name.encode("ascii", "replace").decode()
