"""Under load: who waits, who is next, who is refused with what words, and what else can serve a name."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from assay.serve import Grant, Limits
from tests.serve.asking import BROKEN, GB, A, B, C, Desk, offer

FAR = offer("far", remote=True)
HUGE = offer("huge", 40 * GB)


# Slots and turns


def test_a_model_serves_as_many_at_once_as_it_has_slots() -> None:
    desk = Desk()
    two = offer("a", slots=2)
    desk.up(two)
    assert [desk.ask(two) for _ in range(3)] == [["grant 1 a"], ["grant 2 a"], []]
    assert desk.scheduler.queued() == desk.state("a").waiting == 1
    assert desk.state("a").running == desk.state("a").used == 2
    assert desk.done(1) == ["grant 3 a"]


def test_the_engine_has_the_last_word_on_its_slots() -> None:
    desk = Desk()
    for _ in range(4):
        desk.ask(offer("a", slots=2))
    assert desk.loaded("a", slots=3) == ["grant 1 a", "grant 2 a", "grant 3 a"]


def test_clients_take_turns_however_many_requests_one_of_them_has_sent() -> None:
    desk = Desk()
    desk.up(A)
    for _ in range(4):
        desk.ask(A, client="ann")
    desk.ask(A, client="bob")
    desk.ask(A, client="cid")
    order = [1]
    for _ in range(5):
        desk.done(order[-1])
        order.append(desk.grant.ticket)
    assert order == [1, 2, 5, 6, 3, 4]


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.just("ask"), st.sampled_from(["ann", "bob", "cid"]), st.integers(1, 6))
        | st.tuples(st.sampled_from(["done", "leave"]), st.just(""), st.integers(0, 5)),
        max_size=80,
    ),
)
def test_what_two_clients_get_while_both_wait_stays_even(slots: int, events: list[tuple[str, str, int]]) -> None:
    """Within a ticket where each takes one slot; else within what a round's heaviest tickets take of both."""
    desk = Desk()
    model = offer("a", slots=slots)
    desk.up(model)
    costs: dict[int, tuple[str, int]] = {}
    waiting: dict[str, set[int]] = defaultdict(set)
    running: list[int] = []
    ahead: Counter[tuple[str, str]] = Counter()
    heaviest = 1
    for kind, client, number in events:
        queued = sorted(set().union(*waiting.values()))
        if kind == "ask":
            desk.ask(model, client=client, weight=number)
            takes = number if number <= slots else max(1, slots - 1)
            costs[desk.tickets] = client, takes
            waiting[client].add(desk.tickets)
            heaviest = max(heaviest, takes)
        elif kind == "done" and running:
            desk.done(running.pop(number % len(running)))
        elif kind == "leave" and queued:
            gone = queued[number % len(queued)]
            waiting[costs[gone][0]].discard(gone)
            desk.leave(gone)
        else:
            continue
        for granted in (action.ticket for action in desk.actions if isinstance(action, Grant)):
            own, cost = costs[granted]
            both = [other for other in waiting if other != own and waiting[other]]
            waiting[own].discard(granted)
            running.append(granted)
            for other in both:
                ahead[own, other] += cost
                assert ahead[own, other] - ahead[other, own] <= 2 * heaviest - 1
        for one, other in list(ahead):
            if not waiting[one] or not waiting[other]:
                del ahead[one, other]


def test_a_request_takes_as_many_slots_as_it_starts_generations_and_leaves_one_where_they_are_too_few() -> None:
    desk = Desk()
    four = offer("a", slots=4)
    desk.up(four)
    assert desk.ask(four, weight=3) == ["grant 1 a"]
    assert desk.ask(four, weight=100, client="bob") == []
    assert desk.done(1) == ["grant 2 a"]
    assert desk.state("a").used == 3
    assert desk.ask(four, client="cid") == ["grant 3 a"]
    assert desk.done(2) == []
    assert desk.done(3) == []
    assert desk.state("a").used == 0


