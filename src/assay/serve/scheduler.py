"""Decides what loads, waits, goes and is refused: events in, actions out; no clock, no I/O."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from assay.serve import reasons
from assay.serve.actions import Action, Grant, Refuse
from assay.serve.fleet import Fleet
from assay.serve.limits import Limits
from assay.serve.model import Model
from assay.serve.model_state import ModelState
from assay.serve.offer import Offer, Route
from assay.serve.refusal import Refusal, Refused
from assay.serve.ticket import Ticket

SERVICE_WEIGHT = 0.2
"""What the latest request counts in the mean of how long requests take."""


class Waiting(Struct):
    """A ticket that waits for its route's offer ``at``; ``passed`` tells why others were passed over.

    ``loading`` is the seconds of the last load that it waited for.
    """

    ticket: Ticket
    at: int = 0
    passed: dict[int, Refusal] = {}
    loading: float | None = None

    @property
    def offer(self) -> Offer:
        return self.ticket.route.offers[self.at]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(self.passed[at].message for at in sorted(self.passed) if at < self.at)


class Granted(Struct, frozen=True):
    """A ticket that is being served since ``at``, by one life of a model, with ``cost`` of its slots."""

    model: str
    life: int
    cost: int
    at: float
    ttl: float | None


class Scheduler:
    """One method for each thing that can happen; each gives the actions that follow from it.

    ``now`` is seconds of a monotonic clock, ``free`` the bytes of memory that are available on the machine at that
    moment, just read. None: not known; then what was told last counts, or ``limits.memory`` alone.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fleet = Fleet(limits)
        self._waiting: dict[int, Waiting] = {}
        self._granted: dict[int, Granted] = {}
        self._clients: Counter[str] = Counter()
        self._draining = False

    def ask(self, ticket: Ticket, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """A request wants a model: exactly one ``Grant`` or ``Refuse`` follows, now or later, unless it leaves."""
        self._fleet.told(free)
        if self._draining:
            return (Refuse(ticket.id, reasons.shutting_down()),)
        changed = self._settle(now) if self._fleet.offered(ticket.route.offers) else ()
        return (*changed, *self._asked(ticket, now))

    def leave(self, ticket: int, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """The client went away while it still waited: nothing is said to it any more."""
        if ticket not in self._waiting:
            return self.done(ticket, now, free=free)
        self._fleet.told(free)
        self._forget(ticket)
        return self._settle(now)

    def done(self, ticket: int, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """A granted request has ended, however."""
        self._fleet.told(free)
        granted = self._granted.pop(ticket, None)
        model = None if granted is None else self._fleet.models.get(granted.model)
        if granted is None or model is None or model.life != granted.life:
            return ()
        model.used -= granted.cost
        model.running -= 1
        model.crashes = 0
        seconds = now - granted.at
        mean = seconds if model.service_s is None else model.service_s
        model.service_s = mean + SERVICE_WEIGHT * (seconds - mean)
        if not model.running:
            model.rest(now, self._fleet.stay(model) if granted.ttl is None else granted.ttl)
        return self._settle(now)

    def loaded(
        self, model: str, now: float, *, seconds: float, slots: int | None = None, free: int | None = None
    ) -> tuple[Action, ...]:
        """A ``Start`` has been carried out, in ``seconds``; ``slots`` as the engine says, None: as asked for."""
        up = self._fleet.models.get(model)
        if up is None or up.state != "loading":
            return ()
        self._fleet.loaded(up, seconds, slots, now)
        self._fleet.told(free)
        for ticket in up.queue.tickets():
            self._waiting[ticket].loading = seconds
        return self._settle(now)

    def failed(self, model: str, refusal: Refusal, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """A ``Start`` did not succeed: its waiters try their next offer, or are refused with ``refusal``."""
        down = self._fleet.models.get(model)
        if down is None or down.state != "loading":
            return ()
        self._fleet.fell(down, refusal.message, refusal, now)
        self._fleet.told(free)
        return (*self._pass_over(down, lambda _: reasons.backing_off(down, now), now), *self._settle(now))

    def died(self, model: str, why: str, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """A ready model's process is gone, or was killed while it loaded: those who wait for it wait for the next one.

        Its granted tickets still get ``done`` from the service.
        """
        down = self._fleet.models.get(model)
        if down is None or down.state not in {"loading", "ready"}:
            return ()
        self._fleet.fell(down, why, None, now)
        self._fleet.told(free)
        return (*self._move(down, now), *self._settle(now))

    def stopped(self, model: str, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """A ``Stop`` has been carried out; its memory is free."""
        down = self._fleet.models.get(model)
        if down is None or down.state != "stopping":
            return ()
        down.crashes = 0
        down.problem = down.ttl = None
        down.enter("waiting", now)
        self._fleet.told(free)
        return self._settle(now)

    def resident(self, model: str, size: int | None) -> None:
        """Bytes that a ready model really takes at this moment; None: that could not be told."""
        up = self._fleet.models.get(model)
        if up is not None and up.state == "ready" and size is not None:
            up.resident = size
            up.peak = max(up.peak or 0, size)

    def load(
        self, offer: Offer, now: float, *, ttl: float | None = None, keep: bool = False, free: int | None = None
    ) -> tuple[Action, ...]:
        """Bring a model up without a request; one that is up need not go any more. Raise ``Refused`` where it cannot.

        It goes ``ttl`` seconds after each use, None: as it was; with ``keep`` never by itself.
        """
        self._fleet.told(free)
        self._fleet.offered((offer,))
        refusal = reasons.shutting_down() if self._draining else self._fleet.obstacle(offer, (), now)
        if refusal is not None:
            raise Refused(refusal)
        model = self._fleet.at(offer, now)
        model.pinned = model.pinned or keep
        model.keep()
        model.ttl = model.ttl if ttl is None else ttl
        if model.state != "ready":
            model.wanted = True
        elif model.idle:
            model.rest(now, self._fleet.stay(model))
        return self._settle(now)

    def unload(self, model: str, now: float, *, force: bool = False) -> tuple[Action, ...]:
        """Take a model down as soon as nobody uses it or waits for it; with ``force`` at once, whoever uses it."""
        up = self._fleet.models.get(model)
        if up is None:
            return ()
        up.pinned = up.wanted = False
        actions: list[Action] = []
        if up.state in {"ready", "loading"}:
            up.leaving = "it was to be unloaded"
            if force or (up.state == "loading" and not up.queue):
                actions.append(self._fleet.stop(up, "it was to be unloaded", now))
        return (*actions, *self._settle(now))

    def drain(self, now: float) -> tuple[Action, ...]:
        """Take nothing more on, refuse who waits, stop each model when its last request has ended."""
        self._draining = True
        actions: list[Action] = []
        for ticket in tuple(self._waiting):
            self._forget(ticket)
            actions.append(Refuse(ticket, reasons.shutting_down()))
        for model in self._fleet.models.values():
            model.pinned = model.wanted = False
            if model.state == "loading":
                actions.append(self._fleet.stop(model, "the service is shutting down", now))
        return (*actions, *self._settle(now))

    def tick(self, now: float, *, free: int | None = None) -> tuple[Action, ...]:
        """Time has passed: deadlines, idle models, light requests, ends of backoffs."""
        self._fleet.told(free)
        return self._settle(now)

    def wake(self, now: float) -> float | None:
        """When ``tick`` is needed next, if nothing else happens, not before ``now``; None: not at all."""
        times = [waiting.ticket.deadline for waiting in self._waiting.values()]
        times.extend(self._fleet.due(now))
        soonest = min(times, default=math.inf)
        return None if math.isinf(soonest) else max(now, soonest)

    def models(self) -> tuple[ModelState, ...]:
        """Every model that is up, on its way up or down, waited for, or in its backoff."""
        return tuple(model.shown() for model in self._fleet.models.values())

    def queued(self) -> int:
        """Tickets that wait."""
        return len(self._waiting)

    def _asked(self, ticket: Ticket, now: float) -> tuple[Action, ...]:
        waiting = Waiting(ticket)
        refusal = self._place(waiting, 0, now)
        if refusal is None and self._at_once(waiting.offer, ticket.weight):
            return (self._grant(waiting, self._fleet.models[waiting.offer.id], now),)
        refusal = refusal or self._bounded(waiting, now)
        if refusal is not None:
            return (Refuse(ticket.id, refusal),)
        self._waiting[ticket.id] = waiting
        self._clients[ticket.client] += 1
        self._join(waiting, now)
        return self._settle(now)

    def _settle(self, now: float) -> tuple[Action, ...]:
        """Whatever is due at this moment: done after each event, so that no event has to know what waits for it."""
        actions: list[Action] = [*self._late(now), *self._fleet.retire(now, draining=self._draining)]
        while True:
            brought, never = self._fleet.bring_up(now)
            actions.extend(brought)
            if not never:
                break
            for model in never:
                model.wanted = False
                actions.extend(self._without_room(model, now))
        self._fleet.forget(now, draining=self._draining)
        actions.extend(self._serve(now))
        actions.extend(self._fleet.warm(now))
        return tuple(actions)

    def _late(self, now: float) -> Iterator[Action]:
        """Refuse those whose deadline has come."""
        for waiting in tuple(self._waiting.values()):
            ticket = waiting.ticket
            if ticket.deadline <= now:
                model = self._fleet.models[waiting.offer.id]
                wait = reasons.wait_for(model, now, self._limits.wait_s)
                self._forget(ticket.id)
                yield Refuse(ticket.id, reasons.timed_out(model, now - ticket.arrived, wait))

    def _serve(self, now: float) -> Iterator[Action]:
        """Grant whatever slots are free, to whose turn it is."""
        for model in self._fleet.models.values():
            while (head := model.queue.head()) is not None and model.open(self._waiting[head].ticket.weight):
                model.queue.take()
                yield self._grant(self._forget(head), model, now)

    def _grant(self, waiting: Waiting, model: Model, now: float) -> Grant:
        ticket = waiting.ticket
        cost = model.cost(ticket.weight)
        model.used += cost
        model.running += 1
        model.idle_since = model.expires = None
        self._granted[ticket.id] = Granted(model.id, model.life, cost, now, ticket.ttl)
        return Grant(ticket.id, model.id, now - ticket.arrived, waiting.loading, waiting.reasons)

    def _place(self, waiting: Waiting, start: int, now: float) -> Refusal | None:
        """Choose the first offer from ``start`` on that can be had or waited for; or say why there is none.

        The last resort is the first one that crashed and comes back by itself.
        """
        back: int | None = None
        route = waiting.ticket.route
        for at in range(start, len(route.offers)):
            obstacle = self._crowd(route.offers[at], waiting.ticket, now)
            if obstacle is None:
                obstacle = self._fleet.obstacle(route.offers[at], route.others, now)
                if obstacle is None:
                    waiting.at = at
                    return None
                if back is None and self._fleet.comes_back(route.offers[at].id):
                    back = at
            waiting.passed = {**waiting.passed, at: obstacle}
        if back is None:
            return reasons.none_left(route.name, tuple(waiting.passed.values()))
        waiting.at = back
        return None

    def _crowd(self, offer: Offer, ticket: Ticket, now: float) -> Refusal | None:
        """Whether so many wait for an offer already that this one may not."""
        model = self._fleet.models.get(offer.id)
        if model is None or len(model.queue) < self._limits.queue_per_model or ticket.id in model.queue:
            return None
        if self._at_once(offer, ticket.weight):
            return None
        wait = reasons.wait_for(model, now, self._limits.wait_s)
        return reasons.queue_full(f"the queue for {model.id} is full ({len(model.queue)} waiting)", wait)

    def _at_once(self, offer: Offer, weight: int) -> bool:
        """Whether a request for an offer need not wait."""
        model = self._fleet.models.get(offer.id)
        return model is not None and not model.queue and model.open(weight)

    def _bounded(self, waiting: Waiting, now: float) -> Refusal | None:
        """Whether a ticket is one too many for the service or for its client."""
        limits, client = self._limits, waiting.ticket.client
        if len(self._waiting) >= limits.queue:
            said = f"the service's queue is full ({len(self._waiting)} waiting)"
        elif self._clients[client] >= limits.queue_per_client:
            said = f"this client's queue is full ({self._clients[client]} waiting)"
        else:
            return None
        model = self._fleet.models.get(waiting.offer.id) or Model(waiting.offer, now)
        return reasons.queue_full(said, reasons.wait_for(model, now, limits.wait_s))

    def _join(self, waiting: Waiting, now: float) -> None:
        """Put a ticket into the queue of the offer that was chosen for it."""
        ticket = waiting.ticket
        model = self._fleet.at(waiting.offer, now)
        model.queue.put(ticket.id, ticket.client, model.cost(ticket.weight))

    def _forget(self, ticket: int) -> Waiting:
        """It waits no longer."""
        waiting = self._waiting.pop(ticket)
        queue = self._fleet.models[waiting.offer.id].queue
        if ticket in queue:
            queue.drop(ticket)
        client = waiting.ticket.client
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        return waiting

    def _move(self, model: Model, now: float) -> Iterator[Action]:
        """Something is in its way now: whoever waits for it takes the first offer that can be had, or is refused."""
        for ticket in model.queue.tickets():
            waiting = self._waiting[ticket]
            yield from self._moved(waiting, waiting.at, now)

    def _pass_over(self, model: Model, why: Callable[[Route], Refusal], now: float) -> Iterator[Action]:
        """It is tried no more for those who wait for it: each takes a later offer that can be had, or is refused."""
        for ticket in model.queue.tickets():
            waiting = self._waiting[ticket]
            waiting.passed = {**waiting.passed, waiting.at: why(waiting.ticket.route)}
            yield from self._moved(waiting, waiting.at + 1, now)

    def _without_room(self, model: Model, now: float) -> Iterator[Action]:
        """It can never fit."""
        return self._pass_over(model, lambda route: self._fleet.no_room(model.offer, route.others, now), now)

    def _moved(self, waiting: Waiting, start: int, now: float) -> Iterator[Action]:
        """Put a ticket that waits into the queue of the first offer from ``start`` on that can be had."""
        before = self._fleet.models[waiting.offer.id]
        refusal = self._place(waiting, start, now)
        if refusal is not None:
            self._forget(waiting.ticket.id)
            yield Refuse(waiting.ticket.id, refusal)
        elif waiting.offer.id != before.id:
            before.queue.drop(waiting.ticket.id)
            self._join(waiting, now)
