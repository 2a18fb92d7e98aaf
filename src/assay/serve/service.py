"""Grants leases on models: one event loop owns the scheduler, does what it decides and tells it how that went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from msgspec import structs

from assay.errors import AssayError
from assay.serve.actions import Action, Grant, Refuse, Start, Stop, Warm
from assay.serve.effects import Directory, Effects, Pulse
from assay.serve.keeper import Keeper, Up
from assay.serve.lease import Lease
from assay.serve.limits import Limits
from assay.serve.model_state import ModelState
from assay.serve.observer import Observer, Quiet
from assay.serve.offer import Listed, Route
from assay.serve.preload import Preload
from assay.serve.refusal import Refusal, Refused
from assay.serve.scheduler import Scheduler
from assay.serve.ticket import Ticket
from assay.types import Endpoint

FREE_S = 0.2
"""How old the figure of free memory may be; reading it costs half a millisecond."""
LEAST_S = 0.001
"""Event loops count in milliseconds."""
STOPPING = "the service is stopping"
Waiting = asyncio.Future[Lease | Refusal]


class Service:
    """Every model that can be served here, behind ``lease``. All of it runs on one event loop."""

    def __init__(
        self,
        directory: Directory,
        effects: Effects,
        limits: Limits,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.observer: Observer = observer or Quiet()
        self.preload: list[Preload] = []
        """What was to be up from the first and was not up yet."""
        self._directory = directory
        self._effects = effects
        self.clock = clock
        self._scheduler = Scheduler(limits)
        self._keeper = Keeper(effects, limits, self, clock)
        self._ids = count(1)
        self._waiting: dict[int, tuple[Ticket, Waiting]] = {}
        self._leases: dict[int, Lease] = {}
        self._read: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: float | None = None
        self._draining = False
        self._whole = False
        self._idle = asyncio.Event()
        self._ended = asyncio.Event()

    async def start(self, preload: Sequence[str] = ()) -> None:
        """Begin to load ``preload``, which then stay; their loads go on after this.

        The observer is told of them, also of what cannot be loaded: that keeps the others from nothing.
        """
        self.preload = [Preload(name) for name in preload]
        for one in tuple(self.preload):
            try:
                offer = (await self._directory.route(one.name)).offers[0]
                one.model = offer.id
                free = self._effects.available()
                self._do(self._scheduler.load(offer, self.clock(), keep=True, free=free))
            except (AssayError, Refused) as error:
                one.problem = error.sentence if isinstance(error, AssayError) else error.refusal.message
                self.observer.failed(one.name, one.problem)
        self.preload = [one for one in self.preload if one.model not in self._keeper.up]

    async def stop(self) -> bool:
        """Serve nothing new, let answers end for ``drain_s``, break those that are left, end every process.

        Gives whether every answer ended by itself. Where it is cancelled, answers are not waited for, and what it ends
        is ended before the cancellation goes on.
        """
        if self._draining:
            await self._ended.wait()
            return self._whole
        self._draining = True
        self._do(self._scheduler.drain(self.clock()))
        try:
            async with asyncio.timeout(self.limits.drain_s):
                if self._leases:
                    await self._idle.wait()
            self._whole = True
        except TimeoutError:
            pass
        finally:
            await _to_the_end(self._close())
        return self._whole

    @asynccontextmanager
    async def lease(
        self,
        name: str,
        client: str,
        *,
        weight: int = 1,
        wait_s: float | None = None,
        ttl: float | None = None,
        after: Lease | None = None,
    ) -> AsyncIterator[Lease]:
        """Wait for a model that ``name`` stands for, and keep a place on it until the context ends.

        ``client`` is whom to be fair to; ``weight`` is how many generations the request starts; ``wait_s`` shortens how
        long it may wait; ``ttl`` is how long the model stays idle after it. ``after`` is a lease that has ended and on
        which the same request got no byte of an answer: what it waited for that counts on, and what the model took
        does not; upstreams that failed it are not asked again, and a worker that has ended is waited for.

        Raises:
            UnknownModel: nothing is served under ``name``. Refused: it cannot be served now.
        """
        route = await self._directory.route(name)
        now = self.clock()
        ticket = Ticket(
            id=next(self._ids),
            client=client,
            route=route,
            arrived=now,
            deadline=now + min(self.limits.wait_s, self.limits.wait_s if wait_s is None else wait_s),
            weight=weight,
            ttl=ttl,
        )
        passed: tuple[str, ...] = ()
        if after is not None:
            ticket, passed = self._again(ticket, after)
        waiting: Waiting = asyncio.get_running_loop().create_future()
        self._waiting[ticket.id] = ticket, waiting
        granted: float | None = None
        try:
            self._do(self._scheduler.ask(ticket, now, free=self._free_for(ticket.route, now)))
            found = await waiting
            if isinstance(found, Refusal):
                raise Refused(found)
            found.passed = tuple(dict.fromkeys((*route.skipped(found.offer), *passed, *found.passed)))
            granted = self.clock()
            yield found
        finally:
            self._end(ticket, granted)

    async def load(self, name: str, *, ttl: float | None = None) -> ModelState:
        """Have it up, as a request for it would, and let it rest for ``ttl`` seconds each time that it is up.

        Raise ``UnknownModel`` or ``Refused``.
        """
        async with self.lease(name, "") as lease:
            model = lease.offer.id
            wanted = next(offer for offer in lease.ticket.route.offers if offer.id == model)
            self._do(self._scheduler.load(wanted, self.clock(), ttl=ttl))
        return next(state for state in self.models() if state.id == model)

    async def unload(self, name: str, *, force: bool = False) -> tuple[str, ...]:
        """Take down what ``name`` stands for; gives the ids of the models that go. Raise ``UnknownModel``.

        One at work goes when its last answer has ended, or with ``force`` at once, which breaks them. What goes at once
        is gone when this ends.
        """
        known = {state.id for state in self.models()}
        if name in known:
            going = [name]
        else:
            route = await self._directory.route(name)
            going = [offer.id for offer in (*route.offers, *route.others) if offer.id in known]
        for model in going:
            self._do(self._scheduler.unload(model, self.clock(), force=force))
        for model in going:
            await self._keeper.gone(model)
        return tuple(going)

    def models(self) -> tuple[ModelState, ...]:
        """Every model that is up, on its way or in trouble; its times are those of the service's clock."""
        return self._scheduler.models()

    def endpoint(self, model: str) -> Endpoint | None:
        """What a model that is up answers with; None where it is not up."""
        up = self._keeper.up.get(model)
        return up.live.endpoint if up is not None else None

    def queued(self) -> int:
        """Requests that wait."""
        return self._scheduler.queued()

    async def route(self, name: str) -> Route:
        """What ``name`` stands for at this moment; raise ``UnknownModel``."""
        return await self._directory.route(name)

    async def listed(self) -> tuple[Listed, ...]:
        """Every name that can be asked for."""
        return await self._directory.listed()

    @property
    def stopping(self) -> bool:
        """Whether nothing new is taken on."""
        return self._draining

    # What the keeper tells.

    def leased(self, model: str) -> bool:
        """Whether a request is out to the model."""
        return any(lease.offer.id == model for lease in self._leases.values())

    def loaded(self, model: str, seconds: float, slots: int | None) -> None:
        """It is up."""
        self.preload = [one for one in self.preload if one.model != model]
        self.observer.loaded(model, self._keeper.up[model].offer.engine, seconds)
        self._do(
            self._scheduler.loaded(model, self.clock(), seconds=seconds, slots=slots, free=self._effects.available())
        )

    def failed(self, model: str, refusal: Refusal | None, why: str) -> None:
        """It did not come up; ``refusal`` None: it was killed, which is no fault of its own."""
        self.observer.failed(model, why)
        for one in self.preload:
            if one.model == model:
                one.problem = why.partition("\n")[0] if refusal is None else refusal.message
        now, free = self.clock(), self._effects.available()
        if refusal is None:
            self._do(self._scheduler.died(model, why.partition("\n")[0], now, free=free))
        else:
            self._do(self._scheduler.failed(model, refusal, now, free=free))

    def died(self, up: Up, why: str) -> None:
        """It is up no more. Answers that an upstream is giving may go on."""
        model, short = up.offer.id, why.partition("\n")[0]
        if not up.offer.remote:
            self._break(model, short)
        self.observer.died(model, why)
        self._do(self._scheduler.died(model, short, self.clock(), free=self._effects.available()))

    def stopped(self, model: str, why: str, *, evicted: bool) -> None:
        """It was taken down."""
        self.observer.stopped(model, why, evicted=evicted)
        self._do(self._scheduler.stopped(model, self.clock(), free=self._effects.available()))

    def pulse(self, model: str, pulse: Pulse) -> None:
        """How it is."""
        self.observer.pulse(model, pulse)
        if pulse.resident is not None:
            self._scheduler.resident(model, pulse.resident)

    async def _close(self) -> None:
        for lease in self._leases.values():
            lease.end(STOPPING)
        await self._keeper.close(STOPPING)
        if self._timer:
            self._timer.cancel()
        self._ended.set()

    # Doing what the scheduler decides.

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Grant):
                self._grant(action)
            elif isinstance(action, Refuse):
                self._refuse(action)
            elif isinstance(action, Start):
                self.observer.loading(action.offer.id, action.offer.engine)
                self._keeper.start(action.offer)
            elif isinstance(action, Stop):
                self._break(action.model, action.why)
                self._keeper.stop(action.model, action.why, evicted=action.evicted)
            elif isinstance(action, Warm):
                self._keeper.warm(action.model)
        self._set_alarm()

    def _grant(self, grant: Grant) -> None:
        ticket, waiting = self._waiting.pop(grant.ticket)
        up = self._keeper.up[grant.model]
        lease = Lease(ticket, up.offer, up.live, grant, suspect=self._keeper.suspect)
        self._leases[ticket.id] = lease
        if up.watch:
            up.watch.work()
        self.observer.granted(ticket.route.name, grant.model, grant.waited, grant.loading)
        if not waiting.done():
            waiting.set_result(lease)

    def _refuse(self, refuse: Refuse) -> None:
        ticket, waiting = self._waiting.pop(refuse.ticket)
        self.observer.refused(ticket.route.name, refuse.refusal)
        if not waiting.done():
            waiting.set_result(refuse.refusal)

    def _end(self, ticket: Ticket, granted: float | None) -> None:
        """The request is over: answered, refused, broken off, or gone before it was granted."""
        now = self.clock()
        lease = self._leases.pop(ticket.id, None)
        if lease is not None:
            seconds = 0.0 if granted is None else now - granted
            self.observer.ended(ticket.route.name, lease.offer.id, seconds)
            self._do(self._scheduler.done(ticket.id, now))
        elif self._waiting.pop(ticket.id, None) is not None:
            self.observer.left(ticket.route.name, now - ticket.arrived)
            self._do(self._scheduler.leave(ticket.id, now))
        if self._draining and not self._leases:
            self._idle.set()

    def _break(self, model: str, why: str) -> None:
        for lease in self._leases.values():
            if lease.offer.id == model:
                lease.end(why)

    def _again(self, ticket: Ticket, after: Lease) -> tuple[Ticket, tuple[str, ...]]:
        """The ticket of a request that was granted before, and why offers are left out of it."""
        ticket = structs.replace(ticket, arrived=ticket.arrived - after.waited, deadline=ticket.deadline - after.waited)
        route, tried = ticket.route, {offer.id for offer in after.ticket.route.offers}
        passed = after.passed
        if after.offer.remote and after.problem is not None:
            passed = (*passed, f"{after.offer.id}: {after.problem}")
            tried.discard(after.offer.id)
        left = tuple(offer for offer in route.offers if offer.id in tried)
        if not left:
            refusal = Refusal(status=502, code="upstream_failed", message=f"no answer came from {'; '.join(passed)}")
            self.observer.refused(route.name, refusal)
            raise Refused(refusal)
        return structs.replace(ticket, route=structs.replace(route, offers=left)), passed

    def _free_for(self, route: Route, now: float) -> int | None:
        """Bytes free on this machine; None: as told last, where the first offer is up or the figure is fresh enough."""
        if route.offers[0].id in self._keeper.up:
            return None
        if self._read is not None and now - self._read <= FREE_S:
            return None
        self._read = now
        return self._effects.available()

    def _set_alarm(self) -> None:
        """Have the scheduler woken in time; an alarm that is set too early is set anew when it goes off."""
        wake = self._scheduler.wake(self.clock())
        if wake is None or (self._timer is not None and self._alarm is not None and self._alarm <= wake):
            return
        if self._timer:
            self._timer.cancel()
        self._alarm = wake
        wait_s = max(wake - self.clock(), LEAST_S)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = self._alarm = None
        now = self.clock()
        wake = self._scheduler.wake(now)
        due = wake is not None and wake <= now
        self._do(self._scheduler.tick(now, free=self._effects.available()) if due else ())


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do the work whole, also where the caller is cancelled meanwhile; it is cancelled after it then."""
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()
