"""Has models brought up, watched and taken down; every process that the service has is known here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from assay.errors import AssayError, EngineStartKilled
from assay.serve.effects import Effects, Live, Pulse
from assay.serve.limits import Limits
from assay.serve.offer import Offer
from assay.serve.refusal import Refusal
from assay.serve.watch import Watch


class Told(Protocol):
    """Who is told how it went; called on the event loop. ``why`` is for people and may have several lines."""

    def leased(self, model: str) -> bool:
        """Whether a request is out to the model."""
        ...

    def loaded(self, model: str, seconds: float, slots: int | None) -> None: ...

    def failed(self, model: str, refusal: Refusal | None, why: str) -> None:
        """It did not come up; ``refusal`` None: somebody killed it on its way."""
        ...

    def died(self, up: Up, why: str) -> None: ...

    def stopped(self, model: str, why: str, *, evicted: bool) -> None: ...

    def pulse(self, model: str, pulse: Pulse) -> None: ...


class Up:
    """A model that is up: one life of it. An upstream has no watch: its failures are told by who uses it."""

    def __init__(self, offer: Offer, live: Live, watch: Watch | None) -> None:
        self.offer = offer
        self.live = live
        self.watch = watch
        self.watching: asyncio.Task[None] | None = None


class Keeper:
    """Carries out starts and stops as tasks, one at a time for each model."""

    def __init__(self, effects: Effects, limits: Limits, told: Told, clock: Callable[[], float]) -> None:
        self.up: dict[str, Up] = {}
        self._effects = effects
        self._limits = limits
        self._told = told
        self._clock = clock
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._warming: dict[str, asyncio.Task[None]] = {}

    def start(self, offer: Offer) -> None:
        """Bring it up, once what is left of its last life is gone; ``loaded`` or ``failed`` is told."""
        _keep(self._starting, offer.id, self._bring_up(offer))

    def stop(self, model: str, why: str, *, evicted: bool = False) -> None:
        """Take it down, also where it is only on its way up; ``stopped`` is told when its process is gone."""
        up, before = self.up.pop(model, None), self._ending.get(model)
        # A start is cancelled once: a second time would break off what it does to leave nothing behind.
        starting, warming = self._starting.pop(model, None), self._warming.get(model)
        for task in (starting, warming):
            if task:
                task.cancel()

        async def take_down() -> None:
            for task in (starting, before):
                if task:
                    await asyncio.wait({task})
            await self._end(up or self.up.pop(model, None), self._limits.grace_s)
            self._told.stopped(model, why, evicted=evicted)

        _keep(self._ending, model, take_down())

    def warm(self, model: str) -> None:
        """Send it a light request; whether that succeeds is the watch's business."""
        up = self.up.get(model)
        if up is None or model in self._warming:
            return

        async def warm() -> None:
            with contextlib.suppress(Exception):
                await self._effects.warm(up.live)

        _keep(self._warming, model, warm())

    def suspect(self, live: Live, model: str, why: str) -> None:
        """A request could not reach it: look at a worker, and take an upstream's word for it."""
        up = self.up.get(model)
        if up is None or up.live is not live:
            return
        if up.watch:
            up.watch.look()
        else:
            self._lost(up, why)

    async def gone(self, model: str) -> None:
        """Wait until nothing is left of a model that is going."""
        ending = self._ending.get(model)
        if ending:
            await asyncio.wait({ending})

    async def close(self, why: str) -> None:
        """Take everything down, and wait until it is gone."""
        for model in {*self.up, *self._starting}:
            self.stop(model, why)
        while tasks := {*self._starting.values(), *self._ending.values(), *self._warming.values()}:
            await asyncio.wait(tasks)

    async def _bring_up(self, offer: Offer) -> None:
        await self.gone(offer.id)
        began = self._clock()
        try:
            async with asyncio.timeout(self._limits.load_s) as limit:
                live = await self._effects.start(offer)
        except Exception as error:
            late = f"{offer.id} was not up within {self._limits.load_s:g} s"
            message, why = (late, late) if limit.expired() else _explained(offer, error)
            self._starting.pop(offer.id, None)
            killed = isinstance(error, EngineStartKilled)
            refusal = None if killed else Refusal(status=503, code="model_failed", message=message)
            self._told.failed(offer.id, refusal, why)
            return
        self._starting.pop(offer.id, None)
        self._begin(Up(offer, live, None if offer.remote else self._watch(offer.id, live)))
        self._told.loaded(offer.id, self._clock() - began, live.endpoint.slots)

    def _begin(self, up: Up) -> None:
        self.up[up.offer.id] = up
        if up.watch:
            up.watching = asyncio.create_task(self._heed(up, up.watch))

    def _watch(self, model: str, live: Live) -> Watch:
        told = self._told
        return Watch(
            live,
            self._effects,
            stall_s=self._limits.stall_s,
            clock=self._clock,
            leased=lambda: told.leased(model),
            told=lambda pulse: told.pulse(model, pulse),
        )

    async def _heed(self, up: Up, watch: Watch) -> None:
        self._lost(up, await watch.run())

    def _lost(self, up: Up, why: str) -> None:
        """It serves no more: what is left of it is killed, and a next life waits for that."""
        model = up.offer.id
        if self.up.get(model) is not up:
            return
        del self.up[model]
        up.watching = None
        _keep(self._ending, model, self._end(up, 0.0))
        self._told.died(up, why)

    async def _end(self, up: Up | None, grace_s: float) -> None:
        if up is None:
            return
        if up.watching:
            up.watching.cancel()
        with contextlib.suppress(Exception):  # it is gone, or nobody can make it go; the next start tells
            await self._effects.stop(up.live, grace_s)


def _explained(offer: Offer, error: Exception) -> tuple[str, str]:
    """What a client is told of a failed start, and what its owner is: an engine's log lines are not for everybody."""
    if not isinstance(error, AssayError):
        return f"{offer.id} could not be started", f"{type(error).__name__}: {error}"
    brief = error.why is None or "\n" in error.why
    return error.message if brief else error.sentence, str(error)


def _keep(tasks: dict[str, asyncio.Task[None]], model: str, work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` as the model's task among ``tasks`` until it ends."""
    task = asyncio.create_task(work)
    tasks[model] = task

    def forget(ended: asyncio.Task[None]) -> None:
        if tasks.get(model) is ended:
            del tasks[model]

    task.add_done_callback(forget)
