"""A service over acted effects, and a notebook of what it tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from assay.serve import Limits, Offer, Refusal
from assay.serve.lease import Lease
from assay.serve.observer import Quiet
from assay.serve.service import Service
from tests.serve.acting import MB, Acted, Names, now, offer

A, B, C = offer("a"), offer("b"), offer("c")
LIMITS = Limits(memory=2 * MB, ttl_s=None, load_s=60, drain_s=30, grace_s=5, stall_s=30)


def far(id: str) -> Offer:  # noqa: A002
    """An upstream."""
    return offer(id, remote=True)


class Notes(Quiet):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def loading(self, model: str, engine: str) -> None:
        self.lines.append(f"loading {model} on {engine}")

    def loaded(self, model: str, engine: str, seconds: float) -> None:
        self.lines.append(f"loaded {model} {seconds:.0f}")

    def failed(self, model: str, why: str) -> None:
        self.lines.append(f"failed {model} {why.count(chr(10))}")

    def stopped(self, model: str, why: str, *, evicted: bool) -> None:
        self.lines.append(f"{'evicted' if evicted else 'stopped'} {model}")

    def died(self, model: str, why: str) -> None:
        self.lines.append(f"died {model} {why}")

    def granted(self, name: str, model: str, waited: float, loading: float | None) -> None:
        self.lines.append(f"granted {name} {model} {waited:.0f} {loading}")

    def refused(self, name: str, refusal: Refusal) -> None:
        self.lines.append(f"refused {name} {refusal.code}")

    def left(self, name: str, waited: float) -> None:
        self.lines.append(f"left {name} {waited:.0f}")

    def ended(self, name: str, model: str, seconds: float) -> None:
        self.lines.append(f"ended {name} {seconds:.0f}")


class Stage:
    """A service over acted effects."""

    def __init__(self, names: Names, effects: Acted, limits: Limits) -> None:
        self.names = names
        self.effects = effects
        self.notes = Notes()
        self.granted: list[Lease] = []
        self.requests: set[asyncio.Task[Lease]] = set()
        self.own: set[asyncio.Task[Any]] = set()
        self.service = Service(names, effects, limits, observer=self.notes, clock=now)

    def request(self, name: str, seconds: float = 1.0, client: str = "ann", **more: Any) -> asyncio.Task[Lease]:
        """A request under way that keeps its lease for so long, or until it is broken."""

        async def use() -> Lease:
            async with self.service.lease(name, client, **more) as lease:
                self.granted.append(lease)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await lease.broken.wait()
                self.granted.remove(lease)
                return lease

        task = asyncio.create_task(use())
        self.requests.add(task)
        return task

    def leases(self) -> list[Lease]:
        """What is granted now."""
        return list(self.granted)

    def state(self, model: str) -> str | None:
        return next((one.state for one in self.service.models() if one.id == model), None)


@asynccontextmanager
async def stage(*offers: Offer, limits: Limits = LIMITS, **more: Any) -> AsyncIterator[Stage]:
    """A service that is stopped at the end, and then has nothing left."""
    on = Stage(Names(*(offers or (A, B, C))), Acted(**more), limits)
    on.own = asyncio.all_tasks()
    await on.service.start()
    try:
        yield on
    finally:
        await on.service.stop()
        assert on.effects.up == []
        left = {task.get_name() for task in asyncio.all_tasks() - on.requests - on.own}
        assert left == set()
