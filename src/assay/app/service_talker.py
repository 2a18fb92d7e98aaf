"""Talks to a model through the service of this home.

In: a running service and a variant that it serves. Out: the same answers as from a process of one's own; what this
command had loaded there is taken down again when it ends, unless it is to stay.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
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
    """Asks the service at ``client`` for ``place.variant``.

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
        self._place = place
        self._starting = starting
        self._ttl = ttl
        self._stays = retain or ttl is not None
        self._loaded_here = False
        self._ended = 0.0
        """When it was last loaded or used from here."""

    @property
    def place(self) -> Place:
        return self._place

    async def open(self) -> None:
        """Have the service load it; raise ``ServiceError`` in its words where it does not."""
        row, load_s = await self._row(), None
        if row is None or row.get("state") != "ready":
            self._loaded_here = True
            self._starting(f"Loading {self._place.variant} in the service")
            row = await _aside(lambda: self._client.load(self._place.variant, ttl=self._ttl))
            self._ended = time.monotonic()
            load_s = row.get("load_s")
        self._place = structs.replace(self._place, load_s=load_s, **_known(row, self._place))

    async def answer(
        self, messages: Messages, parameters: Mapping[str, Any], heard: Heard | None, *, timeout_s: float = LONGEST_S
    ) -> Sample:
        """See ``Talker``."""
        await self.open()
        state = self._client.state
        endpoint = Endpoint(url=f"{state.address}/v1", model=self._place.variant, engine=self._place.engine)
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
                    await _aside(lambda: self._client.load(self._place.variant, ttl=self._ttl, timeout_s=5.0))
            elif self._loaded_here:
                row = await self._row()
                idle = row.get("idle_s") if row is not None else None
                if idle is not None and idle >= time.monotonic() - self._ended - SLACK_S:
                    await _aside(lambda: self._client.unload(self._place.variant))
        except ServiceError:
            return  # it has gone, and the model with it
        finally:
            self._loaded_here = False

    async def _row(self) -> dict[str, Any] | None:
        rows = await _aside(self._client.models)
        return next((row for row in rows if row.get("id") == self._place.variant), None)


def _known(row: Mapping[str, Any], place: Place) -> dict[str, Any]:
    return {
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
