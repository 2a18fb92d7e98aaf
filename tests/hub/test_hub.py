"""Descriptions and listings, mirrors, and what goes wrong with them."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.errors import BadConfig, BadInput, DownloadFailed, HubBusy, HubRefused, HubUnreachable, UnknownModel
from assay.hub import Hub
from tests.hub.conftest import TOKEN, Place
from tests.hub.running import Server, running


def test_repo(hub: Hub, place: Place) -> None:
    repo_id = place(
        {"model.gguf": b"weights", "sub/config.json": b"{}"},
        card={"license": "apache-2.0", "language": "en"},
        pipeline_tag="text-generation",
        gated="auto",
        refs=["v1"],
        gguf={"total": 7, "architecture": "llama", "context_length": 64},
        baseModels={"relation": "quantized", "models": [{"id": "acme/base"}]},
    )
    repo = hub.repo(repo_id)
    assert (repo.id, repo.licence, repo.languages, repo.gated) == (repo_id, "apache-2.0", ("en",), True)
    assert (repo.parameters, repo.architecture, repo.base_models) == (7, "llama", ("acme/base",))
    assert repo.files is not None
    assert [(file.path, file.size) for file in repo.files] == [("model.gguf", 7), ("sub/config.json", 2)]
    assert repo.files[0].sha256 == hashlib.sha256(b"weights").hexdigest()
    assert repo.files[0].git_sha1 is None
    assert repo.files[1].git_sha1 == "9e26dfeeb6e641a33dae4961196235bdb965b21b"
    assert hub.repo(repo_id, "v1") == hub.repo(repo_id, repo.revision) == repo


def test_files_over_many_pages(root: Path, place: Place) -> None:
    repo_id = place({f"{i:02}.txt": b"" for i in range(25)})
    with running(root, page=7) as server:
        files = Hub(server.url).repo(repo_id).files
        assert files is not None
        assert [file.path for file in files] == [f"{i:02}.txt" for i in range(25)]
        assert len(server.log(f"/api/models/{repo_id}/tree/*")) == 4


@pytest.fixture
def owner(place: Place) -> str:
    """Ten repositories of one owner: ``m0`` is the oldest, most downloaded and least trending."""
    owner = place({}, name="x", created="2020-01-01T00:00:00.000Z", tags=["other"]).split("/")[0]
    for i in range(10):
        place(
            {"model.gguf": b""},
            owner=owner,
            name=f"m{i}",
            created=f"2026-01-{i + 10}T00:00:00.000Z",
            downloads=100 - i,
            trending=i,
            tags=["gguf", "even"] if i % 2 == 0 else ["gguf"],
            pipeline_tag="text-generation" if i < 5 else "fill-mask",
        )
    return owner


def names(found: Any) -> list[str]:
    return [repo.id.partition("/")[2] for repo in found]


def test_search(hub: Hub, owner: str) -> None:
    newest_first = [f"m{i}" for i in range(9, -1, -1)]
    assert names(hub.search(author=owner, filters=("gguf",))) == newest_first
    assert names(hub.search(author=owner, filters=("gguf",), sort="downloads")) == newest_first[::-1]
    assert names(hub.search(author=owner, filters=("gguf",), sort="created", limit=3)) == ["m9", "m8", "m7"]
    assert names(hub.search(author=owner, task="text-generation", filters=("gguf", "even"))) == ["m4", "m2", "m0"]
    assert names(hub.search(f"{owner}/M3")) == ["m3"]
    found = next(hub.search(author=owner, filters=("gguf",)))
    assert (found.files, found.downloads, found.trending, found.task) == (None, 91, 9.0, "fill-mask")
    assert found.revision is not None


@pytest.mark.parametrize("since", ["2026-01-16", "2026-01-16T00:00:00Z", "2026-01-16T05:30:00+05:30"])
def test_since(hub: Hub, owner: str, since: str) -> None:
    """Newest first whatever the order that was asked for, and none that is as old as the mark."""
    assert names(hub.search(author=owner, sort="downloads", since=since)) == ["m9", "m8", "m7"]


def test_since_stops_asking(root: Path, owner: str) -> None:
    with running(root, page=2) as server:
        assert names(Hub(server.url).search(author=owner, since="2026-01-16")) == ["m9", "m8", "m7"]
        assert len(server.log("models")) == 2
        assert len(list(Hub(server.url).search(author=owner))) == 11
        assert len(server.log("models")) == 2 + 6


def test_pages_are_asked_for_as_they_are_taken(root: Path, owner: str) -> None:
    with running(root, page=2) as server:
        taken = list(itertools.islice(Hub(server.url).search(author=owner), 3))
        assert len(taken) == 3
        assert len(server.log("models")) == 2


def test_since_no_date(hub: Hub) -> None:
    with pytest.raises(BadInput, match="'yesterday' is no date"):
        hub.search(since="yesterday")


def test_next_page_elsewhere_is_asked_for_here(root: Path, owner: str) -> None:
    """A link that leads to another host gets neither a request nor the token."""
    with running(root, page=2, token=TOKEN) as server:
        server.fault("away", "/api/models", times=None)
        assert len(list(Hub(server.url, token=TOKEN).search(author=owner))) == 11
        assert {(entry["host"], entry["authorization"]) for entry in server.log()} == {("hub", True)}


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_below_a_path(root: Path, place: Place, tmp_path: Path, slash: str) -> None:
    repo_id = place({"model.gguf": b"weights"})
    with running(root, prefix="/mirror/hf", page=1) as server:
        hub = Hub(server.url + slash)
        assert hub.endpoint == server.url
        repo = hub.repo(repo_id)
        assert hub.read(repo_id, repo.revision or "", "model.gguf") == b"weights"
        assert len(list(hub.search(author=repo.owner))) == 1
        assert all(entry["path"].startswith("/mirror/hf/") and entry["status"] in {200, 206} for entry in server.log())


def test_unknown_repository(hub: Hub, owner: str) -> None:
    with pytest.raises(UnknownModel, match=f"There is no {owner}/mm3 at http") as unknown:
        hub.repo(f"{owner}/mm3")
    assert f"did you mean {owner}/m3" in str(unknown.value)
    with pytest.raises(UnknownModel, match="HF_TOKEN"):
        hub.repo("nobody/nothing")
    with pytest.raises(UnknownModel, match="is no repository"):
        hub.repo("a/../b")


def test_unknown_revision(hub: Hub, place: Place) -> None:
    with pytest.raises(UnknownModel, match="has no revision 'v9/x'"):
        hub.repo(place({}), "v9/x")


def test_private(server: Server, place: Place) -> None:
    repo_id = place({"a.txt": b"a"}, private=True)
    assert Hub(server.url, token=TOKEN).repo(repo_id).id == repo_id
    for token in (None, "hf_other"):
        with pytest.raises(UnknownModel, match="it is private"):
            Hub(server.url, token=token).repo(repo_id)


@pytest.mark.parametrize(
    ("code", "kind"), [(401, HubRefused), (403, HubRefused), (500, HubUnreachable), (429, HubBusy)]
)
def test_api_faults(
    hub: Hub, server: Server, place: Place, waits: list[float], code: int, kind: type[Exception]
) -> None:
    repo_id = place({"a.txt": b"a"})
    server.fault("status", f"/api/models/{repo_id}", times=None, code=code)
    with pytest.raises(kind):
        hub.repo(repo_id)
    assert waits == ([] if code < 404 else [1.0, 2.0])


def test_api_busy_then_well(hub: Hub, server: Server, place: Place, waits: list[float]) -> None:
    repo_id = place({"a.txt": b"a"})
    server.fault("status", f"/api/models/{repo_id}/tree/*", times=2, code=503, retry_after="4")
    assert hub.repo(repo_id).files
    assert waits == [5.0, 5.0]


@pytest.mark.parametrize("body", ["<html>please log in</html>", '"text"', "[]", ""])
def test_not_a_hub(hub: Hub, server: Server, place: Place, body: str) -> None:
    repo_id = place({"a.txt": b"a"})
    server.fault("status", f"/api/models/{repo_id}", code=200, body=body)
    with pytest.raises(HubUnreachable, match="did not answer as a model hub does"):
        hub.repo(repo_id)


def test_no_server(waits: list[float]) -> None:
    with pytest.raises(HubUnreachable, match=r"http://127\.0\.0\.1:1 could not be asked for the list of models"):
        next(Hub("http://127.0.0.1:1", sleep=waits.append).search())
    assert len(waits) == 2


def test_offline(server: Server) -> None:
    hub = Hub(server.url, offline=True)
    for ask in (
        lambda: hub.repo("a/b"),
        lambda: next(hub.search()),
        lambda: hub.read("a/b", "main", "x"),
        lambda: hub.reader("a/b", "main", "x").read(0, 1),
    ):
        with pytest.raises(HubUnreachable, match="offline mode is on"):
            ask()
    assert server.log() == []


OFFLINE = """
import sys
from assay.errors import HubUnreachable
from assay.hub import Hub
try:
    Hub(sys.argv[1]).repo("a/b")
