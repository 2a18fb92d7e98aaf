"""The store: which variants are here, where they lie, and who uses them."""

from __future__ import annotations

import builtins
import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from msgspec import structs

from assay.errors import StoreError, UnknownModel
from assay.formats import is_projector
from assay.store.held import Holder, holders, mark, unmark
from assay.store.layout import Layout, slug
from assay.store.part_lock import Waits, locked
from assay.store.records import read_record, write_record
from assay.types import File, Stored, Variant


def now() -> str:
    """The time in UTC, to the second, as records tell it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """The models in ``folder``, which is made when the first one comes. Ids count without regard to case.

    Every method raises `StoreError` where the folder cannot be read or written as it must.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.layout = Layout(self.folder)

    def list(self) -> list[Stored]:
        """What is here, by id. Records that cannot be read are left out (`problems`)."""
        return self._read()[0]

    def problems(self) -> builtins.list[str]:
        """What is wrong with the records that `list` leaves out: which, why, and what helps."""
        return self._read()[1]

    def find(self, id: str) -> Stored | None:  # noqa: A002
        """The variant ``id``, or None where it is not here or its record cannot be read."""
        with contextlib.suppress(FileNotFoundError, StoreError):
            return read_record(self.layout.record(slug(id)))
        return None

    def folder_of(self, id: str) -> Path:  # noqa: A002
        """The folder that holds the files of ``id``, or would."""
        return self.layout.files / slug(id)

    def placed(self, stored: Stored) -> Variant:
        """The variant with the absolute path that an engine opens: the GGUF file, its first part, or the folder."""
        folder = self.folder_of(stored.variant.id)
        entry = folder / _entry(stored.variant.files) if stored.variant.format == "gguf" else folder
        return structs.replace(stored.variant, path=str(entry))

    def put(self, stored: Stored) -> None:
        """Write the record of a variant whose files are in its folder already: from now on it is here."""
        write_record(self.layout.record(slug(stored.variant.id)), stored)

    def drop(self, id: str) -> None:  # noqa: A002
        """Take a variant away: first its record, then its files; files that lie elsewhere stay.

        Does not look at who uses it, and is to be called with its `lock` held. No error where it is not here.
        """
        try:
            self.layout.record(slug(id)).unlink(missing_ok=True)
            remove_folder(self.folder_of(id))
        except OSError as error:
            raise StoreError(
                f"{id} cannot be removed", why=str(error), remedy="end the programs that use it, then try again"
            ) from error

    def lock(
        self,
        id: str,  # noqa: A002
        waits: Waits | None = None,
        cancelled: threading.Event | None = None,
    ) -> contextlib.AbstractContextManager[None]:
        """Held while a variant is placed, changed or taken away; a second process waits, and ``waits`` is told."""
        return locked(self.layout.lock(slug(id)), waits, cancelled)

    @contextlib.contextmanager
    def hold(self, id: str, cancelled: threading.Event | None = None) -> Iterator[None]:  # noqa: A002
        """Use the variant: a mark of this process says so until the end, and its record that it was used now.

        Raises:
            UnknownModel: it is not here. Stopped: ``cancelled`` was set while another process changed it.
        """
        since = now()
        with self.lock(id, cancelled=cancelled):
            stored = self.find(id)
            if stored is None:
                raise UnknownModel(f"{id} is not on this machine", remedy=f"assay model download {id}")
            left = mark(self.layout.in_use / slug(id), since)
            try:
                self.put(structs.replace(stored, used=since))
            except BaseException:
                unmark(left)
                raise
        try:
            yield
        finally:
            unmark(left)

    def holders(self, id: str) -> builtins.list[Holder]:  # noqa: A002
        """The processes that use the variant now; what dead ones left is swept."""
        return holders(self.layout.in_use / slug(id))

    def disk(self, stored: Stored) -> tuple[int, int]:
        """Bytes that removing the variant would free, and bytes that would stay.

        Those that stay are links, and files that have a name elsewhere too. A missing file counts for nothing.
        """
        folder = self.folder_of(stored.variant.id)
        own, linked = 0, 0
        names: dict[tuple[int, int], int] = {}
        for file in stored.variant.files:
            path = folder / file.path
            with contextlib.suppress(OSError):
                state = path.lstat()
                if path.is_symlink():
                    linked += path.stat().st_size
                    continue
                inode = (state.st_dev, state.st_ino)
                names[inode] = names.get(inode, 0) + 1
                if names[inode] == max(1, state.st_nlink):
                    own += state.st_size
                    linked -= state.st_size * (names[inode] > 1)
                elif names[inode] == 1:
                    linked += state.st_size
        return own, linked

    def _read(self) -> tuple[builtins.list[Stored], builtins.list[str]]:
        found, faults = [], []
        try:
            with os.scandir(self.layout.records) as entries:
                names = sorted(e.name for e in entries if e.name.endswith(".json") and e.name[0] != ".")
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise StoreError(
                f"{self.layout.records} cannot be read", why=str(error), remedy="check its permissions"
            ) from error
        for name in names:
            try:
                found.append(read_record(self.layout.records / name))
            except FileNotFoundError:
                continue
            except StoreError as error:
                faults.append(str(error))
        return sorted(found, key=lambda stored: stored.variant.id.casefold()), faults


def remove_folder(folder: Path) -> None:
    """Remove a variant's folder and what is in it; links are removed, not followed. No error where there is none."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _entry(files: tuple[File, ...]) -> str:
    """The file of a GGUF variant that is opened: the language model's own, and of a split one the first part."""
    models = [file.path for file in files if file.path.lower().endswith(".gguf")]
    models = [path for path in models if not is_projector(PurePosixPath(path).name)] or models
    return min(models) if models else files[0].path
