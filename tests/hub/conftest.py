"""One Hub server for the tests of this room; each gets repositories of its own, no faults and an empty log."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.hub import Hub
from assay.types import File, RemoteFile
from tests.hub.running import Server, running

TOKEN = "hf_secretSECRETsecret"
Place = Callable[..., str]
Remote = Callable[..., RemoteFile]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="session")
def shared_server(root: Path) -> Iterator[Server]:
    with running(root, token=TOKEN) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    shared_server.clear()
    return shared_server


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def place(root: Path, _numbers: Iterator[int]) -> Place:
    """Put a repository on the server: ``place({"path": bytes}, name=..., owner=..., **card)`` gives its id."""

    def put(files: dict[str, bytes], *, owner: str | None = None, name: str = "tiny", **card: Any) -> str:
        owner = owner or f"acme{next(_numbers)}"
        for path, content in files.items():
            file = root / owner / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (root / owner / name).mkdir(parents=True, exist_ok=True)
        (root / owner / name / ".repo.json").write_text(json.dumps(card))
        return f"{owner}/{name}"

    return put


@pytest.fixture
def waits() -> list[float]:
    """The waits that ``hub`` would have made."""
    return []


@pytest.fixture
def hub(server: Server, waits: list[float]) -> Hub:
    """One that does not really wait between tries."""
    return Hub(server.url, sleep=waits.append, random=lambda: 1.0)


@pytest.fixture
def remote(hub: Hub) -> Remote:
    """What is listed of a file; ``known=False``: only its name."""

    def look(repo_id: str, path: str = "model.gguf", *, known: bool = True) -> RemoteFile:
        repo = hub.repo(repo_id)
        assert repo.files is not None
        assert repo.revision is not None
        file = next(file for file in repo.files if file.path == path)
        return RemoteFile(repo=repo_id, revision=repo.revision, path=path, file=file if known else File(path=path))

    return look
