"""Gives a file a second place without a second copy, where the system lets us."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from assay.amounts import format_amount
from assay.store.room import refuse_full

Note = Callable[[str], None]


def link_elsewhere(source: Path, target: Path, note: Note) -> Path | None:
    """Make ``target`` the file that lies at ``source``, outside of the store.

    A symbolic link, else a hard link, else a copy, of which ``note`` is told. Gives the file that a symbolic link
    points at, which `Stored.links` remembers; None where ``target`` is a file in its own right.

    Raises:
        NoRoom: a copy does not fit.
        OSError: nothing of this can be done.
    """
    real = source.resolve(strict=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        target.symlink_to(real)
        return real
    _link_or_copy(real, target, note)
    return None


def link_equal(source: Path, target: Path, note: Note) -> Path | None:
    """Make ``target`` the file that lies at ``source`` in the store. As `link_elsewhere`, with a hard link first."""
    if source.is_symlink():
        return link_elsewhere(source, target, note)
    target.parent.mkdir(parents=True, exist_ok=True)
    _link_or_copy(source, target, note)
    return None


def _link_or_copy(source: Path, target: Path, note: Note) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        size = source.stat().st_size
        refuse_full(target.parent, size, target.name)
        note(f"{target.name}: copied from {source}, {format_amount(size)} more: links cannot be made here")
        shutil.copyfile(source, target)
