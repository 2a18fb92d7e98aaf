"""The life of a model: how it comes up, when it goes, and what a shutdown leaves."""

from __future__ import annotations

import pytest

from assay.serve import Limits, Refused, Stop
from tests.serve.asking import BIG, BUDGET, GB, MID, NEW_A, SMALL, A, B, C, Desk, offer

# Loads


def test_a_model_loads_on_first_use_and_the_grant_tells_how_long_that_took() -> None:
    desk = Desk()
    assert desk.ask(A) == ["start a"]
    assert desk.states == {"a": "loading"}
    assert desk.loaded("a", after=3.5) == ["grant 1 a"]
    assert desk.grant.loading == desk.grant.waited == 3.5
    assert desk.states == {"a": "ready"}


def test_the_next_request_does_not_wait() -> None:
    desk = Desk()
    desk.up(A)
    assert desk.ask(A) == ["grant 1 a"]
    assert desk.grant.loading is None
    assert desk.grant.waited == 0


def test_one_load_serves_everybody_who_waits() -> None:
    desk = Desk()
    two = offer("a", slots=2)
    assert desk.ask(two) == ["start a"]
    assert desk.ask(two, client="bob") == []
    assert desk.ask(two, client="cid") == []
    assert desk.loaded("a", after=2) == ["grant 1 a", "grant 2 a"]
    assert desk.done(2, after=1) == ["grant 3 a"]
    assert desk.grant.loading == 2


def test_two_models_load_at_once_where_both_fit() -> None:
    desk = Desk(budget=BUDGET)
    assert desk.ask(MID) == ["start mid"]
    assert desk.ask(SMALL) == ["start small"]


def test_the_second_load_waits_where_only_one_fits() -> None:
    desk = Desk(budget=BUDGET)
    desk.ask(MID)
    assert desk.ask(BIG) == []
    assert desk.states == {"mid": "loading", "big": "waiting"}
    desk.loaded("mid")
    assert desk.done(1) == ["stop mid"]
    assert desk.stopped("mid") == ["start big"]


def test_a_loaded_model_is_used_under_whatever_options_it_was_loaded() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(offer("a", slots=1))
    assert desk.ask(offer("a", 100 * GB, slots=8)) == ["grant 1 a"]
    assert desk.state("a").slots == 1


def test_what_is_offered_last_is_what_is_loaded() -> None:
    desk = Desk(budget=GB)
    desk.up(B)
    desk.ask(B)
    desk.ask(offer("a", slots=1))
    desk.ask(offer("a", slots=4))
    assert desk.done(1) == ["stop b"]
    desk.stopped("b")
    assert desk.state("a").offer.slots == 4


def test_what_is_offered_while_it_goes_is_what_is_loaded_next() -> None:
    desk = Desk(budget=GB)
    desk.up(offer("a", slots=1))
    assert desk.unload("a") == ["stop a"]
    desk.ask(offer("a", slots=2))
    desk.ask(offer("a", slots=4))
    assert desk.stopped("a") == ["start a"]
    assert desk.state("a").offer.slots == 4


def test_a_load_goes_on_when_nobody_waits_for_it_any_more() -> None:
    desk = Desk()
    desk.ask(A)
    assert desk.leave(1) == []
    assert desk.loaded("a", after=4) == []
    assert desk.ask(A) == ["grant 2 a"]


def test_nothing_is_loaded_for_somebody_who_left_before_there_was_room() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    desk.ask(BIG)
    desk.leave(2)
    assert desk.states == {"mid": "ready"}
    assert desk.done(1) == []


# Preloads


def test_a_preloaded_model_stays() -> None:
    desk = Desk(Limits(ttl_s=10), budget=BUDGET)
    assert desk.load(MID, keep=True) == ["start mid"]
    assert desk.loaded("mid") == []
    assert desk.wake() is None
    assert desk.tick(after=10_000) == []
    assert desk.ask(BIG) == ["refuse 1 insufficient_memory"]


def test_a_load_without_a_request_goes_after_its_own_ttl() -> None:
    desk = Desk(Limits(ttl_s=10))
    desk.load(A, ttl=60)
    desk.loaded("a")
    assert desk.wake() == 60
    assert desk.tick(after=59) == []
    assert desk.tick(after=1) == ["stop a"]


