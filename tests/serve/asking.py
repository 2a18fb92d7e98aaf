"""The scheduler with a clock that tests turn, and its actions in short words: ``start a``, ``grant 1 a``."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from assay.disk import Stamp
from assay.serve import Action, Grant, Limits, ModelState, Offer, Refusal, Refuse, Route, Scheduler, Start, Stop, Ticket
from assay.types import EngineOptions, File, Variant

GB = 10**9
BUDGET = 10 * GB
BROKEN = Refusal(status=503, code="model_failed", message="its file is damaged")


def offer(
    name: str,
    needs: int | None = GB,
    *,
    slots: int = 1,
    seconds: float | None = 4.0,
    disk: int | None = None,
    remote: bool = False,
    version: int = 1,
) -> Offer:
    """An offer of a variant ``name``; ``disk`` is the size of its only file, which is replaced for each ``version``."""
    variant = Variant(
        id=name,
        alias=name,
        format="remote" if remote else "gguf",
        source="x",
        files=() if disk is None else (File(path="f", size=disk),),
    )
    options = EngineOptions(slots=slots)
    needs = 0 if remote else needs
    stamps = (Stamp(version, disk or 0, 1),)
    return Offer(variant=variant, engine="e", options=options, needs=needs, seconds=seconds, stamps=stamps)


A, B, C = offer("a"), offer("b"), offer("c")
NEW_A = offer("a", version=2)
BIG = offer("big", 8 * GB, seconds=20)
MID = offer("mid", 5 * GB, seconds=4)
SMALL = offer("small", 2 * GB, seconds=2)


def short(action: Action) -> str:
    """An action in a few words."""
    if isinstance(action, Start):
        return f"start {action.offer.id}"
    if isinstance(action, Stop):
        return f"stop {action.model}"
    if isinstance(action, Grant):
        return f"grant {action.ticket} {action.model}"
    if isinstance(action, Refuse):
        return f"refuse {action.ticket} {action.refusal.code}"
    return f"warm {action.model}"


class Desk:
    """A scheduler, a clock, and tickets numbered from 1; each method gives the actions that followed."""

    def __init__(self, limits: Limits | None = None, *, budget: int | None = None, free: int | None = None) -> None:
        self.scheduler = Scheduler(structs.replace(limits or Limits(), memory=budget))
        self.now = 1000.0
        self.free = free
        self.tickets = 0
        self.actions: tuple[Action, ...] = ()

    def ask(
        self,
        *offers: Offer,
        client: str = "ann",
        weight: int = 1,
        wait: float = 600.0,
        ttl: float | None = None,
        others: Sequence[Offer] = (),
    ) -> list[str]:
        self.tickets += 1
        ticket = Ticket(
            id=self.tickets,
            client=client,
            route=Route(name="name", offers=offers, others=tuple(others)),
            arrived=self.now,
            deadline=self.now + wait,
            weight=weight,
            ttl=ttl,
        )
        return self._did(self.scheduler.ask(ticket, self.now, free=self.free))

    def loaded(
        self, model: str, after: float = 0.0, slots: int | None = None, *, seconds: float | None = None
    ) -> list[str]:
        self.now += after
        took = after if seconds is None else seconds
        return self._did(self.scheduler.loaded(model, self.now, seconds=took, slots=slots, free=self.free))

    def failed(self, model: str, refusal: Refusal = BROKEN) -> list[str]:
        return self._did(self.scheduler.failed(model, refusal, self.now, free=self.free))

    def died(self, model: str, why: str = "it was killed by signal 9") -> list[str]:
        return self._did(self.scheduler.died(model, why, self.now, free=self.free))

    def stopped(self, model: str) -> list[str]:
        return self._did(self.scheduler.stopped(model, self.now, free=self.free))

    def done(self, ticket: int, after: float = 0.0) -> list[str]:
        self.now += after
        return self._did(self.scheduler.done(ticket, self.now))

    def leave(self, ticket: int) -> list[str]:
        return self._did(self.scheduler.leave(ticket, self.now))

    def load(self, one: Offer, *, ttl: float | None = None, keep: bool = False) -> list[str]:
        return self._did(self.scheduler.load(one, self.now, ttl=ttl, keep=keep, free=self.free))

    def unload(self, model: str, *, force: bool = False) -> list[str]:
        return self._did(self.scheduler.unload(model, self.now, force=force))

    def drain(self) -> list[str]:
        return self._did(self.scheduler.drain(self.now))

    def tick(self, after: float = 0.0) -> list[str]:
        self.now += after
        return self._did(self.scheduler.tick(self.now, free=self.free))

    def up(self, *offers: Offer) -> None:
        """Bring models up, idle, one after the other, each a second after the last."""
        for one in offers:
            assert self.load(one) == [f"start {one.id}"]
            self.loaded(one.id, one.seconds or 0.0)
            self.now += 1

    def wake(self) -> float | None:
        """Seconds from now until the next tick is needed."""
        due = self.scheduler.wake(self.now)
        return None if due is None else due - self.now

    def state(self, model: str) -> ModelState:
        return {state.id: state for state in self.scheduler.models()}[model]

    @property
    def states(self) -> dict[str, str]:
        return {state.id: state.state for state in self.scheduler.models()}

    @property
    def refusal(self) -> Refusal:
        """The only one of the last actions."""
        (refused,) = (action.refusal for action in self.actions if isinstance(action, Refuse))
        return refused

    @property
    def grant(self) -> Grant:
        """The only one of the last actions."""
        (granted,) = (action for action in self.actions if isinstance(action, Grant))
        return granted

    def _did(self, actions: tuple[Action, ...]) -> list[str]:
        self.actions = actions
        return [short(action) for action in actions]
