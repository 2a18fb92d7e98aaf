"""Who is next for a model: clients in turn, and a client's requests in the order in which they came."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct


class Turn(Struct):
    """A client's place in the round: its tickets with the slots that each takes, and the rounds it has to sit out."""

    entries: OrderedDict[int, int]
    debt: int = 0


class FairQueue:
    """Round robin over clients, by weight: who takes ``cost`` slots at once sits out ``cost - 1`` rounds afterwards.

    Serving first and paying later (where deficit round robin saves up first) means that the next in turn stays the
    next until it is served or leaves: a heavy ticket at the head is not overtaken while it waits for enough slots.
    A client that has left the queue stays in the round until it has paid, so asking again one by one gains nothing.
    """

    def __init__(self) -> None:
        self._round: OrderedDict[str, Turn] = OrderedDict()
        self._clients: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._clients

    def tickets(self) -> tuple[int, ...]:
        """All that wait, in the order in which they came."""
        return tuple(self._clients)

    def put(self, ticket: int, client: str, cost: int = 1) -> None:
        """At the end of its client's line; a client that was not waiting comes at the end of the round."""
        self._round.setdefault(client, Turn(OrderedDict())).entries[ticket] = cost
        self._clients[ticket] = client

    def drop(self, ticket: int) -> None:
        """It waits no longer. Raise ``KeyError`` where it did not."""
        client = self._clients.pop(ticket)
        turn = self._round[client]
        del turn.entries[ticket]
        if not turn.entries and not turn.debt:
            del self._round[client]
        if not self._clients:
            self._round.clear()

    def head(self) -> int | None:
        """The ticket that is next: the same until it is taken or dropped. None: nobody waits."""
        if not self._clients:
            return None
        while True:
            client, turn = next(iter(self._round.items()))
            if turn.debt:
                turn.debt -= 1
                self._round.move_to_end(client)
                if not turn.debt and not turn.entries:
                    del self._round[client]
            elif turn.entries:
                return next(iter(turn.entries))

    def take(self) -> int:
        """Take the next ticket out. Raise ``IndexError`` where nobody waits."""
        ticket = self.head()
        if ticket is None:
            raise IndexError("nobody waits")
        client = self._clients[ticket]
        turn = self._round[client]
        turn.debt = turn.entries[ticket] - 1
        self._round.move_to_end(client)
        self.drop(ticket)
        return ticket
