"""Whatever happens in whatever order: what holds after each event, and that nobody waits for ever."""

from __future__ import annotations

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct, structs

from assay.serve import Action, Grant, Limits, Offer, Refuse, Refused, Route, Scheduler, Start, Stop, Ticket
from assay.serve.memory import size_of
from tests.serve.asking import BROKEN, offer

OFFERS = (
    offer("a", 2, slots=2, seconds=2),
    offer("b", 4, slots=1, seconds=8),
    offer("c", 6, slots=3, seconds=None),
    offer("d", 9, slots=4, seconds=30),
    offer("disk", None, disk=3),
    offer("odd", None),
    offer("far", remote=True),
)
CLIENTS = ("ann", "bob", "cid")
FOR_EVER = 1e9


class Process(Struct):
    """What the world knows of a model's process: ``taken`` bytes of memory, ``told`` to the scheduler or not."""

    offer: Offer
    state: str = "loading"
    taken: int = 0
    told: int | None = None
    most: int = 0
    running: set[int] = set()

    @property
    def reserved(self) -> int | None:
        size = size_of(self.offer)
        return size if self.offer.remote or not self.most else max(size or 0, self.most)

    @property
    def known(self) -> int:
        """What it has taken for certain of what was free, as far as the scheduler can know."""
        if self.offer.remote or self.state != "ready":
            return 0
        return (self.reserved or 0) if self.told is None else self.told


