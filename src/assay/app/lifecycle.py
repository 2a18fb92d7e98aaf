"""Brings candidates up and down for the measuring room; remote ones are there already.

In: a candidate. Out: its endpoint. The engines are looked up once by name and kept for the bench. While an engine runs
a variant of the store, the store knows, so that nobody removes its files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from assay import engines
from assay.types import Candidate, Endpoint, Engine, EngineOptions, EngineStatus, Variant


class Lifecycle:
    """Starts and stops candidates on their engines under one set of options.

    ``hold`` gives a context that marks a variant as used.
    """

    def __init__(
        self, options: EngineOptions, hold: Callable[[Variant], contextlib.AbstractContextManager[None]]
    ) -> None:
        self._options = options
        self._hold = hold
        self._engines: dict[str, Engine] = {}
        self._held: dict[int, contextlib.ExitStack] = {}

    async def start(self, candidate: Candidate) -> Endpoint:
        """The candidate's live endpoint; raises ``EngineError`` with the reason where it does not come up."""
        variant = candidate.variant
        if variant.format == "remote":
            return Endpoint(url=variant.source, model=variant.served_id or variant.alias, engine=candidate.engine)
        with contextlib.ExitStack() as starting:
            starting.enter_context(self._hold(variant))
            endpoint = await self._engine(candidate.engine).start(variant, self._options)
            held = starting.pop_all()
        if endpoint.pid is None:
            held.close()
        else:
            self._held[endpoint.pid] = held
        return endpoint

    async def stop(self, endpoint: Endpoint) -> None:
        """End what ``start`` brought up."""
        if endpoint.pid is None:
            return
        try:
            await self._engine(endpoint.engine).stop(endpoint)
        finally:
            self._held.pop(endpoint.pid, contextlib.ExitStack()).close()

    def status(self, endpoint: Endpoint) -> EngineStatus | None:
        """What the engine says of the endpoint; None for a remote one, of which nothing is known."""
        return self._engine(endpoint.engine).describe(endpoint) if endpoint.pid is not None else None

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = engines.load(name)
        return self._engines[name]


def answering(engine: str, *, context_length: int | None, slots: int, threads: int | None) -> EngineOptions:
    """Options for answering people, where a bench would not: what the last prompt of a slot had is not read again."""
    extra = {"cache_prompt": "true"} if engine == "llamacpp" else {}
    return EngineOptions(context_length=context_length, slots=slots, threads=threads, extra=extra)
