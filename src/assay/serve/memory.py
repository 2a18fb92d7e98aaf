"""What fits into memory, and which models go for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from assay.serve.offer import Offer

DISK_TO_MEMORY = 1.2
"""Memory of a model of which only its files are known: they, and a fifth for its cache and buffers."""
UNKNOWN_LOAD_S = 10.0
"""What a load is reckoned to take where none was seen and none estimated."""
Use = Literal["idle", "busy", "yielding", "going", "fixed"]


class Holding(Struct, frozen=True, kw_only=True):
    """What is kept for one model.

    ``reserved`` is in bytes, None: nothing is known of its size, so nothing may start beside it. ``use``: an ``idle``
    model may go now; a ``busy`` one when what it is at has ended; a ``yielding`` one is busy and will be stopped for
    who waits; a ``going`` one is on its way down; a ``fixed`` one stays. ``cost`` is what it costs to lose it.
    """

    model: str
    reserved: int | None
    use: Use = "fixed"
    cost: float = 0.0

    @property
    def size(self) -> float:
        return math.inf if self.reserved is None else self.reserved


class Plan(Struct, frozen=True):
    """What it takes to start a model.

    ``start``: it fits now. ``evict``: after ``victims``, all idle, have gone. ``coming``: what it needs is on its way.
    ``hold``: after ``victims``, some of them busy, have gone. ``wait``: when models that are at work now have ended.
    ``never``: not even then.
    """

    verdict: Literal["start", "evict", "coming", "hold", "wait", "never"]
    victims: tuple[str, ...] = ()


def size_of(offer: Offer) -> int | None:
    """Bytes to keep for an offer; None where neither an estimate nor the size of its files is known."""
    if offer.remote:
        return 0
    if offer.needs is not None:
        return offer.needs
    disk = offer.variant.disk
    return None if disk is None else math.ceil(disk * DISK_TO_MEMORY)


def cost_of(seconds: float | None, idle: float) -> float:
    """What it costs to lose a model: seconds of a load, less the longer nobody asked for it (``idle`` seconds)."""
    return (UNKNOWN_LOAD_S if seconds is None else seconds) / (1 + idle)


class Memory(Struct, frozen=True):
    """Who holds what of the memory that models may take together. Bytes; None: without bound, or unknown.

    ``budget`` is what they may take; ``machine`` what they could take, as far as other programs leave it: what is free
    and what they have taken of it already. ``unsure`` is the part of that which may not be there, because models were
    on their way up or down when it was read: nothing starts into it, and nobody is refused or goes for the lack of it.
    """

    budget: int | None
    machine: int | None
    holdings: tuple[Holding, ...] = ()
    unsure: int = 0

    @property
    def total(self) -> int | None:
        bounds = [bound for bound in (self.budget, self.machine) if bound is not None]
        return min(bounds, default=None)

    def room(self, gone: Iterable[str] = ()) -> int | None:
        """Bytes for a further model if ``gone`` were gone; below 0 where too much is promised; None: without bound."""
        away = frozenset(gone)
        kept = [holding.reserved for holding in self.holdings if holding.model not in away]
        if None in kept:
            return 0
        return None if self.total is None else self.total - sum(size or 0 for size in kept)

    def fits(self, needs: int | None, gone: Iterable[str] = ()) -> bool:
        """Whether a model fits in beside those that are not ``gone``; one of unknown size only where it is alone."""
        if needs == 0:
            return True
        away = frozenset(gone)
        if needs is None:
            return not any(holding.size for holding in self.holdings if holding.model not in away)
        room = self.room(away)
        return room is None or needs <= room

    def plan(self, needs: int | None, held: frozenset[str] = frozenset()) -> Plan:
        """How a model of that size gets in; ``held`` are busy models that may be asked to make room for it."""
        sure = self.machine if self.machine is None else self.machine - self.unsure
        if replace(self, machine=sure).fits(needs):
            return Plan("start")
        coming = self._of("going", "yielding")
        if self.fits(needs, coming):
            return Plan("coming")
        idle = self._cheapest(needs, coming, [h for h in self.holdings if h.use == "idle"])
        if idle:
            return Plan("evict", idle)
        able = [h for h in self.holdings if h.use == "idle" or (h.use == "busy" and h.model in held)]
        busy = self._cheapest(needs, coming, able)
        if busy:
            return Plan("hold", busy)
        return Plan("wait" if self.fits(needs, self._of("going", "yielding", "idle", "busy")) else "never")

    def _of(self, *uses: Use) -> tuple[str, ...]:
        return tuple(holding.model for holding in self.holdings if holding.use in uses)

    def _cheapest(self, needs: int | None, coming: tuple[str, ...], able: Sequence[Holding]) -> tuple[str, ...]:
        """As many as are needed and no more, the cheapest to lose first; nobody where all would not suffice."""
        able = sorted((h for h in able if h.size), key=lambda h: (h.cost, h.model))
        if not self.fits(needs, (*coming, *(h.model for h in able))):
            return ()
        chosen: list[Holding] = []
        for holding in able:
            chosen.append(holding)
            if self.fits(needs, (*coming, *(h.model for h in chosen))):
                break
        for holding in reversed(chosen[:-1]):
            rest = [h for h in chosen if h is not holding]
            if self.fits(needs, (*coming, *(h.model for h in rest))):
                chosen = rest
        return tuple(holding.model for holding in chosen)
