"""What is done with the models on this machine: list, verify, remove, prune, move.

In: names and flags. Out: what is there, what was found wrong, what went.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

from assay import catalog, disk, store
from assay.app import given
from assay.app.here import open_here
from assay.errors import BadInput, UnknownModel
from assay.settings import keep
from assay.types import Reporter, Silent, Stored

EVERYTHING = "*"
Move = Literal["move", "point"]


class Kept(Struct, frozen=True, kw_only=True):
    """One model in the store. ``own`` bytes are freed by its removal; ``linked`` ones lie elsewhere too."""

    stored: Stored
    path: str
    own: int
    linked: int
    in_use: bool


class Contents(Struct, frozen=True, kw_only=True):
    """What lies in the store at ``folder``; ``problems`` are records that cannot be read."""

    folder: str
    models: tuple[Kept, ...]
    problems: tuple[str, ...]


def cached(*, home: str | Path | None = None) -> Contents:
    """Everything in the store, by id."""
    models = open_here({"home": home}).store
    kept = []
    for stored in models.list():
        own, linked = models.disk(stored)
        in_use = bool(models.holders(stored.variant.id))
        kept.append(Kept(stored=stored, path=str(models.placed(stored).path), own=own, linked=linked, in_use=in_use))
    return Contents(folder=str(models.folder), models=tuple(kept), problems=tuple(models.problems()))


def cache_location(*, home: str | Path | None = None) -> Path:
    """Where the store lies."""
    return open_here({"home": home}).store.folder


def move_cache(
    folder: str | Path, *, how: Move, home: str | Path | None = None, reporter: Reporter | None = None
) -> Path:
    """Have the store in ``folder`` from now on: with what is in it (``move``), or whatever lies there (``point``).

    Raises:
        VariantInUse: a model is in use. NoRoom: the other disk is too full. StoreError: the folder cannot be used.
        BadInput: no folder, or one that a variable sets.
    """
    if not str(folder).strip():
        raise BadInput("which folder is the store to be in?", remedy="assay cache cd PATH")
    here = open_here({"home": home})
    if here.settings.source("models_folder") == "ASSAY_MODELS":
        raise BadInput(
            "the folder of the models is set by ASSAY_MODELS",
            why="a variable comes before the file that this command writes",
            remedy="change or unset ASSAY_MODELS",
        )
    new = disk.expanded(str(folder)).absolute()

    def point(place: Path) -> None:
        keep(here.settings.home, "models.folder", str(place))

    return store.move(here.store.folder, new, how=how, point=point, reporter=reporter or Silent()).folder


def remove_models(names: Sequence[str], *, home: str | Path | None = None) -> list[store.Removed]:
    """Remove models by alias or id; ``*`` removes all.

    Raises:
        UnknownModel: one of them is not here. VariantInUse: a process uses one; then nothing is removed.
    """
    models = open_here({"home": home}).store
    if EVERYTHING in names:
        return store.remove(models, [], everything=True)
    return store.remove(models, stored_ids(models, names))


def verify_models(
    names: Sequence[str] = (), *, home: str | Path | None = None, reporter: Reporter | None = None
) -> list[store.Checked]:
    """Hash the files of the named models, or of all, and hold them against their records."""
    models = open_here({"home": home}).store
    ids = None if not names or EVERYTHING in names else stored_ids(models, names)
    return store.verify(models, ids, reporter or Silent())


def prune_plan(
    *, older_than: str | None = None, unused: bool = False, over: str | None = None, home: str | Path | None = None
) -> store.Plan:
    """What a prune would remove: leftovers always, models by age (``30d``), by never having run, by size (``40GB``).

    Raises:
        BadInput: an age or a size that is none.
    """
    models = open_here({"home": home}).store
    now = datetime.now(UTC)
    return store.plan(
        store.look(models, now), now, older_than=given.age(older_than), unused=unused, over=given.size("--over", over)
    )


def prune(plan: store.Plan, *, home: str | Path | None = None) -> int:
    """Remove what the plan names; gives the bytes that the disk has back."""
    return store.carry_out(open_here({"home": home}).store, plan)


def stored_ids(models: store.Store, names: Sequence[str]) -> list[str]:
    """Ids in the store of variants that are called so, or whose alias is.

    Raises:
        UnknownModel: nothing is called so.
    """
    there = [stored.variant for stored in models.list()]
    found: list[str] = []
    for name in names:
        wanted = name.strip().lower()
        named = [v.id for v in there if wanted == v.id.lower()] or [v.id for v in there if wanted == v.alias.lower()]
        if not named:
            near = catalog.near_names(wanted, [*(v.id for v in there), *(v.alias for v in there)])
            raise UnknownModel(
                f"{name} is not in the store",
                why=f"near names: {', '.join(near)}" if near else None,
                remedy="see what is there: assay cache list",
            )
        found += named
    return list(dict.fromkeys(found))
