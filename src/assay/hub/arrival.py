"""A file on its way: what has come is written to disk, and hashed from there by a thread beside."""

from __future__ import annotations

import errno
import hashlib
import io
import threading
from pathlib import Path

from assay import disk
from assay.amounts import format_amount
from assay.errors import NoRoom, StoreError
from assay.types import Digests

STEP = 1 << 20
HASHER_S = 5.0
"""How long to wait for the last read to end, so that nothing holds the file open; only a dead disk takes longer."""


class Closed(Exception):
    """Nobody waits for the file any more."""


class Arrival:
    """The part of a file that is here. One thread writes, one of its own hashes, any may ask or close.

    What ``part`` already holds is hashed first, while the rest comes. After ``close`` not a byte is written.
    """

    def __init__(self, part: Path, promised: int | None) -> None:
        """Raise ``StoreError`` where ``part`` cannot be opened; it is made where it is not there."""
        self.part = part
        self.promised = promised
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            self._file = part.open("ab", buffering=0)
        except OSError as error:
            raise self._trouble(error) from error
        self.size = self._file.tell()
        self._changed = threading.Condition()
        self._begun = 0
        """How many times it was begun anew: what was read for an earlier beginning is not hashed."""
        self._told = self.size
        self._whole = False
        self._closed = False
        self._sha256: str | None = None
        self._error: OSError | None = None
        self._hasher = threading.Thread(target=self._hash, name=f"hashing {part.name}", daemon=True)
        self._hasher.start()

    def write(self, data: bytes) -> None:
        """Add to the end.

        Raises:
            NoRoom: the disk or the quota is full; what was written stays.
            StoreError: any other trouble with the disk.
            Closed: after ``close``.
        """
        view = memoryview(data)
        with self._changed:
            if self._closed:
                raise Closed
            while view:
                try:
                    written = self._file.write(view)
                except OSError as error:
                    raise self._trouble(error) from error
                self.size += written
                view = view[written:]
            if self.size - self._told >= STEP:
                self._told = self.size
                self._changed.notify_all()

    def restart(self) -> None:
        """Throw away what is here."""
        with self._changed:
            if self._closed:
                raise Closed
            try:
                self._file.truncate(0)
            except OSError as error:
                raise self._trouble(error) from error
            self.size = self._told = 0
            self._begun += 1
            self._changed.notify_all()

    def digests(self) -> Digests:
        """Of all that is here, which is the whole file, without its git name; waits until it is hashed.

        Raises:
            StoreError: it cannot be read back.
            Closed: after ``close``.
        """
        with self._changed:
            self._whole = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._sha256 or self._error or self._closed)
            if self._error is not None:
                raise self._trouble(self._error) from self._error
            if self._sha256 is None:
                raise Closed
        return Digests(sha256=self._sha256, git_sha1=None, size=self.size)

    def close(self) -> None:
        """End writing and hashing; what is here stays."""
        with self._changed:
            self._closed = True
            self._file.close()
            self._changed.notify_all()
        self._hasher.join(HASHER_S)

    def _trouble(self, error: OSError) -> StoreError:
        if disk.is_full(error):
            return self._no_room(error)
        remedy = f"check the disk and the permissions of {self.part.parent}"
        return StoreError(f"{self.part} cannot be used", why=error.strerror or str(error), remedy=remedy)

    def _no_room(self, error: OSError) -> NoRoom:
        folder = self.part.parent
        free = disk.free(folder)
        why = error.strerror
        if self.promised is not None:
            missing = self.promised - self.size
            more = max(missing - free, 0)
            why = (
                f"{why}; {format_amount(missing)} are still to come and {format_amount(free)} are free in {folder}"
                + (f", so {format_amount(more)} are missing" if more else "")
            )
        return NoRoom(
            f"{self.part.name} cannot be written any further",
            why=why,
            remedy="make room (assay cache prune) and give the same command again: what has come is kept",
        )

    def _hash(self) -> None:
        try:
            with self.part.open("rb", buffering=0) as file:
                self._follow(file)
        except OSError as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _follow(self, file: io.FileIO) -> None:
        """Hash what is on disk up to what was written, until that is the whole file."""
        buffer = memoryview(bytearray(STEP))
        begun, done, sha256 = -1, 0, hashlib.sha256()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._whole or self._begun != begun or self.size - done >= STEP  # noqa: B023
                )
                if self._closed:
                    return
                if self._begun != begun:
                    begun, done, sha256 = self._begun, 0, hashlib.sha256()
                end = min(self.size, done + STEP)
                if self._whole and done == end:
                    self._sha256 = sha256.hexdigest()
                    self._changed.notify_all()
                    return
            file.seek(done)
            read = file.readinto(buffer[: end - done])
            with self._changed:
                if self._begun != begun:
                    continue
            if not read and end > done:
                raise OSError(errno.EIO, "the file became shorter while it was hashed", str(self.part))
            sha256.update(buffer[:read])
            done += read or 0
