"""Brings candidates up and down for the measuring room; remote ones are there already.

In: a candidate. Out: its endpoint. The engines are looked up once by name and kept for the bench.
"""

from __future__ import annotations

from assay import engines
from assay.types import Candidate, Endpoint, Engine, EngineOptions, EngineStatus


class Lifecycle:
    """Starts and stops candidates on their engines under one set of options."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._engines: dict[str, Engine] = {}

    async def start(self, candidate: Candidate) -> Endpoint:
        """The candidate's live endpoint; raises ``EngineError`` with the reason where it does not come up."""
        variant = candidate.variant
        if variant.format == "remote":
            return Endpoint(url=variant.source, model=variant.served_id or variant.alias, engine=candidate.engine)
        return await self._engine(candidate.engine).start(variant, self._options)

    async def stop(self, endpoint: Endpoint) -> None:
        """End what ``start`` brought up."""
        if endpoint.pid is not None:
            await self._engine(endpoint.engine).stop(endpoint)

    def status(self, endpoint: Endpoint) -> EngineStatus | None:
        """What the engine says of the endpoint; None for a remote one, of which nothing is known."""
        return self._engine(endpoint.engine).describe(endpoint) if endpoint.pid is not None else None

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = engines.load(name)
        return self._engines[name]
