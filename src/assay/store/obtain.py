"""Gets one file: from the store, from elsewhere on this machine, or from the hub; and looks whether it is right."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from assay.disk import is_full
from assay.errors import AssayError, DownloadFailed, NoRoom, StoreError
from assay.store.commit import Obtained, contents
from assay.store.digest import Tell, hash_as, mismatch
from assay.store.part_lock import Stopped, locked
from assay.store.place import Note
from assay.store.room import Wanted, needed, refuse_full
from assay.store.store import Store
from assay.types import Digests, File, RemoteFile, Transfers

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_SHA1: Final = re.compile(r"[0-9a-f]{40}", re.IGNORECASE)

FindElsewhere = Callable[[File], Path | None]
"""Gives a file of this machine, outside of the store, that may be the one: its size fits. It is hashed before use."""


class Fetcher(Protocol):
    """Brings one file of a hub into ``part``, going on after the bytes that lie there already.

    ``tell`` hears how many bytes are done, of how many (None: not known), ``note`` what a person should read. Whatever
    ends it, what has come is kept. Gives the digests of the whole file; whether they are right is the store's to judge.

    Raises:
        CancelledError: soon after ``cancelled`` was set.
        NoRoom: the disk is full.
        HubError: it cannot be had.
        OSError: it cannot be written.
    """

    def __call__(
        self, source: RemoteFile, part: Path, tell: Tell, note: Note, cancelled: threading.Event, /
    ) -> Digests: ...


class Want(NamedTuple):
    """A file that is to come: ``name`` is what people read, ``key`` tells one content from another."""

    key: str
    name: str
    source: RemoteFile


def key_of(source: RemoteFile) -> str:
    """What tells a content from every other: its SHA-256, its git name, or else revision and place.

    Raises:
        DownloadFailed: the hub tells a digest that is none.
    """
    file = source.file
    for digest, pattern, lead in ((file.sha256, _SHA256, ""), (file.git_sha1, _SHA1, "git-")):
        if digest is None:
            continue
        if pattern.fullmatch(digest) is None:
            raise DownloadFailed(
                f"{source.repo}: the digest of {source.path!r} is none",
                why=f"the hub says {digest[:80]!r}",
                remedy="try again later, or take another repository",
            )
        return lead + digest.lower()
    place = msgspec.json.encode([source.repo, source.revision, source.path])
    return f"at-{hashlib.sha256(place).hexdigest()[:40]}"


class Obtaining(NamedTuple):
    """What it takes to get files; ``known`` is what the store held at the start (`contents`)."""

    store: Store
    fetcher: Fetcher
    transfers: Transfers
    known: Mapping[str, Path]
    elsewhere: Mapping[str, Path]
    """Key -> where the file may lie outside of the store."""

    def wanted(self, want: Want) -> Wanted:
        """What the file will take of the disk, as far as sizes tell."""
        file = want.source.file
        if any(_fits(path, file) for path in (self._in_store(file, self.known), self.elsewhere.get(want.key))):
            return Wanted(0, 0)
        return Wanted(file.size, _size(self.store.layout.part(want.key)))

    def obtain(self, want: Want, cancelled: threading.Event) -> Obtained:
        """Get the file and find it right. What has come of it is kept when this fails, unless it is wrong.

        Raises:
            Stopped: ``cancelled`` was set.
            DownloadFailed: it came twice, and was wrong twice.
            HubError: as the fetcher raises it.
            NoRoom: it does not fit on the disk.
            StoreError: the folder cannot be written.
        """
        waited = False

        def waits(pid: int | None) -> None:
            nonlocal waited
            waited = True
            self.transfers.note(f"{want.name}: waiting for process {pid or 'unknown'}, which is fetching it")

        try:
            if cancelled.is_set():
                raise Stopped
            with locked(self.store.layout.lock(want.key), waits, cancelled):
                found = self._fresh(want) if waited else None
                return found or self._equal(want, cancelled) or self._fetched(want, cancelled)
        except (AssayError, OSError, CancelledError) as error:
            if cancelled.is_set() or isinstance(error, CancelledError):
                raise Stopped from error
            if isinstance(error, AssayError):
                raise
            kind = NoRoom if is_full(error) else StoreError
            raise kind(
                f"{want.name} cannot be written below {self.store.layout.partial}",
                why=error.strerror or str(error),
                remedy="what has come is kept; make room (assay cache prune) or move: assay cache cd PATH",
            ) from error

    def _in_store(self, file: File, held: Mapping[str, Path]) -> Path | None:
        name = file.sha256 or file.git_sha1
        return None if name is None else held.get(name.lower())

    def _fresh(self, want: Want) -> Obtained | None:
        """The file where another process brought it, and found it right, while this one waited."""
        file = want.source.file
        held = contents(self.store)
        path = self._in_store(file, held)
        if path is None or path == self._in_store(file, self.known) or not _fits(path, file):
            return None
        sha256 = next((name for name, at in held.items() if at == path and len(name) == 64), None)
        if sha256 is None:
            return None
        size = path.stat().st_size
        self.transfers.file(want.name, size, size)
        return Obtained(want.key, Digests(sha256=sha256, git_sha1=None, size=size), path)

    def _equal(self, want: Want, cancelled: threading.Event) -> Obtained | None:
        """The file where it lies on this machine already; hashed, for it may have been damaged since."""
        file = want.source.file
        tell = partial(self.transfers.file, want.name)
        for path, outside in ((self._in_store(file, self.known), False), (self.elsewhere.get(want.key), True)):
            if path is None or not _fits(path, file):
                continue
            try:
                digests = hash_as(file, path, tell=tell, cancelled=cancelled)
            except OSError as error:
                self.transfers.note(f"{want.name}: {path} cannot be read ({error.strerror}), so it is fetched")
                continue
            fault = mismatch(file, digests)
            if fault is None:
                self.transfers.note(f"{want.name}: linked, for it lies at {path} already")
                self.store.layout.part(want.key).unlink(missing_ok=True)
                return Obtained(want.key, digests, path, outside)
            damaged = "" if outside else " and is damaged"
            self.transfers.note(f"{want.name}: {path} is not the same{damaged} ({fault}), so it is fetched")
        return None

    def _fetched(self, want: Want, cancelled: threading.Event) -> Obtained:
        file, part = want.source.file, self.store.layout.part(want.key)
        refuse_full(self.store.folder, needed([Wanted(file.size, _size(part))]), want.name)
        part.parent.mkdir(parents=True, exist_ok=True)
        digests = self._whole(want, part, cancelled) or self._from_hub(want, part, cancelled)
        fault = mismatch(file, digests)
        if fault is not None:
            part.unlink(missing_ok=True)
            self.transfers.note(f"{want.name} is not what was promised ({fault}); it is fetched once more")
            digests = self._from_hub(want, part, cancelled)
            fault = mismatch(file, digests)
        if fault is not None:
            part.unlink(missing_ok=True)
            raise DownloadFailed(
                f"{want.name} of {want.source.repo} is not what the hub promised, twice",
                why=fault,
                remedy="try again later, or from another mirror (HF_ENDPOINT); nothing of it was kept",
            )
        if file.sha256 is None and file.git_sha1 is None:
            self.transfers.note(f"{want.name}: the hub tells no digest; what came has SHA-256 {digests.sha256}")
        return Obtained(want.key, digests)

    def _whole(self, want: Want, part: Path, cancelled: threading.Event) -> Digests | None:
        """The digests of a part that has its full size already; it needs no request."""
        file = want.source.file
        if file.size is None or not part.exists() or (file.sha256 is None and file.git_sha1 is None):
            return None
        size = part.stat().st_size
        if size > file.size:
            part.unlink()
        if size != file.size:
            return None
        return hash_as(file, part, tell=partial(self.transfers.file, want.name), cancelled=cancelled)

    def _from_hub(self, want: Want, part: Path, cancelled: threading.Event) -> Digests:
        file = want.source.file
        tell = partial(self.transfers.file, want.name)
        try:
            digests = self.fetcher(want.source, part, tell, self.transfers.note, cancelled)
        except BaseException as error:
            if _size(part) == 0:
                part.unlink(missing_ok=True)
            if isinstance(error, NoRoom):
                message = f"{want.name} does not fit on the disk of {part.parent}"
                raise NoRoom(message, why=error.why, remedy=error.remedy) from error
            raise
        needs_git = file.sha256 is None and file.git_sha1 is not None
        if _size(part) != digests.size or (needs_git and digests.git_sha1 is None):
            digests = hash_as(file, part, cancelled=cancelled)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        return digests


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _fits(path: Path | None, file: File) -> bool:
    """Whether a file lies there that may be ``file``: its digest is known, and the size is right."""
    if path is None or (file.sha256 is None and file.git_sha1 is None):
        return False
    try:
        return path.is_file() and (file.size is None or path.stat().st_size == file.size)
    except OSError:
        return False
