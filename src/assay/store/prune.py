"""What in the store is old or left over: first what would go and why, then, when that is wanted, its going.

``look`` reads the store, ``plan`` decides, ``carry_out`` deletes what the plan names and is still as it was.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

from assay.amounts import format_amount
from assay.errors import StoreError, UnknownModel, VariantInUse
from assay.store.held import holders
from assay.store.part_lock import Stopped, locked
from assay.store.remove import remove
from assay.store.store import Store
from assay.types import Stored

Kind = Literal["model", "partial", "orphan", "refused", "temporary"]
HOUR_S: Final = 3600.0
DAY_S: Final = 86400.0
PARTIAL_S: Final = 7 * DAY_S
"""Age from which on nobody is expected to go on with an interrupted download."""
WORKING_S: Final = DAY_S
"""Age up to which files without a record may be those of a download that goes on."""


class Kept(NamedTuple):
    """A variant as it stands: ``own`` bytes would be freed by its removal, ``used`` is when it last was, or came."""

    stored: Stored
    own: int
    in_use: bool


class Leftover(NamedTuple):
    """Something without a record: its bytes, and how many seconds ago it was last written."""

    kind: Kind
    path: Path
    bytes: int
    age: float


class Contents(NamedTuple):
    """What lies in the store."""

    variants: tuple[Kept, ...] = ()
    leftovers: tuple[Leftover, ...] = ()


class Item(NamedTuple):
    """One thing that goes. ``name`` is a variant's id, or a path below the store's folder."""

    kind: Kind
    name: str
    bytes: int
    why: str


class Plan(NamedTuple):
    """What would go, and what of the wish cannot be met: ``over`` bytes stay above the size that was asked for."""

    items: tuple[Item, ...]
    over: int = 0
    in_use: tuple[str, ...] = ()
    """Variants that would have gone, were they not in use."""

    @property
    def bytes(self) -> int:
        """What the disk would have back."""
        return sum(item.bytes for item in self.items)


def plan(
    contents: Contents,
    now: datetime,
    *,
    older_than: float | None = None,
    unused: bool = False,
    over: int | None = None,
) -> Plan:
    """Choose what goes: leftovers always, variants only by what is asked.

    ``older_than`` (seconds since a variant was used, or came) and ``unused`` (never started since it came) must both be
    met where both are given. ``over`` then takes those that were not used for longest until the rest has at most that
    many bytes. What is in use stays.
    """
    items = [_leftover(leftover) for leftover in contents.leftovers if _is_left(leftover)]
    staying, held = [], []
    for kept in sorted(contents.variants, key=_last):
        why = _why(kept, now, older_than, unused)
        if why and not kept.in_use:
            items.append(_model(kept, why))
            continue
        staying.append(kept)
        if why:
            held.append(kept.stored.variant.id)
    if over is None:
        return Plan(tuple(items), in_use=tuple(held))
    more, busy, left = _to_fit(staying, over)
    return Plan((*items, *more), max(0, left - over), tuple(dict.fromkeys(held + busy)))


def _to_fit(variants: list[Kept], over: int) -> tuple[list[Item], list[str], int]:
    """What goes so that ``variants``, in that order, take at most ``over`` bytes; what is in use; bytes that stay."""
    size, items, busy = sum(kept.own for kept in variants), list[Item](), list[str]()
    for kept in variants:
        if size <= over or not kept.own:
            continue
        if kept.in_use:
            busy.append(kept.stored.variant.id)
            continue
        items.append(_model(kept, f"not used since {_last(kept)[:10]}; the models take over {format_amount(over)}"))
        size -= kept.own
    return items, busy, size


def look(store: Store, now: datetime) -> Contents:
    """What lies in the store at ``now``; marks that dead processes left are swept on the way.

    Raises:
        StoreError: the folder cannot be read.
    """
    variants = tuple(
        Kept(stored, store.disk(stored)[0], bool(store.holders(stored.variant.id))) for stored in store.list()
    )
    try:
        leftovers = tuple(_leftovers(store, now))
    except OSError as error:
        raise StoreError(f"{store.folder} cannot be read", why=str(error), remedy="check its permissions") from error
    return Contents(variants, leftovers)


def carry_out(store: Store, plan: Plan) -> int:
    """Delete what ``plan`` names; gives the bytes that the disk has back.

    What has come into use, has got a record or has been written to since then stays.

    Raises:
        StoreError: something cannot be deleted.
    """
    freed = 0
    for item in plan.items:
        if item.kind == "model":
            try:
                freed += sum(removed.freed for removed in remove(store, [item.name]))
            except (UnknownModel, VariantInUse):
                continue
        else:
            freed += _sweep(store, item)
    return freed


def _why(kept: Kept, now: datetime, older_than: float | None, unused: bool) -> str | None:
    if older_than is None and not unused:
        return None
    if unused and kept.stored.used is not None:
        return None
    age = _age(kept, now)
    if age is None or (older_than is not None and age < older_than):
        return None
    days = f"{age / DAY_S:.0f} days" if age >= 2 * DAY_S else f"{age / HOUR_S:.0f} hours"
    return f"here for {days}, never used" if kept.stored.used is None else f"not used for {days}"


def _model(kept: Kept, why: str) -> Item:
    return Item("model", kept.stored.variant.id, kept.own, why)


def _last(kept: Kept) -> str:
    return kept.stored.used or kept.stored.added


def _age(kept: Kept, now: datetime) -> float | None:
    """Seconds since it was last used, or came; None where the record's time cannot be read."""
    try:
        time = datetime.fromisoformat(_last(kept))
    except ValueError:
        return None
    return (now - (time if time.tzinfo else time.replace(tzinfo=UTC))).total_seconds()


