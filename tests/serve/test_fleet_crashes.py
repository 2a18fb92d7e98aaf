"""A model that crashes or does not come up: who waits for it, who does not, and when it is tried again."""

from __future__ import annotations

from assay.serve import Limits
from tests.serve.asking import BIG, BROKEN, BUDGET, MID, A, B, Desk


def test_a_crashed_model_is_restarted_after_a_backoff_for_those_who_wait() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.up(A)
    desk.ask(A)
    desk.ask(A)
    assert desk.died("a") == []
    assert desk.state("a").state == "backoff"
    assert desk.state("a").problem == "it was killed by signal 9"
    assert desk.done(1) == []
    assert desk.wake() == 2
    assert desk.tick(after=1) == []
    assert desk.tick(after=1) == ["start a"]
    assert desk.loaded("a") == ["grant 2 a"]


def test_a_new_request_waits_for_the_restart_too() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.up(A)
    desk.died("a")
    assert desk.ask(A) == []
    assert desk.tick(after=2) == ["start a"]


def test_others_notice_nothing_of_a_crash() -> None:
    desk = Desk()
    desk.up(A, B)
    desk.ask(A)
    desk.ask(B)
    desk.died("a")
    assert desk.state("b").running == 1
    assert desk.ask(B) == []
    assert desk.done(2) == ["grant 3 b"]


def test_after_three_crashes_in_a_row_requests_are_refused_until_the_backoff_is_over() -> None:
    desk = Desk(Limits(backoff_s=2, backoff_most_s=60))
    desk.load(A, keep=True)
    pauses = []
    for _ in range(2):
        desk.loaded("a", after=1)
        desk.died("a")
        pauses.append(desk.wake())
        assert desk.tick(after=desk.wake() or 0) == ["start a"]
    desk.loaded("a", after=1)
    desk.ask(A)
    desk.ask(A)
    assert desk.died("a") == ["refuse 2 model_crashed"]
    pauses.append(desk.wake())
    assert pauses == [2, 4, 8]
    assert desk.refusal.status == 503
    assert desk.refusal.retry_after == 8
    assert desk.refusal.message == "a crashed 3 times in a row, the last time because it was killed by signal 9"
    assert desk.ask(A) == ["refuse 3 model_crashed"]
    assert desk.tick(after=8) == ["start a"]
    assert desk.ask(A) == []


def test_a_model_that_answers_between_its_crashes_counts_them_anew() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.load(A, keep=True)
    for ticket in range(1, 7, 2):
        desk.loaded("a", slots=4)
        desk.ask(A)
        desk.ask(A)
        desk.done(ticket)
        assert desk.died("a") == []
        desk.done(ticket + 1)
        assert desk.state("a").crashes == 1
        assert desk.tick(after=desk.wake() or 0) == ["start a"]


def test_the_backoff_is_bounded() -> None:
    desk = Desk(Limits(backoff_s=2, backoff_most_s=10))
    desk.load(A, keep=True)
    pauses = []
    for _ in range(5):
        desk.loaded("a")
        desk.died("a")
        pauses.append(desk.wake())
        desk.tick(after=desk.wake() or 0)
    assert pauses == [2, 4, 8, 10, 10]


def test_a_model_that_was_up_for_long_counts_its_crashes_anew() -> None:
    desk = Desk(Limits(backoff_s=2, backoff_most_s=10))
    desk.load(A, keep=True)
    for _ in range(4):
        desk.loaded("a")
        desk.tick(after=10)
        desk.died("a")
        assert desk.state("a").crashes == 1
        assert desk.wake() == 2
        desk.tick(after=2)


def test_a_load_that_was_killed_is_tried_again_after_a_backoff_for_those_who_wait() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.ask(A)
    assert desk.died("a") == []
    assert desk.state("a").state == "backoff"
    assert desk.ask(A) == []
    assert desk.wake() == 2
    assert desk.tick(after=2) == ["start a"]
    assert desk.loaded("a", slots=2) == ["grant 1 a", "grant 2 a"]


def test_a_load_that_is_killed_each_time_is_given_up_at_the_third() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.ask(A)
    for _ in range(2):
        assert desk.died("a") == []
        assert desk.tick(after=desk.wake() or 0) == ["start a"]
    assert desk.died("a") == ["refuse 1 model_crashed"]


def test_a_preloaded_model_whose_first_load_was_killed_is_tried_again() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.load(A, keep=True)
    desk.died("a")
    assert desk.tick(after=2) == ["start a"]
    assert desk.state("a").pinned


def test_a_failed_load_refuses_its_waiters_with_the_reason_and_is_not_tried_again_at_once() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.ask(A)
    desk.ask(A)
    assert desk.failed("a") == ["refuse 1 model_failed", "refuse 2 model_failed"]
    assert desk.ask(A) == ["refuse 3 model_failed"]
    assert (desk.refusal.message, desk.refusal.retry_after) == (BROKEN.message, 2)
    desk.now += 2
    assert desk.ask(A) == ["start a"]
    desk.failed("a")
    assert desk.state("a").crashes == 2
    assert (desk.state("a").retry_at or 0) - desk.now == 4


def test_a_failed_load_is_not_tried_again_for_the_same_request_even_without_a_backoff() -> None:
    desk = Desk(Limits(backoff_s=0))
    desk.ask(A)
    assert desk.failed("a") == ["refuse 1 model_failed"]


def test_crashes_are_forgotten_when_it_was_taken_down_in_order() -> None:
    desk = Desk()
    desk.load(A, keep=True)
    desk.loaded("a")
    desk.died("a")
    desk.tick(after=1)
    desk.loaded("a")
    desk.unload("a")
    assert desk.stopped("a") == []
    assert desk.states == {}


def test_crashes_are_forgotten_after_a_while() -> None:
    desk = Desk(Limits(backoff_s=2, backoff_most_s=10))
    desk.ask(A)
    desk.failed("a")
    assert desk.wake() == 12
    desk.tick(after=12)
    assert desk.states == {}


def test_a_preloaded_model_is_brought_back_after_a_crash_but_not_if_it_never_came_up() -> None:
    desk = Desk(Limits(backoff_s=2))
    desk.load(A, keep=True)
    desk.loaded("a")
    desk.died("a")
    assert desk.tick(after=2) == ["start a"]
    desk.failed("a")
    assert desk.tick(after=4) == ["start a"]
    desk.load(B, keep=True)
    desk.failed("b")
    assert desk.tick(after=50) == []
    assert not desk.state("b").pinned


def test_a_crash_frees_the_memory_at_once() -> None:
    desk = Desk(budget=BUDGET)
    desk.up(MID)
    desk.ask(MID)
    desk.ask(BIG)
    assert desk.died("mid") == ["start big"]
