"""The right to ask a model, from the grant to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from assay.serve.actions import Grant
from assay.serve.effects import Live
from assay.serve.offer import Offer
from assay.serve.ticket import Ticket
from assay.types import Variant


class Lease:
    """What a request was granted. ``waited`` and ``loading`` are seconds, as in ``Grant``.

    ``problem`` says why the model cannot answer the request any more: its process has ended, it was stuck and killed,
    it was taken down by force, the service stops. ``broken`` is set with it and ``on_broken`` called: a stream is then
    to end with an error.
    """

    def __init__(
        self,
        ticket: Ticket,
        offer: Offer,
        live: Live,
        grant: Grant,
        *,
        suspect: Callable[[Live, str, str], None],
    ) -> None:
        self.ticket = ticket
        self.offer = offer
        self.live = live
        self.waited = grant.waited
        self.loading = grant.loading
        self.passed = grant.passed
        """Why other offers of the name were passed over, in the order in which they were tried."""
        self.problem: str | None = None
        self.broken = asyncio.Event()
        self.on_broken: Callable[[], None] | None = None
        self._suspect = suspect

    @property
    def variant(self) -> Variant:
        """The model that answers."""
        return self.offer.variant

    def failed(self, why: str) -> None:
        """Tell that its address did not answer as a server does: no connection, or one that broke.

        An upstream is then left alone for a while, by other requests too; a worker is looked at, and restarted where
        it has ended. Where no byte of an answer was passed on, ``Service.lease(..., after=this)`` tries once more.
        """
        if self.offer.remote:
            self.end(why)
        self._suspect(self.live, self.offer.id, why)

    def end(self, problem: str) -> None:
        """Break it. The first reason stands."""
        if self.problem is None:
            self.problem = problem
            self.broken.set()
            if self.on_broken is not None:
                self.on_broken()
