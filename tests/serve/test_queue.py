from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.serve.queue import FairQueue


def served(queue: FairQueue) -> list[int]:
    return [queue.take() for _ in range(len(queue))]


def test_one_client_is_served_in_the_order_in_which_it_asked() -> None:
    queue = FairQueue()
    for ticket in (3, 1, 2):
        queue.put(ticket, "ann")
    assert served(queue) == [3, 1, 2]


def test_clients_take_turns_whoever_came_first_with_how_many() -> None:
    queue = FairQueue()
    for ticket in (1, 2, 3, 4):
        queue.put(ticket, "ann")
    queue.put(5, "bob")
    queue.put(6, "cid")
    queue.put(7, "bob")
    assert served(queue) == [1, 5, 6, 2, 7, 3, 4]


def test_who_takes_several_slots_sits_out_as_many_rounds() -> None:
    queue = FairQueue()
    queue.put(1, "ann", 3)
    queue.put(2, "ann", 1)
    for ticket in (3, 4, 5, 6):
        queue.put(ticket, "bob")
    assert served(queue) == [1, 3, 4, 5, 2, 6]


def test_coming_back_for_each_ticket_does_not_save_the_rounds_to_sit_out() -> None:
    queue = FairQueue()
    queue.put(1, "ann", 3)
    for ticket in (3, 4, 5, 6):
        queue.put(ticket, "bob")
    assert queue.take() == 1
    queue.put(2, "ann")
    assert served(queue) == [3, 4, 5, 2, 6]


def test_the_next_stays_the_next_while_others_come() -> None:
    queue = FairQueue()
    queue.put(1, "ann", 8)
    queue.put(2, "bob")
    assert queue.head() == 1
    queue.put(3, "cid")
    assert queue.head() == 1
    queue.drop(1)
    assert queue.head() == 2


def test_nobody_waits_in_an_empty_queue() -> None:
    queue = FairQueue()
    assert queue.head() is None
    with pytest.raises(IndexError):
        queue.take()
    with pytest.raises(KeyError):
        queue.drop(1)
    queue.put(1, "ann")
    queue.drop(1)
    assert queue.head() is None
    assert 1 not in queue


WAITING = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5)), min_size=1, max_size=40)


@given(WAITING, st.data())
def test_each_ticket_that_does_not_leave_is_served_once(waiting: list[tuple[str, int]], data: st.DataObject) -> None:
    queue = FairQueue()
    for ticket, (client, cost) in enumerate(waiting):
        queue.put(ticket, client, cost)
    left = data.draw(st.sets(st.sampled_from(range(len(waiting)))))
    for ticket in left:
        queue.drop(ticket)
    took = served(queue)
    assert sorted(took) == sorted(set(range(len(waiting))) - left)
    for client in "abcd":
        own = [ticket for ticket in took if waiting[ticket][0] == client]
        assert own == sorted(own)
    assert queue.head() is None


@given(WAITING)
def test_what_clients_got_while_all_wait_differs_by_one_ticket_at_most(waiting: list[tuple[str, int]]) -> None:
    """A weight is paid for in the rounds after it, so nobody is further ahead than by the heaviest one."""
    queue = FairQueue()
    left: Counter[str] = Counter()
    for ticket, (client, cost) in enumerate(waiting):
        queue.put(ticket, client, cost)
        left[client] += 1
    got = Counter(dict.fromkeys(left, 0))
    heaviest = max(cost for _, cost in waiting)
    while len(queue) and min(left.values()) > 0:
        ticket = queue.take()
        client, cost = waiting[ticket]
        left[client] -= 1
        got[client] += cost
        assert max(got.values()) - min(got.values()) <= heaviest
