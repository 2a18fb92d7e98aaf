"""Taking variants out of the store, unless somebody uses them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

from assay.errors import UnknownModel, VariantInUse
from assay.store.held import Holder
from assay.store.layout import slug
from assay.store.store import Store


class Removed(NamedTuple):
    """A variant that is gone. ``freed`` are the bytes that the disk has back: none for what lies elsewhere."""

    id: str
    freed: int


def remove(store: Store, ids: Iterable[str], *, everything: bool = False) -> list[Removed]:
    """Remove the variants ``ids``, or everything; files that are linked stay where they lie.

    Nothing is removed unless all can be: each is locked first, so that nobody begins to use one meanwhile.

    Raises:
        UnknownModel: an id is not in the store. VariantInUse: a process uses one. StoreError: a file cannot be removed.
    """
    asked = [stored.variant.id for stored in store.list()] if everything else list(ids)
    chosen = {slug(id_): id_ for id_ in asked}
    with ExitStack() as locks:
        for name in sorted(chosen):
            locks.enter_context(store.lock(chosen[name]))
        there = [stored for id_ in chosen.values() if (stored := store.find(id_))]
        missing = set(chosen) - {slug(stored.variant.id) for stored in there}
        if missing and not everything:
            names = ", ".join(sorted(chosen[name] for name in missing))
            raise UnknownModel(f"{names} is not on this machine", remedy="see what is there: assay cache list")
        for stored in there:
            refuse_used(store, stored.variant.id)
        removed = []
        for stored in there:
            freed = store.disk(stored)[0]
            store.drop(stored.variant.id)
            removed.append(Removed(stored.variant.id, freed))
    return removed


def refuse_used(store: Store, id_: str) -> None:
    """Raise ``VariantInUse`` where a live process uses the variant."""
    holders = store.holders(id_)
    if holders:
        raise VariantInUse(
            f"{id_} is in use",
            why=f"by {', '.join(_program(holder) for holder in holders)}",
            remedy="end that first (assay model unload, assay service stop), then try again",
        )


def _program(holder: Holder) -> str:
    """``process 4711 (python3), since 2026-10-02T08:11:00Z``."""
    import psutil

    try:
        name = f" ({psutil.Process(holder.pid).name()})"
    except psutil.Error:
        name = ""
    return f"process {holder.pid}{name}, since {holder.since}"
