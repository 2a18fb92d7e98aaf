"""A model as ``ps`` and the metrics see it."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from assay.serve.offer import Offer

State = Literal["waiting", "loading", "ready", "stopping", "backoff"]
STATES: tuple[State, ...] = get_args(State)


class ModelState(Struct, frozen=True, kw_only=True):
    """What the scheduler knows of one model. Times are seconds of the service's monotonic clock, memory is bytes.

    ``waiting`` is a model that is to be loaded once there is room for it; ``backoff`` one that could not be brought up
    or crashed, and is not tried again before ``retry_at``. ``running`` requests are granted, ``waiting`` ones wait for
    this model. ``used`` of its ``slots`` are taken. ``reserved`` is what it is reckoned to take: 0 while it is not up,
    None where nothing is known of it. ``expires`` is when it goes if it stays idle. ``crashes`` counts those in a row,
    failed loads among them; ``problem`` is the last one's sentence.
    """

    id: str
    state: State
    offer: Offer
    running: int
    waiting: int
    used: int
    slots: int
    reserved: int | None
    resident: int | None
    idle_since: float | None
    expires: float | None
    retry_at: float | None
    load_s: float | None
    pinned: bool
    leaving: bool
    crashes: int
    problem: str | None