def test_a_heavy_request_at_the_head_is_not_overtaken() -> None:
    desk = Desk()
    two = offer("a", slots=2)
    desk.up(two)
    desk.ask(two)
    assert desk.ask(two, weight=2, client="bob") == []
    assert desk.ask(two, client="cid") == []
    assert desk.ask(two, client="ann") == []
    assert desk.done(1) == ["grant 2 a"]
    assert desk.done(2) == ["grant 3 a", "grant 4 a"]


def test_who_leaves_the_queue_hears_nothing_and_lets_others_through() -> None:
    desk = Desk()
    two = offer("a", slots=2)
    desk.up(two)
    desk.ask(two)
    desk.ask(two, weight=2, client="bob")
    desk.ask(two, client="cid")
    assert desk.leave(2) == ["grant 3 a"]
    assert desk.done(1) == []
    assert desk.done(3) == []
    assert desk.scheduler.queued() == 0


def test_leaving_after_the_grant_ends_it() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.ask(A)
    assert desk.leave(1) == ["grant 2 a"]


# Bounds


def test_a_full_queue_of_a_model_refuses_with_429_and_when_to_come_back() -> None:
    desk = Desk(Limits(queue_per_model=2))
    desk.up(A)
    desk.ask(A)
    desk.done(1, after=6)
    for _ in range(3):
        desk.ask(A)
    assert desk.ask(A) == ["refuse 5 queue_full"]
    assert desk.refusal.status == 429
    assert desk.refusal.message == "the queue for a is full (2 waiting); try again in about 18 s"
    assert desk.refusal.retry_after == 18


def test_without_a_queue_only_those_are_served_who_need_not_wait() -> None:
    desk = Desk(Limits(queue_per_model=0))
    desk.up(A)
    assert desk.ask(A) == ["grant 1 a"]
    assert desk.ask(A) == ["refuse 2 queue_full"]


def test_the_bound_of_one_model_is_not_another_ones() -> None:
    desk = Desk(Limits(queue_per_model=1))
    desk.up(A, B)
    for _ in range(2):
        desk.ask(A)
    assert desk.ask(A) == ["refuse 3 queue_full"]
    assert desk.ask(B) == ["grant 4 b"]
    assert desk.ask(B) == []


def test_the_queues_together_are_bounded_but_a_request_that_need_not_wait_is_served() -> None:
    desk = Desk(Limits(queue=2))
    desk.up(A, B)
    for _ in range(3):
        desk.ask(A)
    assert desk.ask(C, client="bob") == ["refuse 4 queue_full"]
    assert desk.refusal.message == "the service's queue is full (2 waiting); try again in about 5 s"
    assert "c" not in desk.states
    assert desk.ask(B, client="bob") == ["grant 5 b"]


def test_what_one_client_may_wait_with_is_bounded() -> None:
    desk = Desk(Limits(queue_per_client=2))
    desk.up(A)
    for _ in range(3):
        desk.ask(A)
    assert desk.ask(B) == ["refuse 4 queue_full"]
    assert "this client's queue is full (2 waiting)" in desk.refusal.message
    assert desk.ask(A, client="bob") == []
    desk.leave(2)
    assert desk.ask(A) == []


def test_when_to_come_back_counts_the_load_the_queue_and_the_slots() -> None:
    desk = Desk(Limits(queue_per_model=3))
    slow = offer("slow", seconds=30, slots=2)
    for _ in range(3):
        desk.ask(slow)
    desk.now += 10
    desk.ask(slow)
    assert desk.refusal.retry_after == 20 + 2
    desk.loaded("slow", after=20)
    desk.done(1, after=10)
    desk.done(2)
    desk.ask(slow)
    for _ in range(3):
        desk.ask(slow)
    desk.ask(slow)
    assert desk.refusal.retry_after == 10 * 4 / 2


def test_when_to_come_back_is_bounded() -> None:
    desk = Desk(Limits(queue_per_model=1, wait_s=90))
    slow = offer("slow", seconds=3000)
    desk.ask(slow)
    desk.ask(slow)
    assert desk.refusal.retry_after == 90


# Deadlines