def test_a_load_of_what_is_up_starts_its_ttl_anew() -> None:
    desk = Desk(Limits(ttl_s=10))
    desk.load(A)
    desk.loaded("a")
    desk.tick(after=9)
    assert desk.load(A, ttl=30) == []
    assert desk.wake() == 30


def test_a_load_that_cannot_be_is_refused() -> None:
    desk = Desk(budget=GB)
    with pytest.raises(Refused, match="big needs"):
        desk.load(BIG)
    desk.load(A)
    desk.failed("a")
    with pytest.raises(Refused) as refused:
        desk.load(A)
    assert refused.value.refusal.code == "model_failed"
    desk.drain()
    with pytest.raises(Refused) as refused:
        desk.load(B)
    assert refused.value.refusal.code == "shutting_down"


def test_a_load_makes_room_as_a_request_does() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    assert desk.load(BIG) == ["stop mid"]
    assert desk.stopped("mid") == ["start big"]


def test_a_load_without_a_request_is_given_up_when_there_can_be_no_room_for_it_any_more() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    assert desk.load(BIG) == []
    assert desk.states == {"mid": "ready", "big": "waiting"}
    desk.load(MID, keep=True)
    assert desk.states == {"mid": "ready"}


# Idle models


def test_an_idle_model_goes_after_its_ttl() -> None:
    desk = Desk(Limits(ttl_s=30))
    desk.up(A)
    desk.ask(A)
    assert desk.tick(after=100) == []
    desk.done(1)
    assert desk.wake() == 30
    assert desk.tick(after=29) == []
    assert desk.tick(after=1) == ["stop a"]
    assert desk.actions == (Stop("a", "nobody asked for it any more"),)
    assert desk.stopped("a") == []
    assert desk.states == {}


def test_a_request_says_how_long_the_model_stays_after_it() -> None:
    desk = Desk(Limits(ttl_s=30))
    desk.up(A)
    desk.ask(A, ttl=5)
    desk.done(1)
    assert desk.wake() == 5
    desk.ask(A, ttl=float("inf"))
    desk.done(2)
    assert desk.wake() is None
    desk.ask(A)
    desk.done(3)
    assert desk.wake() == 30


def test_a_ttl_of_nothing_stops_it_at_once() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A, ttl=0)
    assert desk.done(1) == ["stop a"]


def test_without_a_ttl_it_stays() -> None:
    desk = Desk(Limits(ttl_s=None))
    desk.up(A)
    assert desk.wake() is None


def test_an_idle_model_is_kept_warm() -> None:
    desk = Desk(Limits(ttl_s=100, keep_warm_s=30))
    desk.load(A)
    desk.loaded("a")
    assert desk.wake() == 30
    assert desk.tick(after=30) == ["warm a"]
    assert desk.tick(after=29) == []
    assert desk.tick(after=1) == ["warm a"]
    desk.ask(A)
    assert desk.tick(after=500) == []
    desk.done(1)
    assert desk.wake() == 30


def test_light_requests_do_not_keep_it_from_going_and_an_upstream_gets_none() -> None:
    desk = Desk(Limits(ttl_s=70, keep_warm_s=30))
    desk.load(A)
    desk.loaded("a")
    desk.load(offer("far", remote=True), ttl=1000)
    desk.loaded("far")
    assert [desk.tick(after=30), desk.tick(after=30), desk.tick(after=10)] == [["warm a"], ["warm a"], ["stop a"]]


def test_unload_stops_an_idle_model_at_once_and_another_when_its_last_request_ends() -> None:
    desk = Desk()
    two = offer("b", slots=2)
    desk.up(A, two)
    assert desk.unload("a") == ["stop a"]
    desk.ask(two)
    desk.ask(two)
    assert desk.unload("b") == []
    assert desk.state("b").leaving
    assert desk.done(1) == []
    assert desk.done(2) == ["stop b"]
    assert desk.unload("nobody") == []


def test_unload_serves_who_waits_already() -> None:
    desk = Desk()
    desk.ask(A)
    assert desk.unload("a") == []
    assert desk.loaded("a") == ["grant 1 a"]
    assert desk.done(1) == ["stop a"]


