"""Brings a variant into the store once all its files are there and right: its record is the last thing written."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import structs

from assay.disk import is_full
from assay.errors import NoRoom, StoreError, VariantInUse
from assay.store.layout import slug
from assay.store.part_lock import locked
from assay.store.place import Note, link_elsewhere, link_equal
from assay.store.store import Store, now, remove_folder
from assay.types import Digests, File, Stored, Variant


class Obtained(NamedTuple):
    """A file that was found right: by ``key`` in its part, or at ``at``, in the store or (``outside``) elsewhere."""

    key: str
    digests: Digests
    at: Path | None = None
    outside: bool = False


def contents(store: Store) -> dict[str, Path]:
    """Where the files of all variants lie, by SHA-256 and by git blob name."""
    found: dict[str, Path] = {}
    for stored in store.list():
        folder = store.folder_of(stored.variant.id)
        for file in stored.variant.files:
            for name in filter(None, (file.sha256, file.git_sha1)):
                found.setdefault(name.lower(), folder / file.path)
    return found


def complete(store: Store, variant: Variant) -> Stored | None:
    """The record of ``variant`` where it is here with these very files, as far as names and sizes tell."""
    stored = store.find(variant.id)
    if stored is None:
        return None
    there = {file.path: file for file in stored.variant.files}
    same_revision = (stored.variant.source, stored.variant.revision) == (variant.source, variant.revision)
    folder = store.folder_of(variant.id)
    if there.keys() != {file.path for file in variant.files}:
        return None
    for file in variant.files:
        have = there[file.path]
        if not _is_same(file, have, same_revision) or not _lies(folder / file.path, have.size):
            return None
    return stored


def sweep(store: Store, variant: Variant) -> None:
    """Remove an older version of the variant that a process killed while it replaced it has left."""
    old = store.layout.files / f".old-{slug(variant.id)}"
    if old.exists():
        with store.lock(variant.id):
            remove_folder(old)


def salvage(store: Store, variant: Variant, keys: Mapping[str, str]) -> None:
    """Take back, as parts, whole files that a process killed while it placed the variant has left (path -> key)."""
    name = slug(variant.id)
    left = [store.layout.files / f".new-{name}"]
    if not store.layout.record(name).exists():
        left.append(store.layout.files / name)
    if not any(folder.is_dir() for folder in left):
        return
    with store.lock(variant.id):
        if store.layout.record(name).exists():
            left = left[:1]
        with contextlib.suppress(OSError):
            for folder in left:
                for file in variant.files:
                    _take_back(store, folder / file.path, file, keys[file.path])
            remove_folder(left[0])


def _take_back(store: Store, path: Path, file: File, key: str) -> None:
    """Only what can be checked later: the folder may be of another revision."""
    if (file.sha256 or file.git_sha1) and file.size is not None and not path.is_symlink() and _lies(path, file.size):
        with locked(store.layout.lock(key)):
            part = store.layout.part(key)
            part.parent.mkdir(parents=True, exist_ok=True)
            path.replace(part)


def commit(
    store: Store,
    variant: Variant,
    obtained: Mapping[str, Obtained],
    origin: Literal["download", "import", "compile"],
    note: Note,
    *,
    cancelled: threading.Event | None = None,
) -> Stored:
    """Place the files (path -> how they were obtained) and write the record; gives what is in the store then.

    Raises:
        Stopped: ``cancelled`` was set while another process was waited for.
        VariantInUse: another version of the variant is here, and in use.
        StoreError: a model of that name came here in another way, or a file was taken away meanwhile.
        NoRoom: a copy had to be made and does not fit.
    """

    def waits(pid: int | None) -> None:
        note(f"{variant.id}: waiting for process {pid or 'unknown'}, which is placing the same files")

    with contextlib.ExitStack() as held:
        held.enter_context(store.lock(variant.id, waits, cancelled))
        for key in sorted({file.key for file in obtained.values()}):
            held.enter_context(locked(store.layout.lock(key), waits, cancelled))
        if (there := complete(store, variant)) is not None:
            return there
        old = store.find(variant.id)
        _refuse_replacing(store, old, variant, origin)
        try:
            links = _fill(store, variant, obtained, note)
            stored = Stored(
                variant=structs.replace(variant, files=_known(variant.files, obtained)),
                added=now(),
                origin=origin,
                links=links,
                used=old.used if old else None,
                verified=now(),
            )
            _swap(store, stored)
        except OSError as error:
            kind = NoRoom if is_full(error) else StoreError
            raise kind(
                f"the files of {variant.id} cannot be placed in {store.folder_of(variant.id)}",
                why=error.strerror or str(error),
                remedy="what has come is kept; put that right and ask for the model again",
            ) from error
    return stored


def _refuse_replacing(store: Store, old: Stored | None, variant: Variant, origin: str) -> None:
    if old is None:
        return
    if old.origin != origin or old.variant.source != variant.source:
        raise StoreError(
            f"another model is here under the name {old.variant.id}",
            why=f"it came by {old.origin} from {old.variant.source}, not from {variant.source}",
            remedy=f"assay cache remove {old.variant.id}, or give one of them another name",
        )
    if users := store.holders(variant.id):
        raise VariantInUse(
            f"{variant.id} is here in another version, and in use by process {users[0].pid}",
            remedy="end that process, then ask for the model again",
        )


def _fill(store: Store, variant: Variant, obtained: Mapping[str, Obtained], note: Note) -> dict[str, str]:
    """Put every file into a new folder beside the others; gives the links that lead out of the store."""
    folder = store.layout.files / f".new-{slug(variant.id)}"
    remove_folder(folder)
    folder.mkdir(parents=True)
    placed: dict[str, Path] = {}
    links: dict[str, str] = {}
    for file in variant.files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        key = obtained[file.path].key
        if key in placed:
            outside = link_equal(placed[key], target, note)
        else:
            outside = _bring(store, obtained[file.path], target, note)
        placed[key] = target
        if outside is not None:
            links[file.path] = str(outside)
    return links


def _bring(store: Store, file: Obtained, target: Path, note: Note) -> Path | None:
    part = store.layout.part(file.key)
    if file.at is None and _lies(part, file.digests.size):
        part.replace(target)
        return None
    if file.at is not None and _lies(file.at, file.digests.size):
        return link_elsewhere(file.at, target, note) if file.outside else link_equal(file.at, target, note)
    there = contents(store).get(file.digests.sha256)
    if there is None or not _lies(there, file.digests.size):
        raise StoreError(f"{target.name} was taken away while the other files came", remedy="ask for the model again")
    return link_equal(there, target, note)


def _swap(store: Store, stored: Stored) -> None:
    """The new folder in the place of an old one. A kill between two of these lines leaves nothing half-listed."""
    name = slug(stored.variant.id)
    folder, old = store.layout.files / name, store.layout.files / f".old-{name}"
    store.layout.record(name).unlink(missing_ok=True)
    remove_folder(old)
    if folder.exists():
        folder.rename(old)
    (store.layout.files / f".new-{name}").rename(folder)
    store.put(stored)
    remove_folder(old)


def _known(files: tuple[File, ...], obtained: Mapping[str, Obtained]) -> tuple[File, ...]:
    """The files with the sizes and SHA-256 that were found."""
    found = [obtained[file.path].digests for file in files]
    return tuple(structs.replace(f, size=d.size, sha256=d.sha256) for f, d in zip(files, found, strict=True))


def _is_same(offered: File, have: File, same_revision: bool) -> bool:
    if offered.sha256 is not None and have.sha256 is not None:
        return offered.sha256.lower() == have.sha256.lower()
    if offered.git_sha1 is not None and have.git_sha1 is not None:
        return offered.git_sha1.lower() == have.git_sha1.lower()
    return same_revision and (offered.size is None or offered.size == have.size)


def _lies(path: Path, size: int | None) -> bool:
    """Whether a file of that size (None: any) is there, a link followed."""
    try:
        return path.is_file() and (size is None or path.stat().st_size == size)
    except OSError:
        return False