def test_a_request_is_refused_when_its_deadline_comes() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.ask(A, wait=5)
    assert desk.wake() == 5
    assert desk.tick(after=4) == []
    assert desk.tick(after=1) == ["refuse 2 queue_timeout"]
    assert desk.refusal.status == 503
    assert desk.refusal.message == "the request waited 5.0 s for a, and others were served first"
    assert desk.refusal.retry_after is not None
    assert desk.done(1) == []


def test_a_refusal_for_time_tells_what_it_waited_for() -> None:
    desk = Desk(budget=GB)
    desk.up(A)
    desk.ask(A)
    desk.ask(B, wait=5)
    desk.tick(after=5)
    assert desk.refusal.message == "the request waited 5.0 s for b, and there was no room in memory to load it"
    desk.done(1)
    desk.unload("a")
    desk.ask(B, wait=5)
    desk.tick(after=5)
    assert desk.refusal.message.endswith("there was no room in memory to load it")
    desk.stopped("a")
    desk.ask(B, wait=5)
    desk.tick(after=5)
    assert desk.refusal.message.endswith("it was still being loaded")
    desk.loaded("b")
    desk.died("b")
    desk.ask(B, wait=0.5)
    desk.tick(after=0.5)
    assert desk.refusal.message.endswith("it was down after a crash")


def test_who_does_not_want_to_wait_is_served_at_once_or_not_at_all() -> None:
    desk = Desk()
    desk.up(A)
    assert desk.ask(A, wait=0) == ["grant 1 a"]
    assert desk.ask(A, wait=0) == ["refuse 2 queue_timeout"]
    assert desk.ask(B, wait=0) == ["refuse 3 queue_timeout"]
    assert "b" not in desk.states


def test_who_waits_without_an_end_needs_no_waking() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.ask(A, wait=float("inf"))
    assert desk.wake() is None


# No room


def test_what_cannot_fit_is_refused_with_what_it_needs_what_is_free_and_what_would_fit() -> None:
    desk = Desk(budget=10 * GB)
    desk.load(offer("kept", 4 * GB), keep=True)
    desk.loaded("kept")
    desk.up(offer("idle", 5 * GB))
    assert desk.ask(HUGE, others=(offer("huge:q8", 20 * GB), offer("huge:q4", 6 * GB), A)) == [
        "refuse 1 insufficient_memory"
    ]
    assert desk.refusal.status == 503
    assert desk.refusal.retry_after is None
    assert desk.refusal.message == (
        "huge needs 40.0 GB of memory and 1.0 GB is free, 6.0 GB with every other model gone; "
        "all models together may take 10.0 GB; huge:q4 would fit (6.0 GB)"
    )
    assert "huge" not in desk.states


def test_a_refusal_for_room_says_when_no_variant_would_fit() -> None:
    desk = Desk(free=3 * GB)
    desk.ask(HUGE, others=(HUGE, offer("huge:q8", 20 * GB)))
    assert desk.refusal.message == ("huge needs 40.0 GB of memory and 3.0 GB is free; no other variant of it would fit")
    desk.ask(HUGE)
    assert desk.refusal.message == "huge needs 40.0 GB of memory and 3.0 GB is free"


def test_a_refusal_for_room_of_unknown_size_names_what_stays() -> None:
    desk = Desk(budget=10 * GB)
    desk.load(A, keep=True)
    desk.loaded("a")
    desk.ask(offer("odd", None))
    assert desk.refusal.message == (
        "it is not known how much memory odd needs, so it is loaded alone, and a stays loaded"
    )


def test_who_waits_for_room_is_refused_when_there_can_be_none_any_more() -> None:
    desk = Desk(budget=10 * GB, free=10 * GB)
    desk.up(offer("mid", 6 * GB))
    desk.ask(offer("mid", 6 * GB))
    assert desk.ask(offer("new", 8 * GB)) == []
    desk.scheduler.load(offer("mid"), desk.now, keep=True)
    assert desk.tick() == []
    assert "new" not in desk.states


# What else can serve a name


