"""The store in another folder: all of it moved there, or only another folder looked at from now on.

Where both are on one file system the folder is renamed. Else every file is copied, read back and compared, then the
new folder is taken (``point``), and only then the old one is deleted. Whenever that is stopped, both folders together
still hold everything, and the same call goes on where it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from msgspec import structs

from assay.amounts import format_amount
from assay.disk import is_full
from assay.errors import BadInput, NoRoom, StoreError, VariantInUse
from assay.store.digest import hash_file
from assay.store.layout import Layout
from assay.store.part_lock import Stopped, locked
from assay.store.remove import refuse_used
from assay.store.room import refuse_full
from assay.store.store import Store
from assay.types import Reporter

HALF: Final = ".moving-from"
"""A file in the new folder as long as it isn't whole; it holds the old folder's path, and no other goes on with it."""
WHOLE: Final = ".moved-from"
"""The same, when only the old folder's deletion is left to do."""
FRESH: Final = ".moving"
"""Ends the name of a file that is not whole yet."""
CHUNK: Final = 1 << 22
SAME_NS: Final = 2_000_000_000
"""Some file systems keep times to two seconds."""

Point = Callable[[Path], None]
"""Makes a folder the one that is looked at from now on (the user's setting)."""


class Moved(NamedTuple):
    """The folder that is looked at now; ``files`` and ``bytes`` were copied (none where a rename was enough)."""

    folder: Path
    how: Literal["renamed", "copied", "pointed"]
    files: int = 0
    bytes: int = 0


def move(old: Path, new: Path, *, how: Literal["move", "point"], point: Point, reporter: Reporter) -> Moved:
    """Move the store in ``old`` to ``new``, or only look at ``new`` from now on (what is in ``old`` stays there).

    ``new`` must be empty, or not there; to look at, it may be a store. A move that was interrupted goes on.

    Raises:
        BadInput: ``new`` is ``old``, lies in it, or holds something else. VariantInUse: a model is in use, or is
        just coming. NoRoom: ``new`` has too little room. StoreError: a folder cannot be read or written.
    """
    told = new.expanduser().absolute()
    old, new = old.resolve(), told.resolve()
    if new == old and how == "move" and (left := _old_of(new)):
        return _finish(left, new, told, Moved(told, "copied"))
    _refuse_place(old, new, told, how)
    if how == "point" or not _filled(old):
        _refuse_readonly(new)
        point(told)
        return Moved(told, "pointed")
    (old / WHOLE).unlink(missing_ok=True)
    refuse_busy(Store(old))
    try:
        if not (new / HALF).exists() and _rename(old, new):
            _turn_links(new, old)
            point(told)
            return Moved(told, "renamed")
        files, bytes_ = _copy(old, new, reporter)
        _turn_links(new, old)
        refuse_busy(Store(old))
        point(told)
        (new / HALF).replace(new / WHOLE)
        return _finish(old, new, told, Moved(told, "copied", files, bytes_))
    except OSError as error:
        kind = NoRoom if is_full(error) else StoreError
        raise kind(
            f"{old} could not be moved to {told}",
            why=str(error),
            remedy="nothing is lost; put that right and give the same command again",
        ) from error


def refuse_busy(store: Store) -> None:
    """Raise ``VariantInUse`` where a process uses a variant of the store, or is just bringing one."""
    for stored in store.list():
        refuse_used(store, stored.variant.id)
    at_once = threading.Event()
    at_once.set()
    for lock in sorted(store.layout.locks.glob("*.lock")):
        try:
            with locked(lock, cancelled=at_once):
                continue
        except Stopped:
            raise VariantInUse(
                f"{store.folder} is in use", why=f"another process holds {lock.stem}", remedy="wait until it is done"
            ) from None


def _refuse_place(old: Path, new: Path, told: Path, how: str) -> None:
    if new == old:
        raise BadInput(f"the models are in {told} already", remedy="name another folder")
    if new.is_relative_to(old):
        raise BadInput(f"{told} lies within {old}", why="a folder cannot be moved into itself", remedy="name another")
    if new.exists() and not new.is_dir():
        raise BadInput(f"{told} is a file", remedy="name a folder")
    half = (new / HALF).exists()
    if not _filled(new) or (half and how == "move" and _old_of(new) == old):
        return
    if not half and _is_store(new) and (how == "point" or not _filled(old)):
        return
    why = "it is not empty"
    if half:
        why = f"a move to it from {_old_of(new)} was interrupted"
    elif _is_store(new):
        why = "it holds models already, and two stores are not mixed"
    raise BadInput(f"the models cannot be moved to {told}", why=why, remedy="name an empty folder, or a new one")


def _old_of(new: Path) -> Path | None:
    """The folder that an interrupted move to ``new`` came from."""
    for name in (HALF, WHOLE):
        with contextlib.suppress(OSError, ValueError):
            return Path((new / name).read_text(encoding="utf-8"))
    return None


def _is_store(folder: Path) -> bool:
    return Layout(folder).records.is_dir()


