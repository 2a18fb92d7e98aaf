"""Brings whole variants into the store: only the files that they need, each once, each found right."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final, Literal

from assay.errors import AssayError, DownloadFailed
from assay.store.commit import Obtained, commit, complete, contents, salvage, sweep
from assay.store.obtain import Fetcher, FindElsewhere, Obtaining, Want, key_of
from assay.store.part_lock import Stopped
from assay.store.paths import refuse_unsafe
from assay.store.room import needed, refuse_full
from assay.store.store import Store
from assay.types import RemoteFile, Stored, Transfers, Variant

_HUB: Final = "hf:"
_LOOK_S: Final = 0.1

Origin = Literal["download", "import", "compile"]


def fetch(
    store: Store,
    variants: Iterable[Variant],
    fetcher: Fetcher,
    *,
    transfers: Transfers,
    parallel: int = 4,
    find_elsewhere: FindElsewhere | None = None,
    cancelled: threading.Event | None = None,
    origin: Origin = "download",
) -> list[Stored]:
    """Bring offered variants into ``store``; gives their records in the order of ``variants``.

    A file that lies in the store or elsewhere on this machine is linked. Of the others, up to ``parallel`` are fetched
    at a time. A variant is in the store when all its files are there and right; what has come of others is kept, and
    the next call goes on with it. Where several variants are asked for, one that fails does not stop the others: the
    error tells of all that failed, and the rest are in the store then.

    Raises:
        NoRoom: the files do not fit on the disk; before anything is fetched, where sizes are known.
        DownloadFailed: a file is not what the hub promised, or has a path that is not safe.
        HubError: as the fetcher raises it.
        StoreError: the folder cannot be written, or holds another model of that name.
        KeyboardInterrupt: ``cancelled`` was set.
    """
    wanted = list({variant.id.casefold(): variant for variant in variants}.values())
    for variant in wanted:
        sweep(store, variant)
    here = {variant.id: stored for variant in wanted if (stored := complete(store, variant)) is not None}
    missing = [variant for variant in wanted if variant.id not in here]
    if missing:
        work = _Work(store, missing, fetcher=fetcher, transfers=transfers, find_elsewhere=find_elsewhere, origin=origin)
        here |= work.run(parallel, cancelled or threading.Event())
        _raise(work.failed, len(wanted))
    return [here[variant.id] for variant in wanted]


class _Job:
    """One file that is fetched, and the variants that need it."""

    def __init__(self, want: Want) -> None:
        self.want = want
        self.needed_by: set[str] = set()
        self.stop = threading.Event()


class _Work:
    """The state of one `fetch`: which files are still to come, and what has become of the variants."""

    def __init__(
        self,
        store: Store,
        variants: Sequence[Variant],
        *,
        fetcher: Fetcher,
        transfers: Transfers,
        find_elsewhere: FindElsewhere | None,
        origin: Origin,
    ) -> None:
        self.failed: dict[str, AssayError] = {}
        self._done: dict[str, Stored] = {}
        self._store, self._transfers, self._origin = store, transfers, origin
        self._keys: dict[str, dict[str, str]] = {}
        self._jobs: dict[str, _Job] = {}
        self._obtained: dict[str, Obtained] = {}
        self._variants = {variant.id: variant for variant in variants}
        for variant in variants:
            try:
                self._plan(variant)
            except AssayError as error:
                self.failed[variant.id] = error
        known, elsewhere = contents(store), {}
        for key, job in self._jobs.items():
            file = job.want.source.file
            if find_elsewhere is not None and (file.sha256 or file.git_sha1 or "").lower() not in known:
                path = find_elsewhere(file)
                if path is not None:
                    elsewhere[key] = path
        self._obtaining = Obtaining(store, fetcher, transfers, known, elsewhere)

    def run(self, parallel: int, cancelled: threading.Event) -> Mapping[str, Stored]:
        """Fetch what is planned; gives the variants that are here then (`failed` has the others)."""
        files = needed(self._obtaining.wanted(job.want) for job in self._jobs.values())
        refuse_full(self._store.folder, files, ", ".join(self._keys))
        with ThreadPoolExecutor(max_workers=max(1, parallel), thread_name_prefix="fetch") as pool:
            pending = {pool.submit(self._obtaining.obtain, j.want, j.stop): j for j in self._jobs.values()}
            try:
                while pending:
                    if cancelled.is_set():
                        raise KeyboardInterrupt
                    ended = wait(pending, timeout=_LOOK_S, return_when=FIRST_COMPLETED).done
                    for future in [future for future in pending if future in ended]:  # of two errors the first counts
                        self._ended(pending.pop(future), future, cancelled)
            except BaseException:
                for job in self._jobs.values():
                    job.stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return self._done

    def _plan(self, variant: Variant) -> None:
        files = self._remote_files(variant)
        keys = {source.file.path: key_of(source) for source in files}
        salvage(self._store, variant, keys)
        names = {job.want.name for job in self._jobs.values()}
        for source in files:
            key, path = keys[source.file.path], source.file.path
            name = f"{variant.id}/{path}" if path in names else path
            self._jobs.setdefault(key, _Job(Want(key, name, source))).needed_by.add(variant.id)
        self._keys[variant.id] = keys

    def _remote_files(self, variant: Variant) -> list[RemoteFile]:
        revision = variant.revision
        if not variant.source.startswith(_HUB) or not variant.files or revision is None:
            raise DownloadFailed(
                f"{variant.id} cannot be downloaded",
                why=f"its files and their commit are not told, or {variant.source} is no repository of a hub",
                remedy="name a repository: hf:owner/name",
            )
        folder = f"{variant.folder.strip('/')}/" if variant.folder else ""
        refuse_unsafe([folder + file.path for file in variant.files], variant.id)
        return [
            RemoteFile(repo=variant.source.removeprefix(_HUB), revision=revision, path=folder + file.path, file=file)
            for file in variant.files
        ]

    def _ended(self, job: _Job, future: Future[Obtained], cancelled: threading.Event) -> None:
        try:
            self._obtained[job.want.key] = future.result()
        except Stopped:
            return
        except AssayError as error:
            self._fail(job.needed_by, error)
            return
        for name in sorted(job.needed_by - self.failed.keys()):
            keys = self._keys[name]
            if set(keys.values()) <= self._obtained.keys():
                self._commit(self._variants[name], cancelled)

    def _commit(self, variant: Variant, cancelled: threading.Event) -> None:
        obtained = {path: self._obtained[key] for path, key in self._keys[variant.id].items()}
        try:
            self._done[variant.id] = commit(
                self._store, variant, obtained, self._origin, self._transfers.note, cancelled=cancelled
            )
        except Stopped as stopped:
            raise KeyboardInterrupt from stopped
        except AssayError as error:
            self._fail({variant.id}, error)

    def _fail(self, names: set[str], error: AssayError) -> None:
        """Stop what only variants need that cannot become whole any more."""
        for name in names:
            self.failed.setdefault(name, error)
        for job in self._jobs.values():
            if job.needed_by <= self.failed.keys():
                job.stop.set()


def _raise(failed: Mapping[str, AssayError], asked: int) -> None:
    """One error of what failed: the error itself, or the nearest kind that all of them are."""
    errors = list(dict.fromkeys(failed.values()))
    if not errors:
        return
    if asked == 1:
        raise errors[0]
    kind = next(c for c in type(errors[0]).mro() if all(isinstance(error, c) for error in errors))
    raise kind(
        f"{len(failed)} of {asked} models could not be fetched; the others are here",
        why="\n".join(f"{name}: {error.clause}" for name, error in failed.items()),
        remedy=errors[0].remedy,
    ) from errors[0]