class World(RuleBasedStateMachine):
    """Processes, requests and a clock around a scheduler; every action is checked when it comes."""

    @initialize(
        budget=st.none() | st.integers(0, 16),
        memory=st.none() | st.integers(4, 20),
        warm=st.sampled_from([None, 7.0]),
        ttl=st.sampled_from([None, 0.0, 40.0]),
    )
    def begin(self, budget: int | None, memory: int | None, warm: float | None, ttl: float | None) -> None:
        self.budget = budget
        self.memory = memory
        self.others = 0
        self.limits = Limits(
            memory=budget,
            queue_per_model=4,
            queue=8,
            queue_per_client=5,
            ttl_s=ttl,
            keep_warm_s=warm,
            backoff_s=1,
            backoff_most_s=8,
        )
        self.scheduler = Scheduler(self.limits)
        self.now = 100.0
        self.offers = {one.id: one for one in OFFERS}
        self.processes: dict[str, Process] = {}
        self.waiting: dict[int, Ticket] = {}
        self.granted: dict[int, str] = {}
        self.count = 0
        self.draining = False
        self.machine: int | None = None

    # What happens

    @rule(
        offers=st.lists(st.sampled_from(OFFERS), min_size=1, max_size=3, unique_by=lambda one: one.id),
        client=st.sampled_from(CLIENTS),
        weight=st.integers(1, 5),
        wait=st.sampled_from([0.0, 3.0, FOR_EVER, FOR_EVER, FOR_EVER]),
        ttl=st.sampled_from([None, None, 0.0, 5.0]),
    )
    def ask(self, offers: list[Offer], client: str, weight: int, wait: float, ttl: float | None) -> None:
        self.count += 1
        ticket = Ticket(
            id=self.count,
            client=client,
            route=Route(name="name", offers=tuple(self.offers[one.id] for one in offers), others=OFFERS[:2]),
            arrived=self.now,
            deadline=self.now + wait,
            weight=weight,
            ttl=ttl,
        )
        self.waiting[ticket.id] = ticket
        self.does(self.scheduler.ask(ticket, self.now, free=self.free()))
        assert not (self.draining and ticket.id in self.waiting)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[ticket]
        self.does(self.scheduler.leave(ticket, self.now, free=self.free()))

    @precondition(lambda self: self.granted)
    @rule(data=st.data(), after=st.sampled_from([0.0, 0.5, 20.0]))
    def done(self, data: st.DataObject, after: float) -> None:
        self.now += after
        self.end(data.draw(st.sampled_from(sorted(self.granted))))

    @precondition(lambda self: self.those("loading"))
    @rule(data=st.data(), after=st.sampled_from([0.0, 1.0, 10.0]), tenths=st.integers(5, 12), slots=st.integers(0, 3))
    def come_up(self, data: st.DataObject, after: float, tenths: int, slots: int) -> None:
        self.now += after
        self.bring_up(data.draw(st.sampled_from(self.those("loading"))), after, tenths, slots or None)

    @precondition(lambda self: self.those("loading"))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(self.those("loading")))
        del self.processes[model]
        self.does(self.scheduler.failed(model, BROKEN, self.now, free=self.free()))

    @precondition(lambda self: self.those("ready"))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(self.those("ready")))
        del self.processes[model]
        self.does(self.scheduler.died(model, "it was killed", self.now, free=self.free()))

    @precondition(lambda self: self.those("stopping"))
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.take_down(data.draw(st.sampled_from(self.those("stopping"))))

    @precondition(lambda self: self.those("ready"))
    @rule(data=st.data())
    def weigh(self, data: st.DataObject) -> None:
        process = self.processes[data.draw(st.sampled_from(self.those("ready")))]
        process.told = process.taken
        process.most = max(process.most, process.taken)
        self.scheduler.resident(process.offer.id, process.taken)

    @rule(taken=st.integers(0, 4))
    def others_take(self, taken: int) -> None:
        self.others = taken

    @rule(one=st.sampled_from(OFFERS), keep=st.booleans(), ttl=st.sampled_from([None, 3.0]))
    def load(self, one: Offer, keep: bool, ttl: float | None) -> None:
        with contextlib.suppress(Refused):
            self.does(self.scheduler.load(self.offers[one.id], self.now, keep=keep, ttl=ttl, free=self.free()))

    @rule(one=st.sampled_from(OFFERS), force=st.booleans())
    def unload(self, one: Offer, force: bool) -> None:
        self.does(self.scheduler.unload(one.id, self.now, force=force), forced=one.id if force else None)

    @rule(one=st.sampled_from(OFFERS), needs=st.none() | st.integers(1, 12))
    def replace_files(self, one: Offer, needs: int | None) -> None:
        """Whoever asks from now on asks for the new ones."""
        stamps = (*self.offers[one.id].stamps, None)
        self.offers[one.id] = structs.replace(one, needs=0 if one.remote else needs, stamps=stamps)

    @rule(after=st.sampled_from([0.1, 1.0, 5.0, 30.0]))
    def wait(self, after: float) -> None:
        self.now += after
        self.tick()

    @rule()
    def wait_until_due(self) -> None:
        due = self.scheduler.wake(self.now)
        if due is not None and due < FOR_EVER:
            self.now = due
            self.tick()

    @precondition(lambda self: self.count > 12)
    @rule()
    def drain(self) -> None:
        self.draining = True
        self.does(self.scheduler.drain(self.now))
        assert not self.waiting

    # What follows

    def does(self, actions: tuple[Action, ...], forced: str | None = None) -> None:
        for action in actions:
            if isinstance(action, Start):
                self.check_start(action.offer)
                self.processes[action.offer.id] = Process(action.offer, taken=(size_of(action.offer) or 0) // 2)
            elif isinstance(action, Stop):
                process = self.processes[action.model]
                assert process.state in {"loading", "ready"}
                assert not process.running or action.model == forced
                process.state = "stopping"
            elif isinstance(action, Grant):
                ticket = self.waiting.pop(action.ticket)
                process = self.processes[action.model]
                assert process.state == "ready"
                assert action.model in {one.id for one in ticket.route.offers}
                assert action.waited == self.now - ticket.arrived
                process.running = {*process.running, ticket.id}
                self.granted[ticket.id] = action.model
            elif isinstance(action, Refuse):
                ticket = self.waiting.pop(action.ticket)
                assert action.refusal.status in {429, 503}
                assert action.refusal.retry_after is None or action.refusal.retry_after >= 1
                assert action.refusal.code != "queue_timeout" or ticket.deadline <= self.now
            else:
                assert self.processes[action.model].state == "ready"
                assert not self.processes[action.model].running

    def check_start(self, one: Offer) -> None:
        """One load at a time, and only into memory that nobody else has been promised."""
        assert one.id not in self.processes
        assert not self.draining
        needs = size_of(one)
        others = [process for process in self.processes.values() if not process.offer.remote]
        if needs == 0:
            return
        if needs is None:
            assert not others
            return
        assert all(process.reserved is not None for process in others)
        if self.budget is not None:
            assert sum(process.reserved or 0 for process in others) + needs <= self.budget
        if self.machine is not None:
            assert sum(process.reserved or 0 for process in others) + needs <= self.machine

    def tick(self) -> None:
        self.does(self.scheduler.tick(self.now, free=self.free()))
        due = self.scheduler.wake(self.now)
        assert due is None or due > self.now, "it would be woken again and again"

    def end(self, ticket: int) -> None:
        model = self.granted.pop(ticket)
        process = self.processes.get(model)
        if process is not None:
            process.running = process.running - {ticket}
        self.does(self.scheduler.done(ticket, self.now, free=self.free()))

    def bring_up(self, model: str, seconds: float, tenths: int = 10, slots: int | None = None) -> None:
        process = self.processes[model]
        process.state = "ready"
        process.taken = 0 if process.offer.remote else (size_of(process.offer) or 2) * tenths // 10
        self.does(self.scheduler.loaded(model, self.now, seconds=seconds, slots=slots, free=self.free()))

    def take_down(self, model: str) -> None:
        del self.processes[model]
        self.does(self.scheduler.stopped(model, self.now, free=self.free()))

    def those(self, state: str) -> list[str]:
        return sorted(model for model, process in self.processes.items() if process.state == state)

    def free(self) -> int | None:
        if self.memory is None:
            return None
        taken = sum(process.taken for process in self.processes.values())
        free = max(0, self.memory - self.others - taken)
        self.machine = free + sum(process.known for process in self.processes.values())
        return free

    # What holds

    @invariant()
    def books_agree(self) -> None:
        states = {state.id: state for state in self.scheduler.models()}
        assert {model: process.state for model, process in self.processes.items()} == {
            model: state.state for model, state in states.items() if state.state not in {"waiting", "backoff"}
        }
        for model, process in self.processes.items():
            assert states[model].running == len(process.running)
            assert states[model].used <= states[model].slots or process.state == "stopping"
        assert all(state.running >= 0 and state.used >= 0 for state in states.values())
        assert sum(state.waiting for state in states.values()) == self.scheduler.queued() == len(self.waiting)

    @invariant()
    def queues_are_bounded(self) -> None:
        assert len(self.waiting) <= self.limits.queue
        for client in CLIENTS:
            assert sum(ticket.client == client for ticket in self.waiting.values()) <= self.limits.queue_per_client

    @invariant()
    def who_waits_is_not_forgotten(self) -> None:
        due = self.scheduler.wake(self.now)
        assert due is None or due >= self.now
        if self.waiting:
            assert due is not None
            assert due <= min(ticket.deadline for ticket in self.waiting.values()) or due == self.now

    def teardown(self) -> None:
        """From wherever it is, everybody is served or refused without a deadline's help, and a drain leaves nothing."""
        if not hasattr(self, "scheduler"):
            return
        self.run_out()
        assert not self.waiting, "somebody waits and nothing is left to happen"
        self.draining = True
        self.does(self.scheduler.drain(self.now))
        self.run_out()
        assert self.scheduler.models() == ()
        assert self.scheduler.wake(self.now) is None

    def run_out(self) -> None:
        """Let everything under way end well, and time pass where nothing is under way, until nobody waits."""
        for _ in range(500):
            if self.granted:
                self.end(min(self.granted))
            elif loading := self.those("loading"):
                self.now += 1
                self.bring_up(loading[0], 1.0)
            elif stopping := self.those("stopping"):
                self.take_down(stopping[0])
            elif self.waiting:
                due = self.scheduler.wake(self.now)
                assert due is not None
                assert due < FOR_EVER, "only a deadline would wake it"
                self.now = due
                self.tick()
            else:
                return
            self.books_agree()
        raise AssertionError("it goes on for ever")


World.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWorld = World.TestCase
