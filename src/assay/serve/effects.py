"""What the service needs done and told by others: the app hands it in, and tests hand in fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from assay.serve.offer import Listed, Offer, Route
from assay.types import Endpoint


class Live(Struct, frozen=True, kw_only=True):
    """A model that is up. ``headers`` (an upstream's key, a worker's) go with every request to it, shown nowhere."""

    endpoint: Endpoint
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Live({self.endpoint.url})"


class Pulse(Struct, frozen=True, kw_only=True):
    """How a model is at this moment. ``problem`` says why it can no longer serve; None while it can. Its first line is
    for everybody, further ones (a log's) for the owner.

    ``running`` generations are under way; ``progress`` grows with whatever the engine does for them; ``resident`` is
    bytes of memory; ``generated`` and ``prompted`` are tokens since it came up. None: it was not told.
    """

    problem: str | None = None
    running: int | None = None
    progress: int | None = None
    resident: int | None = None
    generated: int | None = None
    prompted: int | None = None


class Directory(Protocol):
    """What can be served at this moment."""

    async def route(self, name: str) -> Route:
        """What ``name`` (an alias, a variant id, a route's name) stands for; raise ``UnknownModel``."""
        ...

    async def listed(self) -> tuple[Listed, ...]:
        """Every name that can be asked for."""
        ...


class Effects(Protocol):
    """Brings models up and down. None of it may block the event loop."""

    async def start(self, offer: Offer) -> Live:
        """Bring it up; raise ``AssayError`` with the reason. A cancelled start leaves nothing behind."""
        ...

    async def stop(self, live: Live, grace_s: float) -> None:
        """End its process tree, by force after ``grace_s``; no error when it is already gone."""
        ...

    async def pulse(self, live: Live) -> Pulse:
        """Ask the model how it is; a worker that does not answer has told nothing (all None), a dead one a problem."""
        ...

    async def warm(self, live: Live) -> None:
        """One light request."""
        ...

    def available(self) -> int | None:
        """Bytes of memory that are free on this machine at this moment; None where that cannot be told."""
        ...
