from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.errors import DownloadFailed, HubUnreachable
from assay.hub import Hub
from tests.hub.conftest import Place
from tests.hub.running import Server

CONTENT = random.Random(5).randbytes(10_000)


@pytest.fixture
def repo_id(place: Place) -> str:
    return place({"model.gguf": CONTENT})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 11_000), st.integers(0, 11_000), st.booleans(), st.booleans())
def test_any_range(
    hub: Hub, server: Server, repo_id: str, offset: int, length: int, known: bool, ignored: bool
) -> None:
    server.clear()
    if ignored:
        server.fault("norange", "model.gguf")
    reader = hub.reader(repo_id, "main", "model.gguf", len(CONTENT) if known else None)
    assert reader.read(offset, length) == CONTENT[offset : offset + length]


def test_name_and_size(hub: Hub, server: Server, repo_id: str) -> None:
    reader = hub.reader(repo_id, "main", "model.gguf")
    assert (reader.name, reader.size) == (f"{repo_id}/model.gguf", None)
    assert reader.read(100, 5) == CONTENT[100:105]
    assert reader.size == len(CONTENT)
    assert [entry["range"] for entry in server.log("model.gguf")] == ["bytes=100-104"]


def test_tried_again(hub: Hub, server: Server, repo_id: str, waits: list[float]) -> None:
    server.fault("cut", "model.gguf", at=1000)
    server.fault("status", "model.gguf", code=503, skip=1)
    assert hub.reader(repo_id, "main", "model.gguf").read(0, 2000) == CONTENT[:2000]
    assert waits == [1.0, 2.0]


def test_cut_each_time(hub: Hub, server: Server, repo_id: str) -> None:
    server.fault("cut", "model.gguf", at=1000, times=None)
    with pytest.raises(HubUnreachable, match=f"could not be asked for model.gguf of {repo_id}"):
        hub.reader(repo_id, "main", "model.gguf").read(0, 2000)


def test_shorter_than_promised(hub: Hub, server: Server, repo_id: str) -> None:
    server.fault("short", "model.gguf", at=1000, times=None)
    with pytest.raises(DownloadFailed, match="cannot be read at the hub"):
        hub.reader(repo_id, "main", "model.gguf", len(CONTENT)).read(0, 2000)


def test_redirected(hub: Hub, server: Server, repo_id: str) -> None:
    server.fault("redirect", "model.gguf", times=None)
    assert hub.reader(repo_id, "main", "model.gguf").read(9_000, 5_000) == CONTENT[9_000:]
