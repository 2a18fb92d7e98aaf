"""Whether the files of stored variants are still what their records say; nothing is changed but ``verified``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import structs

from assay.errors import UnknownModel
from assay.store.digest import Tell, hash_as
from assay.store.store import Store, now
from assay.types import File, Reporter, Stored

State = Literal["ok", "damaged", "size differs", "missing", "link target gone", "unreadable", "unknown"]


class CheckedFile(NamedTuple):
    """One file. ``expected`` and ``found`` are hashes where it is damaged, sizes where these differ.

    ``unknown``: its size is right or not known, and nobody told its hash.
    """

    path: str
    state: State
    expected: str | None = None
    found: str | None = None


class Checked(NamedTuple):
    """One variant, with each of its files."""

    id: str
    files: tuple[CheckedFile, ...]

    @property
    def ok(self) -> bool:
        """Whether every file was hashed and found right."""
        return bool(self.files) and all(file.state == "ok" for file in self.files)

    @property
    def damaged(self) -> tuple[CheckedFile, ...]:
        """The files that cannot be used as they are."""
        return tuple(file for file in self.files if file.state not in {"ok", "unknown"})


def verify(store: Store, ids: Iterable[str] | None, reporter: Reporter) -> list[Checked]:
    """Hash every file of the variants ``ids`` (None: of all) and compare; the bar counts bytes.

    A variant whose files are all right has the time written into its record. A damaged one stays as it is.

    Raises:
        UnknownModel: an id is not in the store. StoreError: a record cannot be written.
    """
    chosen = store.list() if ids is None else [_found(store, id_) for id_ in ids]
    total = sum(_size_of(store, stored) for stored in chosen)
    done, checked = 0, []
    if chosen:
        reporter.stage(f"Hashing {len(chosen)} {'model' if len(chosen) == 1 else 'models'}")
    for stored in chosen:
        folder, files = store.folder_of(stored.variant.id), []
        for file in stored.variant.files:
            before = done

            def told(count: int, _: int | None, before: int = before, name: str = file.path) -> None:
                reporter.progress(min(before + count, total), total, name)

            files.append(check(folder / file.path, file, told))
            done = before + _bytes_of(folder / file.path)
        checked.append(Checked(stored.variant.id, tuple(files)))
        if checked[-1].ok:
            _write_verified(store, stored)
    return checked


def check(path: Path, file: File, told: Tell | None = None) -> CheckedFile:
    """Compare one file with what is known of it; ``told`` learns how many of its bytes have been read."""
    expected = file.sha256 or file.git_sha1
    try:
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            return CheckedFile(file.path, "size differs", str(file.size), str(size))
        if expected is None:
            return CheckedFile(file.path, "unknown")
        digests = hash_as(file, path, tell=told)
    except FileNotFoundError:
        return CheckedFile(file.path, "link target gone" if path.is_symlink() else "missing")
    except OSError:
        return CheckedFile(file.path, "unreadable")
    found = digests.sha256 if file.sha256 else digests.git_sha1
    right = found == expected.lower()
    return CheckedFile(file.path, "ok") if right else CheckedFile(file.path, "damaged", expected, found)


def _found(store: Store, id_: str) -> Stored:
    stored = store.find(id_)
    if stored is None:
        raise UnknownModel(f"{id_} is not on this machine", remedy="see what is there: assay cache list")
    return stored


def _size_of(store: Store, stored: Stored) -> int:
    folder = store.folder_of(stored.variant.id)
    return sum(_bytes_of(folder / file.path) for file in stored.variant.files)


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write_verified(store: Store, checked: Stored) -> None:
    """Note the time, unless the variant was taken away or replaced by another in the meantime."""
    with store.lock(checked.variant.id):
        stored = store.find(checked.variant.id)
        if stored is not None and stored.variant.files == checked.variant.files:
            store.put(structs.replace(stored, verified=now()))