def test_offers_are_tried_in_their_order_and_the_grant_tells_why_some_were_passed_over() -> None:
    desk = Desk(budget=10 * GB)
    assert desk.ask(HUGE, A, FAR) == ["start a"]
    assert desk.loaded("a") == ["grant 1 a"]
    assert desk.grant.passed == (
        "huge needs 40.0 GB of memory and 10.0 GB is free; all models together may take 10.0 GB",
    )


def test_a_later_offer_that_is_up_does_not_tempt_from_an_earlier_one_that_can_be_had() -> None:
    desk = Desk()
    desk.up(B)
    assert desk.ask(A, B) == ["start a"]
    assert desk.ask(A, B) == []
    desk.loaded("a")
    assert not desk.grant.passed


def test_who_can_have_the_first_offer_by_waiting_for_memory_waits() -> None:
    desk = Desk(budget=10 * GB)
    mid = offer("mid", 6 * GB)
    desk.up(mid)
    desk.ask(mid)
    assert desk.ask(offer("new", 6 * GB), FAR) == []
    assert desk.done(1) == ["stop mid"]


def test_a_full_queue_sends_on_to_the_next_offer() -> None:
    desk = Desk(Limits(queue_per_model=1))
    desk.up(A)
    desk.load(FAR)
    desk.loaded("far")
    desk.ask(A)
    desk.ask(A)
    assert desk.ask(A, FAR) == ["grant 3 far"]
    assert desk.grant.passed[0].startswith("the queue for a is full (1 waiting)")


def test_a_failed_load_sends_its_waiters_on_to_their_next_offers() -> None:
    desk = Desk()
    desk.ask(A, B)
    desk.ask(A)
    desk.ask(A, FAR)
    assert desk.failed("a") == ["refuse 2 model_failed", "start b", "start far"]
    assert desk.loaded("far") == ["grant 3 far"]
    assert desk.grant.passed == (BROKEN.message,)
    assert desk.loaded("b") == ["grant 1 b"]


def test_a_crash_sends_on_who_has_another_offer_and_the_others_wait() -> None:
    desk = Desk()
    desk.up(A)
    desk.ask(A)
    desk.ask(A, FAR)
    desk.ask(A, HUGE)
    desk.ask(A)
    desk.free = 8 * GB
    assert desk.died("a") == ["start far"]
    assert desk.loaded("far") == ["grant 2 far"]
    assert desk.grant.passed == ("a crashed once, the last time because it was killed by signal 9",)
    assert desk.tick(after=1) == ["start a"]
    assert desk.loaded("a") == ["grant 3 a"]
    assert not desk.grant.passed


def test_a_model_in_its_backoff_is_passed_over_while_another_can_serve() -> None:
    desk = Desk()
    desk.up(A)
    desk.died("a")
    assert desk.ask(A, FAR) == ["start far"]
    assert desk.ask(A, HUGE) == ["start huge"]
    assert desk.tick(after=1) == []
    assert desk.ask(A, FAR) == ["start a"]


def test_when_every_offer_fails_the_refusal_tells_all_reasons_and_the_most_hopeful_code() -> None:
    desk = Desk(Limits(queue_per_model=1, backoff_s=50), budget=10 * GB)
    desk.ask(B)
    desk.failed("b")
    desk.up(A)
    desk.ask(A)
    desk.ask(A)
    assert desk.ask(HUGE, B, A) == ["refuse 4 queue_full"]
    assert desk.refusal.status == 429
    assert desk.refusal.retry_after == 2
    assert desk.refusal.message == (
        "nothing that serves 'name' can be used now: huge needs 40.0 GB of memory and 9.0 GB is free, 10.0 GB with "
        "every other model gone; all models together may take 10.0 GB; its file is damaged; "
        "the queue for a is full (1 waiting); try again in about 2 s"
    )


def test_who_waits_in_a_full_queue_keeps_its_place_through_a_crash() -> None:
    desk = Desk(Limits(queue_per_model=2))
    desk.up(A)
    for _ in range(3):
        desk.ask(A)
    assert desk.died("a") == []
    assert desk.state("a").waiting == 2