def _is_left(leftover: Leftover) -> bool:
    least: dict[Kind, float] = {"partial": PARTIAL_S, "refused": 0.0}
    return leftover.age >= least.get(leftover.kind, WORKING_S)


def _leftover(leftover: Leftover) -> Item:
    days = f"{leftover.age / DAY_S:.0f} days"
    reasons: dict[Kind, str] = {
        "partial": f"an interrupted download, not gone on with for {days}",
        "orphan": "files without a record: their download or import never ended",
        "refused": "a product that a gate refused",
        "temporary": "what a stopped process left",
    }
    name = "/".join(leftover.path.parts[-2:])
    return Item(leftover.kind, name, leftover.bytes, reasons[leftover.kind])


def _leftovers(store: Store, now: datetime) -> Iterator[Leftover]:
    layout = store.layout
    for marks in _children(layout.in_use):
        holders(marks)
    places: tuple[tuple[Kind, Path], ...] = (
        ("partial", layout.partial),
        ("orphan", layout.files),
        ("refused", layout.aside),
        ("temporary", layout.records),
    )
    for kind, folder in places:
        for path in _children(folder):
            if kind == "orphan" and layout.record(path.name).exists():
                continue
            if kind == "temporary" and not (path.name.startswith(".") and path.suffix == ".new"):
                continue
            freed, written = _measured(path)
            yield Leftover(kind, path, freed, max(0.0, now.timestamp() - written))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _measured(path: Path) -> tuple[int, float]:
    """Bytes that the removal of a file or a folder would free, and when something in it was last written."""
    freed, written = 0, path.lstat().st_mtime
    inside = [Path(top, name) for top, folders, names in os.walk(path) for name in folders + names]
    for file in [path, *inside]:
        state = file.lstat()
        written = max(written, state.st_mtime)
        if stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
            freed += state.st_size
    return freed, written


def _sweep(store: Store, item: Item) -> int:
    """Delete a leftover, unless a process is at work on it or it has become part of a variant."""
    path = store.folder / item.name
    name = path.stem if path.is_file() else path.name.removeprefix(".new-").removeprefix(".old-")
    at_once = threading.Event()
    at_once.set()
    try:
        with locked(store.layout.lock(name), cancelled=at_once):
            if not path.exists() or (item.kind == "orphan" and store.layout.record(path.name).exists()):
                return 0
            freed = _measured(path)[0]
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            return freed
    except Stopped:
        return 0
    except OSError as error:
        raise StoreError(f"{path} cannot be deleted", why=str(error), remedy="check its permissions") from error
