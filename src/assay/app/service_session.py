"""Asks the service of this home from an event loop, as ``ServiceClient`` does from elsewhere.

In: a client. Out: the same answers. What is cancelled breaks its connection off, so that the service waits for nothing.
"""

from __future__ import annotations

from typing import Any

import aiohttp

from assay import measure
from assay.app.service_client import LONG_S, ServiceClient, answered, object_of, rows_of, silent
from assay.serve.place import ServiceState
from assay.types import Endpoint


class ServiceSession:
    """Talks to one running service; each request has a connection of its own."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    @property
    def state(self) -> ServiceState:
        return self._client.state

    def measuring(self, name: str, engine: str) -> measure.Client:
        """A client that asks ``name`` for answers."""
        endpoint = Endpoint(url=f"{self.state.address}/v1", model=name, engine=engine)
        return measure.Client(endpoint, headers=measure.bearer(self.state.admin_key), tls=self._client.tls())

    async def models(self) -> list[dict[str, Any]]:
        """The models that are loaded or about to be. Raise ``ServiceError``."""
        return rows_of(await self._ask("GET", "/assay/models", timeout_s=5.0))

    async def load(self, model: str, *, ttl: float | None = None, timeout_s: float = LONG_S) -> dict[str, Any]:
        """Bring a model up; what the service says of it. Raise ``ServiceError`` in its own words where it cannot."""
        return object_of(await self._ask("POST", "/assay/load", {"model": model, "ttl": ttl}, timeout_s=timeout_s))

    async def unload(self, model: str) -> None:
        """Take a model down when idle. Raise ``ServiceError``."""
        await self._ask("POST", "/assay/unload", {"model": model}, timeout_s=60.0)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float) -> Any:
        connector = aiohttp.TCPConnector(ssl=self._client.tls() or True)
        limit = aiohttp.ClientTimeout(total=timeout_s)
        headers = measure.bearer(self.state.admin_key)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limit, headers=headers) as session,
                session.request(method, self.state.address + path, json=body) as answer,
            ):
                return answered(answer.status, await answer.read())
        except (OSError, aiohttp.ClientError) as error:
            raise silent(self.state, error) from error
