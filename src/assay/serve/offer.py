"""What a name can be served by: variants of this machine and upstreams, in the order in which they are tried."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from assay.disk import Stamp
from assay.types import EngineOptions, Variant

UPSTREAM_SLOTS = 64
"""Requests at once that an upstream is sent; it has a queue of its own."""


class Offer(Struct, frozen=True, kw_only=True):
    """One way to serve a name: a variant on an engine of this machine, or an upstream (``format="remote"``).

    ``needs`` is the memory that it is reckoned to take with ``options``, in bytes; None where nothing is known of it,
    0 for an upstream. ``seconds`` is what a load took or is reckoned to take; None where unknown. ``stamps`` are
    those of its files, None of one that is not there; empty where files do not change.
    """

    variant: Variant
    engine: str
    options: EngineOptions = EngineOptions()
    needs: int | None = None
    seconds: float | None = None
    stamps: tuple[Stamp | None, ...] = ()

    @property
    def id(self) -> str:
        """The variant's id: what is loaded once, whatever name it was asked for by."""
        return self.variant.id

    @property
    def remote(self) -> bool:
        return self.variant.format == "remote"

    def differs(self, other: Offer) -> bool:
        """Whether what goes by the same id has other files, or is reached otherwise."""
        return self._made_of() != other._made_of()

    def _made_of(self) -> tuple[object, ...]:
        one = self.variant
        return (one.source, one.served_id, one.key) if self.remote else (one.format, one.path, self.stamps)

    @property
    def slots(self) -> int:
        """Generations at once."""
        return UPSTREAM_SLOTS if self.remote else self.options.slots


class Route(Struct, frozen=True, kw_only=True):
    """What a name stands for now. ``offers`` are tried in turn; there is at least one.

    ``others`` are further variants of the same alias: they are not tried, but told of where nothing fits. ``missing``
    tells of each name of a list that is not here why, and how many offers stand before it.
    """

    name: str
    offers: tuple[Offer, ...]
    others: tuple[Offer, ...] = ()
    missing: tuple[tuple[int, str], ...] = ()

    def skipped(self, offer: Offer) -> tuple[str, ...]:
        """Why what stands before an offer is not here."""
        before = [one.id for one in self.offers].index(offer.id)
        return tuple(why for at, why in self.missing if at <= before)


class Listed(Struct, frozen=True, kw_only=True):
    """A name that requests may use, and the variant that it means at this moment.

    ``tries`` are the ids of what a fallback list tries in turn.
    """

    id: str
    kind: Literal["alias", "variant", "route"]
    variant: Variant
    tries: tuple[str, ...] = ()
