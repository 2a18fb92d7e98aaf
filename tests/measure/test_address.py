from __future__ import annotations

import asyncio

import pytest

from assay.errors import BadInput, EngineUnavailable
from assay.measure.address import base_url, bearer, list_models
from tests.measure.conftest import FaultyServer


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:5273", "http://localhost:5273/v1"),
        ("127.0.0.1:5273/v1", "http://127.0.0.1:5273/v1"),
        (" http://host/ ", "http://host/v1"),
        ("http://host:80/v1/", "http://host:80/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://host/v1/models", "https://host/v1"),
        ("https://host/api/openai", "https://host/api/openai/v1"),
        ("https://host/compatible/v2", "https://host/compatible/v2"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_addresses_as_people_write_them(text: str, url: str) -> None:
    assert base_url(text) == url
    assert base_url(url) == url


@pytest.mark.parametrize("text", ["", "http://", "ftp://host", "http://host:port", "http://ho st", "http://key@host"])
def test_no_address(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        base_url(text)
    assert caught.value.remedy


def test_a_key_becomes_a_header() -> None:
    assert bearer("k") == {"Authorization": "Bearer k"}
    assert bearer(None) == bearer("") == {}


def test_models_are_listed(server: FaultyServer) -> None:
    assert "ok" in asyncio.run(list_models(server.url, bearer("key")))


def test_a_server_that_lists_nothing(server: FaultyServer) -> None:
    with pytest.raises(EngineUnavailable, match="does not list") as caught:
        asyncio.run(list_models(server.url + "/nowhere"))
    assert caught.value.why == "HTTP 404: no such page"


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(EngineUnavailable, match="does not answer"):
        asyncio.run(list_models("http://127.0.0.1:9/v1"))


def test_something_that_is_no_list(server: FaultyServer) -> None:
    with pytest.raises(EngineUnavailable, match="is not a list of models"):
        asyncio.run(list_models(server.url.removesuffix("/v1") + "/control"))