except HubUnreachable as error:
    print(error)
"""


def test_offline_by_the_environment(server: Server) -> None:
    """The library's own switch, where nobody passed it on."""
    command = [sys.executable, "-c", OFFLINE, server.url]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert "why: offline mode is on" in said
    assert server.log() == []


@pytest.mark.parametrize(
    "endpoint",
    ["", "huggingface.co", "ftp://x", "http://", "https://x?a=1", "https://[::1", "https://x:0", "https://x:y"],
)
def test_bad_endpoint(endpoint: str) -> None:
    with pytest.raises(BadConfig, match="HF_ENDPOINT"):
        Hub(endpoint)


def test_read(hub: Hub, server: Server, place: Place) -> None:
    repo_id = place({"config.json": b'{"a": 1}', "empty": b""})
    assert hub.read(repo_id, "main", "config.json") == b'{"a": 1}'
    assert hub.read(repo_id, "main", "empty") == b""
    assert hub.read(repo_id, "main", "config.json", limit=8) == b'{"a": 1}'
    with pytest.raises(DownloadFailed, match="more than 7 bytes"):
        hub.read(repo_id, "main", "config.json", limit=7)
    with pytest.raises(UnknownModel, match=f"There is no other.json of {repo_id}"):
        hub.read(repo_id, "main", "other.json")


def test_import_is_light() -> None:
    code = "import sys, assay.hub; print([m for m in ('huggingface_hub', 'httpx2', 'aiohttp') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
