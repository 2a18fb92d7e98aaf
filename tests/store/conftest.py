from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from assay.errors import HubBusy
from assay.store import Store
from assay.types import Digests, File, RemoteFile, Stored, Variant
from tests.hub.running import Server, running

FILES = {"m-00001-of-00002.gguf": b"first part", "m-00002-of-00002.gguf": b"second part", "config.json": b"{}"}


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def offer(
    id: str,  # noqa: A002
    files: Mapping[str, bytes],
    *,
    revision: str = "r1",
    git: tuple[str, ...] = (),
    untold: tuple[str, ...] = (),
) -> Variant:
    """A variant as a hub would offer it; files named in ``git`` have a git name only, those in ``untold`` nothing."""
    alias, _, quantisation = id.partition(":")
    return Variant(
        id=id,
        alias=alias,
        format="gguf",
        source=f"hf:org/{alias}",
        revision=revision,
        quantisation=quantisation or None,
        files=tuple(
            File(path=path)
            if path in untold
            else File(path=path, size=len(content), git_sha1=blob(content))
            if path in git
            else File(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
            for path, content in files.items()
        ),
    )


class Shelf:
    """A fetcher that takes files from memory. ``asked`` tells from which byte on each was asked for.

    ``act`` is called with the path before a file is sent and may raise; ``wrong`` counts down how often a file comes
    with its last byte changed; the file in ``slow`` stops after a byte until it is cancelled; ``cut_at`` is how many
    bytes come before the connection ends.
    """

    def __init__(self, **repositories: Mapping[str, bytes]) -> None:
        self.files = {(repo, path): content for repo, files in repositories.items() for path, content in files.items()}
        self.asked: list[tuple[str, int]] = []
        self.wrong: dict[str, int] = {}
        self.slow: str | None = None
        self.cut_at: int | None = None
        self.sending = threading.Event()
        self.act: Callable[[str], None] = lambda _path: None

    def __call__(
        self,
        source: RemoteFile,
        part: Path,
        tell: Callable[[int, int | None], None],
        note: Callable[[str], None],
        cancelled: threading.Event,
        /,
    ) -> Digests:
        content = self.files[source.repo.removeprefix("org/"), source.path]
        there = part.stat().st_size if part.exists() else 0
        self.asked.append((source.path, there))
        self.act(source.path)
        sent = content[there:]
        if self.wrong.get(source.path, 0) > 0:
            self.wrong[source.path] -= 1
            sent = sent[:-1] + bytes([sent[-1] ^ 1]) if sent else b"#"
        with part.open("ab", buffering=0) as file:
            if self.slow == source.path:
                self._trickle(file, sent, cancelled)
            file.write(sent[: self.cut_at])
        if self.cut_at is not None:
            raise HubBusy("come back later")
        whole = part.read_bytes()
        tell(len(whole), len(content))
        return Digests(sha256=hashlib.sha256(whole).hexdigest(), git_sha1=blob(whole), size=len(whole))

    def _trickle(self, file: object, sent: bytes, cancelled: threading.Event) -> None:
        file.write(sent[:1])  # type: ignore[attr-defined]
        self.sending.set()
        assert cancelled.wait(60), "nobody stopped it"
        raise ConnectionAbortedError


class Told:
    """Transfers that remember what they are told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: dict[str, tuple[int, int | None]] = {}

    def file(self, name: str, done: int, total: int | None, /) -> None:
        self.done[name] = (done, total)

    def note(self, text: str, /) -> None:
        self.notes.append(text)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def told() -> Told:
    return Told()


def keep(store: Store, id: str, files: Mapping[str, bytes], *, revision: str = "r1") -> Stored:  # noqa: A002
    """Put a variant into the store, with its files."""
    for path, content in files.items():
        target = store.folder_of(id) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    stored = Stored(variant=offer(id, files, revision=revision), added="2026-11-22T07:15:01Z", origin="download")
    store.put(stored)
    return stored


def content_of(store: Store, stored: Stored) -> dict[str, bytes]:
    """What lies in the store for the variant, read from the disk."""
    folder = store.folder_of(stored.variant.id)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def leftovers(store: Store) -> list[str]:
    """What lies in the store's folders besides records and listed files."""
    folders = (store.layout.partial, store.layout.locks, store.layout.in_use)
    names = [p.name for folder in folders if folder.exists() for p in folder.iterdir()]
    return names + [p.name for p in store.layout.files.glob(".*")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the hub server of a module serves."""
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Server]:
    with running(root) as server:
        yield server


@pytest.fixture
def server(served: Server) -> Server:
    """The hub server without faults, its log empty."""
    served.clear()
    return served
