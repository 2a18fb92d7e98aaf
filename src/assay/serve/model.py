"""A model in the scheduler's hands: the only state that changes, and only by the scheduler's events."""

from __future__ import annotations

import math

from assay.serve.memory import UNKNOWN_LOAD_S, Holding, Use, cost_of, size_of
from assay.serve.model_state import ModelState, State
from assay.serve.offer import Offer
from assay.serve.queue import FairQueue
from assay.serve.refusal import Refusal

PATIENCE_LEAST_S = 1.0


class Model:
    """One model from the first request for it until it is forgotten. Times are seconds, memory is bytes.

    ``offer`` is what it is up with, ``offered`` what goes by its id now. ``since`` is when it entered its state.
    ``life`` tells one process of it from the next. ``used`` slots are taken by ``running`` requests. ``wanted``:
    somebody asked for it to be loaded without a request. ``proven``: it was up before. ``yielding``: it is granted
    nothing more, because who waits for its memory has waited long enough. ``refusal``: what requests get during its
    backoff; None: they wait for it.
    """

    def __init__(self, offer: Offer, now: float) -> None:
        self.offer = self.offered = offer
        self.state: State = "waiting"
        self.since = now
        self.queue = FairQueue()
        self.life = 0
        self.used = 0
        self.running = 0
        self.slots = offer.slots
        self.ready_at: float | None = None
        self.idle_since: float | None = None
        self.expires: float | None = None
        self.warmed: float | None = None
        self.ttl: float | None = None
        self.pinned = False
        self.wanted = False
        self.proven = False
        self.leaving: str | None = None
        self.yielding = False
        self.crashes = 0
        self.retry_at = -math.inf
        self.refusal: Refusal | None = None
        self.problem: str | None = None
        self.load_s = offer.seconds
        self.service_s: float | None = None
        self.resident: int | None = None
        self.peak: int | None = None

    @property
    def id(self) -> str:
        return self.offer.id

    @property
    def demanded(self) -> bool:
        """Whether it is to be up."""
        return bool(self.queue) or self.wanted or self.pinned

    @property
    def idle(self) -> bool:
        """Whether it is up and nobody uses it or waits for it."""
        return self.state == "ready" and not self.running and not self.queue

    @property
    def patience(self) -> float:
        """How long it waits for the memory of a model at work before that one has to yield, and how long it is left
        at work itself once it is up: as long as its load takes, so that at most half of the time goes into loads.
        """
        return max(PATIENCE_LEAST_S, UNKNOWN_LOAD_S if self.load_s is None else self.load_s)

    @property
    def reserved(self) -> int | None:
        """The larger of what it is reckoned to take and the most that it was seen to take; None: unknown."""
        size = size_of(self.offer)
        if self.peak is None or self.offer.remote:
            return size
        return max(size or 0, self.peak)

    @property
    def down(self) -> bool:
        """Whether it has no process."""
        return self.state in {"waiting", "backoff"}

    @property
    def moving(self) -> bool:
        """Whether it is on its way up or down."""
        return self.state in {"loading", "stopping"}

    @property
    def taken(self) -> int:
        """The most that the machine's free memory lacks because of it: what it was seen to take, else all of it."""
        if self.offer.remote or self.down:
            return 0
        return (self.reserved or 0) if self.resident is None else self.resident

    def cost(self, weight: int) -> int:
        """The slots that a request of a weight takes. One that needs more than there are leaves one to the others."""
        return max(1, weight if weight <= self.slots else self.slots - 1)

    def open(self, weight: int) -> bool:
        """Whether a request of a weight can go to it at once."""
        return self.state == "ready" and not self.yielding and self.used + self.cost(weight) <= self.slots

    def yields_at(self, waits: Model) -> float | None:
        """When it has to yield to a model that waits for its memory; None: never, or it is not at work."""
        if self.state != "ready" or self.idle or self.ready_at is None:
            return None
        return max(waits.since + waits.patience, self.ready_at + self.patience)

    def holding(self, now: float) -> Holding | None:
        """What is kept for it; None where it is not up."""
        if self.down:
            return None
        use: Use = "fixed"
        if self.state == "stopping":
            use = "going"
        elif not self.pinned:
            use = "idle" if self.idle else "yielding" if self.yielding else "busy"
        idle = 0.0 if self.idle_since is None else now - self.idle_since
        return Holding(model=self.id, reserved=self.reserved, use=use, cost=cost_of(self.load_s, idle))

    def take(self, offer: Offer) -> bool:
        """What goes by its id now; gives whether that is new. One that is up with other files goes once it rests."""
        if offer is self.offered or offer == self.offered:
            return False
        self.offered = offer
        self._adopt()
        return True

    def _adopt(self) -> None:
        offer = self.offered
        if self.down:
            self.offer = offer
            self.slots = offer.slots
        elif self.offer.differs(offer):
            self.leaving = "it has changed since it was loaded"

    def keep(self) -> None:
        """It need not go any more, unless it is not what it should be."""
        if not self.offer.differs(self.offered):
            self.leaving = None

    def enter(self, state: State, now: float) -> None:
        """Go over to another state of its life."""
        self.state = state
        self.since = now
        if self.down:
            self.life = self.used = self.running = 0
            self.ready_at = self.idle_since = self.expires = self.warmed = None
            self.resident = self.peak = None
            self.leaving = None
            self._adopt()

    def rest(self, now: float, stays: float | None) -> None:
        """Nobody uses it from now on; it goes after ``stays`` seconds, None: not by itself."""
        self.idle_since = now
        self.expires = None if stays is None or math.isinf(stays) else now + stays

    def shown(self) -> ModelState:
        return ModelState(
            id=self.id,
            state=self.state,
            offer=self.offer,
            running=self.running,
            waiting=len(self.queue),
            used=self.used,
            slots=self.slots,
            reserved=0 if self.down else self.reserved,
            resident=self.resident,
            idle_since=self.idle_since,
            expires=None if self.pinned else self.expires,
            retry_at=self.retry_at if self.state == "backoff" else None,
            load_s=self.load_s,
            pinned=self.pinned,
            leaving=self.leaving is not None,
            crashes=self.crashes,
            problem=self.problem,
        )
