"""Several models in one memory: who fits beside whom, who makes room, and who takes turns where both cannot be up."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from assay.serve import Grant, Start, Stop
from tests.serve.asking import BIG, BUDGET, GB, MID, SMALL, A, B, C, Desk, offer


def test_the_model_that_costs_least_goes_and_the_load_waits_until_it_has_gone() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID, SMALL, offer("slow", 2 * GB, seconds=60))
    assert desk.ask(offer("new", 2 * GB)) == ["stop small"]
    assert desk.actions == (Stop("small", "its memory is needed for new", evicted=True),)
    assert desk.states["new"] == "waiting"
    assert desk.stopped("small") == ["start new"]


def test_the_one_unused_for_long_goes_first() -> None:
    desk = Desk(budget=3 * GB)
    desk.up(A, B, C)
    desk.now += 100
    desk.ask(A)
    desk.done(1)
    desk.ask(C)
    desk.done(2)
    assert desk.ask(offer("new")) == ["stop b"]


def test_what_a_load_really_took_counts_in_what_it_costs_to_lose() -> None:
    desk = Desk(budget=2 * GB)
    desk.load(A)
    desk.loaded("a", after=60)
    desk.load(B)
    desk.loaded("b", after=1)
    assert desk.ask(C) == ["stop b"]


def test_a_model_at_work_never_goes_and_who_needs_its_memory_waits() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    assert desk.ask(BIG) == []
    assert desk.tick(after=500) == []
    assert desk.done(1) == ["stop mid"]
    assert desk.stopped("mid") == ["start big"]
    assert desk.loaded("big") == ["grant 2 big"]


def test_idle_models_stay_while_they_alone_would_not_suffice() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID, SMALL)
    desk.ask(MID)
    assert desk.ask(offer("all", 10 * GB)) == []
    assert desk.states["small"] == "ready"
    assert desk.done(1) == ["stop small", "stop mid"]


def test_what_a_model_really_takes_is_reserved_where_that_is_more() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(SMALL)
    desk.scheduler.resident("small", 5 * GB)
    desk.scheduler.resident("small", 4 * GB)
    desk.scheduler.resident("small", None)
    assert desk.state("small").reserved == 5 * GB
    assert desk.state("small").resident == 4 * GB
    assert desk.ask(offer("new", 6 * GB)) == ["stop small"]


def test_memory_that_others_use_is_not_there_to_load_into() -> None:
    desk = Desk(budget=BUDGET, free=9 * GB)
    desk.up(MID)
    desk.free = 4 * GB
    assert desk.ask(SMALL) == ["start small"]
    desk.free = 2 * GB
    desk.loaded("small")
    assert desk.ask(offer("new", 3 * GB)) == ["stop mid"]
    desk.free = 2 * GB + 5 * GB
    assert desk.stopped("mid") == ["start new"]


def test_free_memory_is_what_is_left_after_a_model_came_or_went() -> None:
    desk = Desk(free=9 * GB)
    desk.load(MID)
    desk.free = 4 * GB
    desk.loaded("mid")
    desk.free = None
    assert desk.ask(offer("beside", 4 * GB)) == ["start beside"]
    desk.unload("mid")
    desk.loaded("beside")
    desk.free = 5 * GB
    desk.stopped("mid")
    desk.free = None
    assert desk.ask(offer("more", 6 * GB)) == []
    assert desk.ask(offer("most", 10 * GB)) == ["refuse 3 insufficient_memory"]
    desk.free = 9 * GB
    desk.died("beside")
    desk.free = None
    assert desk.state("more").state == "loading"
    assert desk.ask(offer("less", 9 * GB)) == []
    assert desk.ask(offer("most", 10 * GB)) == ["refuse 5 insufficient_memory"]


def test_free_memory_that_was_read_while_another_model_loaded_refuses_nobody_and_evicts_nobody() -> None:
    desk = Desk(free=16 * GB)
    desk.up(A)
    desk.free = 15 * GB
    assert desk.ask(BIG) == ["start big"]
    desk.free = 8 * GB
    assert desk.ask(MID) == []
    assert desk.ask(offer("most", 12 * GB)) == []
    assert desk.states == {"a": "ready", "big": "loading", "mid": "waiting", "most": "waiting"}
    desk.free = 7 * GB
    assert desk.loaded("big") == ["start mid", "grant 1 big"]


def test_what_was_not_sure_while_a_model_came_or_went_is_taken_for_sure_once_it_has() -> None:
    desk = Desk(free=10 * GB)
    desk.ask(MID)
    desk.free = 8 * GB
    desk.tick()
    desk.free = None
    desk.loaded("mid")
    assert desk.ask(offer("new", 8 * GB)) == ["start new"]
    desk = Desk(free=10 * GB)
    desk.ask(MID)
    desk.leave(1)
    desk.unload("mid")
    desk.free = 8 * GB
    desk.tick()
    desk.free = None
    desk.stopped("mid")
    assert desk.ask(offer("new", 13 * GB)) == ["start new"]


def test_what_was_sure_of_a_model_that_was_up_stays_so_while_it_goes() -> None:
    desk = Desk()
    desk.load(MID)
    desk.free = 5 * GB
    desk.loaded("mid")
    desk.unload("mid")
    desk.free = None
    assert desk.ask(offer("new", 5 * GB)) == ["start new"]


def test_a_model_of_unknown_size_loads_alone_and_makes_room_for_others_when_idle() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(A, B)
    odd = offer("odd", None)
    assert desk.ask(odd) == ["stop a", "stop b"]
    assert desk.stopped("a") == []
    assert desk.stopped("b") == ["start odd"]
    desk.loaded("odd")
    assert desk.ask(A) == []
    assert desk.done(1) == ["stop odd"]
    assert desk.stopped("odd") == ["start a"]


def test_a_model_of_unknown_size_shares_once_it_is_seen_what_it_takes() -> None:
    desk = Desk(budget=BUDGET)
    desk.load(offer("odd", None))
    desk.loaded("odd")
    desk.scheduler.resident("odd", 3 * GB)
    assert desk.ask(MID) == ["start mid"]


def test_an_upstream_takes_no_memory() -> None:
    desk = Desk(budget=GB, free=0)
    assert desk.ask(offer("far", remote=True)) == ["start far"]
    desk.loaded("far")
    assert [desk.ask(offer("far", remote=True)) for _ in range(63)] == [[f"grant {n} far"] for n in range(2, 65)]
    assert desk.ask(offer("far", remote=True)) == []


def test_room_that_somebody_waits_for_is_not_taken_by_who_comes_later() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID, offer("slow", 5 * GB, seconds=60))
    assert desk.ask(BIG) == ["stop mid", "stop slow"]
    assert desk.stopped("mid") == []
    assert desk.ask(MID) == []
    assert desk.stopped("slow") == ["start big"]


def test_others_use_what_is_free_while_who_waits_longest_has_to_wait_for_a_model_at_work() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    assert desk.ask(BIG) == []
    assert desk.ask(SMALL) == ["start small"]
    desk.tick(after=20)
    assert desk.ask(A) == []
    assert desk.states == {"mid": "ready", "big": "waiting", "small": "loading", "a": "waiting"}


# Models that cannot be up together, both asked for all the time


def test_a_busy_model_yields_to_who_waited_as_long_as_a_load_takes() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    desk.ask(BIG)
    desk.ask(MID)
    assert desk.done(1, after=19) == ["grant 3 mid"]
    desk.ask(MID)
    assert desk.wake() == 1
    assert desk.tick(after=1) == []
    assert desk.wake() == 580
    assert desk.done(3) == ["stop mid"]
    assert desk.stopped("mid") == ["start big"]
    assert desk.loaded("big", after=20) == ["grant 2 big"]


def test_a_model_that_has_just_come_up_serves_for_as_long_as_its_load_took_before_it_yields() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    desk.ask(BIG)
    desk.ask(BIG)
    desk.tick(after=30)
    desk.ask(MID)
    desk.done(1)
    desk.stopped("mid")
    assert desk.loaded("big", after=20) == ["grant 2 big"]
    assert desk.done(2, after=10) == ["grant 3 big"]
    desk.ask(BIG)
    assert desk.done(3, after=10) == ["stop big"]
    assert desk.stopped("big") == ["start mid"]
    assert desk.state("big").waiting == 1


def test_a_yielding_model_goes_on_when_nobody_waits_for_its_memory_any_more() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(offer("mid", 5 * GB, slots=2))
    desk.ask(MID)
    desk.ask(BIG)
    desk.tick(after=60)
    assert desk.ask(MID) == []
    assert desk.leave(2) == ["grant 3 mid"]


def test_two_models_that_are_always_asked_for_take_turns_and_serve_for_as_long_as_they_load() -> None:
    """Three clients want one model all the time and two another, each request takes a second, a stop half of one."""
    desk = Desk(budget=BUDGET)
    begun = desk.now
    wants = {"ann": MID, "bob": MID, "cid": MID, "dan": BIG, "eve": BIG}
    owner: dict[int, str] = {}
    waited: dict[str, list[float]] = {client: [] for client in wants}
    loading = 0.0
    count = itertools.count()
    events: list[tuple[float, int, Callable[[], object]]] = []

    def later(seconds: float, what: Callable[[], object]) -> None:
        heapq.heappush(events, (desk.now + seconds, next(count), what))

    def ask(client: str) -> None:
        owner[desk.tickets + 1] = client
        desk.ask(wants[client], client=client)

    def end(ticket: int) -> None:
        desk.done(ticket)
        later(0, lambda: ask(owner[ticket]))

    for client in wants:
        later(0, partial(ask, client))
    while desk.now < begun + 2000:
        desk.now, _, what = heapq.heappop(events)
        what()
        for action in desk.actions:
            if isinstance(action, Start):
                seconds = action.offer.seconds or 0.0
                loading += seconds
                later(seconds, partial(desk.loaded, action.offer.id, seconds=seconds))
            elif isinstance(action, Stop):
                later(0.5, partial(desk.stopped, action.model))
            elif isinstance(action, Grant):
                waited[owner[action.ticket]].append(action.waited)
                later(1, partial(end, action.ticket))
        due = desk.wake()
        if due is not None and due < 600:
            later(due, desk.tick)
    assert loading <= 1000
    assert max(seconds for each in waited.values() for seconds in each) < 60
    assert min(len(each) for each in waited.values()) > 100


def test_what_has_grown_while_it_was_waited_for_is_judged_as_it_is_by_now_for_all_who_wait() -> None:
    desk = Desk(free=4 * GB)
    desk.up(SMALL)
    desk.free = 2 * GB
    desk.ask(SMALL)
    assert desk.ask(offer("a", 3 * GB)) == []
    assert desk.ask(offer("a", 4 * GB, version=2), client="bob") == []
    assert desk.leave(3) == []
    desk.free = GB
    assert desk.tick() == ["refuse 2 insufficient_memory"]
    assert "4.0 GB" in desk.refusal.message


def test_what_can_never_fit_any_more_sends_who_waits_on_to_the_next_offer() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(SMALL)
    desk.ask(SMALL)
    assert desk.ask(offer("a", 9 * GB), B) == []
    assert desk.ask(offer("a", 11 * GB, version=2)) == ["start b", "refuse 3 insufficient_memory"]
    assert desk.loaded("b") == ["grant 2 b"]
