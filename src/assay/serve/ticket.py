"""A request as the scheduler knows it."""

from __future__ import annotations

from msgspec import Struct

from assay.serve.offer import Route


class Ticket(Struct, frozen=True, kw_only=True):
    """One request that wants a model. Times are seconds of the service's monotonic clock.

    ``client`` is whom to be fair to: the name of the key, else the address. ``weight`` is how many generations it
    starts (prompts x n); it takes as many slots, or all but one where the model has not so many. ``deadline`` is when
    it is refused if it still waits. Both it and ``arrived`` are later by the time that a model had the request before
    and gave no answer. ``ttl`` overrides how long the model stays after it, None: the service's own.
    """

    id: int
    client: str
    route: Route
    arrived: float
    deadline: float
    weight: int = 1
    ttl: float | None = None