def test_unload_lets_go_of_a_preloaded_model_and_of_a_load_nobody_waits_for() -> None:
    desk = Desk()
    desk.load(A, keep=True)
    desk.loaded("a")
    assert desk.unload("a") == ["stop a"]
    desk.load(B)
    assert desk.unload("b") == ["stop b"]
    assert desk.loaded("b") == []
    assert desk.stopped("b") == []


def test_a_load_takes_an_unload_back() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.unload("a")
    desk.load(A)
    assert desk.done(1) == []
    assert desk.states == {"a": "ready"}


def test_a_load_does_not_keep_what_has_changed_since_it_was_loaded() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.load(NEW_A)
    assert desk.done(1) == ["stop a"]
    desk.load(NEW_A)
    assert desk.stopped("a") == ["start a"]
    assert desk.state("a").offer == NEW_A


def test_a_load_says_how_long_it_stays_after_each_use_until_it_goes() -> None:
    desk = Desk(Limits(ttl_s=10))
    desk.up(A)
    desk.ask(A)
    desk.load(A, ttl=60)
    desk.done(1)
    assert desk.wake() == 60
    desk.ask(A)
    desk.done(2)
    assert desk.tick(after=60) == ["stop a"]
    desk.stopped("a")
    desk.ask(A)
    desk.loaded("a")
    desk.done(3)
    assert desk.wake() == 10


def test_a_preloaded_model_comes_back_as_it_is_offered_by_now() -> None:
    desk = Desk(budget=BUDGET)
    desk.load(A, keep=True)
    desk.loaded("a")
    assert desk.ask(NEW_A) == ["stop a"]
    assert desk.leave(1) == []
    assert desk.stopped("a") == ["start a"]
    assert desk.state("a").offer == NEW_A


def test_a_preloaded_model_that_has_grown_too_large_is_not_started_until_it_fits() -> None:
    desk = Desk(budget=BUDGET)
    desk.load(A, keep=True)
    desk.loaded("a")
    assert desk.ask(offer("a", 11 * GB, version=2)) == ["stop a", "refuse 1 insufficient_memory"]
    assert desk.stopped("a") == []
    assert desk.ask(offer("a", 11 * GB, version=2)) == ["refuse 2 insufficient_memory"]
    assert desk.ask(NEW_A) == ["start a"]
    assert desk.state("a").pinned
    assert desk.loaded("a") == ["grant 3 a"]


def test_forced_unload_takes_it_from_under_its_requests() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.ask(A)
    assert desk.unload("a", force=True) == ["stop a"]
    assert desk.done(1) == []
    assert desk.stopped("a") == ["start a"]
    assert desk.loaded("a") == ["grant 2 a"]
    assert desk.done(2) == []


# Shutdown


def test_a_drain_refuses_who_waits_and_who_comes_and_stops_each_model_when_its_last_request_ends() -> None:
    desk = Desk()
    desk.up(A, B)
    desk.load(offer("d", seconds=1), keep=True)
    desk.loaded("d")
    desk.ask(A)
    desk.ask(A)
    desk.ask(C)
    assert desk.drain() == [
        "refuse 2 shutting_down",
        "refuse 3 shutting_down",
        "stop c",
        "stop b",
        "stop d",
    ]
    assert desk.ask(A) == ["refuse 4 shutting_down"]
    assert desk.done(1) == ["stop a"]
    for model in "abcd":
        assert desk.stopped(model) == []
    assert desk.states == {}
    assert desk.wake() is None


def test_a_crash_during_a_drain_starts_nothing() -> None:
    desk = Desk()
    desk.load(A, keep=True)
    desk.loaded("a")
    desk.ask(A)
    desk.drain()
    assert desk.died("a") == []
    assert desk.done(1) == []
    assert desk.states == {}


# News that come too late


def test_news_of_a_model_that_is_in_another_state_change_nothing() -> None:
    desk = Desk()
    desk.ask(A)
    assert desk.stopped("a") == []
    desk.loaded("a")
    assert desk.loaded("a") == desk.failed("a") == desk.stopped("a") == []
    desk.unload("a", force=True)
    assert desk.loaded("a") == desk.failed("a") == desk.died("a") == []
    assert desk.loaded("nobody") == desk.failed("nobody") == desk.died("nobody") == desk.stopped("nobody") == []
    assert desk.states == {"a": "stopping"}
    assert desk.done(77) == []
