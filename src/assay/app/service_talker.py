"""Talks to a model through the service of this home.

In: a running service and a variant or a fallback list that it serves. Out: the same answers as from a process of one's
own; what this command had loaded there is taken down again when it ends, unless it is to stay.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from msgspec import structs

from assay import measure
from assay.app.service_client import ServiceClient
from assay.app.talker import LONGEST_S, Heard, Messages, Place, blank_sample
from assay.errors import ServiceError
from assay.types import Endpoint, Sample

T = TypeVar("T")
SLACK_S = 0.5
"""How much earlier than here the service may think that the model's last answer ended."""


class ServiceTalker:
    """Asks the service at ``client`` for ``place.variant``; that of a fallback list, when opened, tells its choice.

    ``ttl`` is how many seconds the model stays there when it is idle, None: as the service has it. With ``retain`` or a
    ``ttl`` it is left loaded at the end.
    """

    def __init__(
        self,
        client: ServiceClient,
        place: Place,
        *,
        starting: Callable[[str], None],
        ttl: float | None = None,
        retain: bool = False,
    ) -> None:
        self._client = client
        self._name = place.variant
        self._place = place
        self._starting = starting
        self._ttl = ttl
        self._stays = retain or ttl is not None
        self._loaded_here: set[str] = set()
        self._ended = 0.0
        """When it was last loaded or used from here."""

    @property
    def place(self) -> Place:
        return self._place

    async def open(self) -> None:
        """Have the service load it; raise ``ServiceError`` in its words where it does not."""
        ready = {row.get("id"): row for row in await self._rows() if row.get("state") == "ready"}
        row, load_s = ready.get(self._place.variant), None
        if row is None:
            self._loaded_here.add(self._name)
            self._starting(f"Loading {self._name} in the service")
            row = await _aside(lambda: self._client.load(self._name, ttl=self._ttl))
            self._ended = time.monotonic()
            self._loaded_here.discard(self._name)
            if row.get("id") not in ready:
                self._loaded_here.add(str(row.get("id")))
                load_s = row.get("load_s")
        self._place = structs.replace(self._place, load_s=load_s, **_known(row, self._place))

    async def answer(
        self, messages: Messages, parameters: Mapping[str, Any], heard: Heard | None, *, timeout_s: float = LONGEST_S
    ) -> Sample:
        """See ``Talker``."""
        await self.open()
        state = self._client.state
        endpoint = Endpoint(url=f"{state.address}/v1", model=self._name, engine=self._place.engine)
        headers = measure.bearer(state.admin_key)
        try:
            async with measure.Client(endpoint, headers=headers, tls=self._client.tls()) as client:
                blank = blank_sample(self._place)
                return await client.chat(messages, parameters, blank, timeout_s=timeout_s, heard=heard)
        finally:
            self._ended = time.monotonic()

    async def close(self) -> None:
        """Leave the service as it was found: what was loaded for this goes, unless others have used it since."""
        try:
            if self._stays:
                if self._ttl is not None:
                    await _aside(lambda: self._client.load(self._name, ttl=self._ttl, timeout_s=5.0))
                return
            for row in await self._rows() if self._loaded_here else ():
                idle, model = row.get("idle_s"), str(row.get("id"))
                if model in self._loaded_here and idle is not None and idle >= time.monotonic() - self._ended - SLACK_S:
                    await _aside(partial(self._client.unload, model))
        except ServiceError:
            return  # it has gone, and the model with it
        finally:
            self._loaded_here.clear()

    async def _rows(self) -> list[dict[str, Any]]:
        return await _aside(self._client.models)


def _known(row: Mapping[str, Any], place: Place) -> dict[str, Any]:
    return {
        "variant": row.get("id") or place.variant,
        "engine": row.get("engine") or place.engine,
        "engine_version": row.get("engine_version") or place.engine_version,
        "context_length": row.get("context_length") or place.context_length,
    }


async def _aside(work: Callable[[], T]) -> T:
    """The result of blocking ``work``; a cancelled wait leaves it to itself, and it does not hold up the end."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(set_result: Callable[[Any], None], value: Any) -> None:
        if not result.done():
            set_result(value)

    def body() -> None:
        try:
            done = result.set_result, work()
        except BaseException as error:  # it is raised again where it is waited for
            _post(loop, settle, result.set_exception, error)
        else:
            _post(loop, settle, *done)

    threading.Thread(target=body, name="ask the service", daemon=True).start()
    return await result


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *given: Any) -> None:
    try:
        loop.call_soon_threadsafe(call, *given)
    except RuntimeError:
        return  # nobody waits any more