def _filled(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise StoreError(f"{folder} cannot be read", why=error.strerror, remedy="check its permissions") from error


def _refuse_readonly(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written to", why=error.strerror or str(error), remedy="name a folder of your own"
        ) from error


def _rename(old: Path, new: Path) -> bool:
    """Whether one rename did it; not where the two are on different file systems, or the system says no."""
    _refuse_readonly(new)
    try:
        new.rmdir()
        old.rename(new)
    except OSError:
        new.mkdir(exist_ok=True)
        return False
    return True


def _copy(old: Path, new: Path, reporter: Reporter) -> tuple[int, int]:
    """Copy what ``new`` lacks, until it lacks nothing; gives files and bytes."""
    _refuse_readonly(new)
    (new / HALF).write_text(str(old), encoding="utf-8")
    count = done = 0
    while pending := {path: None for path in _files(old) if not _is_copied(path, new / path.relative_to(old))}:
        total = done + sum(path.lstat().st_size for path in pending)
        refuse_full(new, total - done, f"moving the models to {new}")
        reporter.stage(f"Copying {len(pending)} files, {format_amount(total - done)}")
        names = {_inode(path): new / path.relative_to(old) for path in _files(old) if path not in pending}
        for path in pending:
            for read in _copy_file(path, new / path.relative_to(old), names):
                reporter.progress(done + read, total, path.name)
            done += path.lstat().st_size
        count += len(pending)
    return count, done


def _files(folder: Path) -> list[Path]:
    """Every file and link below ``folder``, by path; locks and marks of use are of no use elsewhere."""
    layout = Layout(folder)
    own = {layout.locks, layout.in_use}
    found = []
    for top, folders, names in os.walk(folder, onerror=_raise):
        here = Path(top)
        links = [name for name in folders if (here / name).is_symlink()]
        found += [here / name for name in names + links]
        folders[:] = [name for name in folders if here / name not in own]
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _inode(path: Path) -> tuple[int, int]:
    state = path.lstat()
    return state.st_dev, state.st_ino


def _is_copied(path: Path, target: Path) -> bool:
    """Whether ``target`` is ``path``'s copy: it gets its name and its time only when it was found right."""
    try:
        if path.is_symlink():
            return target.is_symlink()
        have, want = target.lstat(), path.lstat()
    except FileNotFoundError:
        return False
    return have.st_size == want.st_size and abs(have.st_mtime_ns - want.st_mtime_ns) <= SAME_NS


def _copy_file(path: Path, target: Path, names: dict[tuple[int, int], Path]) -> Iterator[int]:
    """Copy one file under another name, read it back, give it its own; yields the bytes read so far.

    ``names`` are the copies by what they were made from: a second name of a file stays one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + FRESH)
    fresh.unlink(missing_ok=True)
    twin = names.setdefault(_inode(path), target)
    try:
        if path.is_symlink():
            fresh.symlink_to(path.readlink())
        elif twin == target or not _linked(twin, fresh):
            yield from _written(path, fresh)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(target)


def _written(path: Path, fresh: Path) -> Iterator[int]:
    digest = hashlib.sha256()
    with path.open("rb") as source, fresh.open("wb") as copy:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            yield copy.tell()
        copy.flush()
        os.fsync(copy.fileno())
    if hash_file(fresh).sha256 != digest.hexdigest():
        raise OSError(errno.EIO, "what was written is not what is read back", str(fresh))
    shutil.copystat(path, fresh)


def _linked(twin: Path, target: Path) -> bool:
    try:
        target.hardlink_to(twin)
    except OSError:
        return False
    return True


def _turn_links(new: Path, old: Path) -> None:
    """Links that lead into the old folder lead into the new one."""
    for path in _files(Layout(new).files) if Layout(new).files.is_dir() else []:
        if path.is_symlink() and path.readlink().is_relative_to(old):
            target = new / path.readlink().relative_to(old)
            path.unlink()
            path.symlink_to(target)
    store = Store(new)
    for stored in store.list():
        inside = {name: at for name, at in stored.links.items() if Path(at).is_relative_to(old)}
        if inside:
            turned = {name: str(new / Path(at).relative_to(old)) for name, at in inside.items()}
            store.put(structs.replace(stored, links={**stored.links, **turned}))


def _finish(old: Path, new: Path, told: Path, moved: Moved) -> Moved:
    """Delete the old folder but for what the new one lacks: it came too late to be moved."""
    try:
        for path in _files(old) if old.is_dir() else []:
            if os.path.lexists(new / path.relative_to(old)):
                path.unlink()
        for own in (Layout(old).locks, Layout(old).in_use):
            shutil.rmtree(own, ignore_errors=True)
        for top, _, _ in os.walk(old, topdown=False):
            with contextlib.suppress(OSError):
                Path(top).rmdir()
        for name in (HALF, WHOLE):
            (new / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"the models are in {told} now, but {old} could not be deleted",
            why=str(error),
            remedy="delete it, or put that right and give the same command again",
        ) from error
    return moved
