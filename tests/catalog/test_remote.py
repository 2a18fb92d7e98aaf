"""Addresses of servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import remote_variant
from assay.errors import BadInput


@pytest.mark.parametrize(
    ("address", "source", "served", "name"),
    [
        ("http://localhost:8000/v1#qwen", "http://localhost:8000/v1", "qwen", "qwen@localhost:8000"),
        ("http://localhost:8000", "http://localhost:8000/v1", None, "localhost:8000"),
        ("http://localhost:8000/", "http://localhost:8000/v1", None, "localhost:8000"),
        ("HTTPS://Example.com/v1/", "https://example.com/v1", None, "example.com"),
        ("https://h/api/v1#org/model:1", "https://h/api/v1", "org/model:1", "org/model:1@h"),
        ("https://h/api", "https://h/api/v1", None, "h"),
        ("http://[::1]:5273/v1#m", "http://[::1]:5273/v1", "m", "m@[::1]:5273"),
    ],
)
def test_address(address: str, source: str, served: str | None, name: str) -> None:
    variant = remote_variant(address)
    assert (variant.format, variant.source, variant.served_id, variant.id) == ("remote", source, served, name)
    assert variant.path is None
    assert variant.disk is None


def test_an_alias_and_a_model_beside_the_address() -> None:
    variant = remote_variant("http://h/v1", model="org/qwen", alias="q")
    assert (variant.id, variant.alias, variant.served_id) == ("q", "q", "org/qwen")


def test_two_models_of_one_server_are_two() -> None:
    assert remote_variant("http://h#a").digest != remote_variant("http://h#b").digest


@pytest.mark.parametrize("address", ["http://", "ftp://h", "http://h:99999", "http://h:x", "http://[::1", "h:80"])
def test_no_address(address: str) -> None:
    with pytest.raises(BadInput, match="is not an address"):
        remote_variant(address)


def test_a_query_is_refused() -> None:
    with pytest.raises(BadInput, match="query"):
        remote_variant("http://h/v1?key=1")


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        remote_variant("http://me:hunter2@h/v1")
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        variant = remote_variant(f"http://{text}")
    except BadInput:
        return
    assert variant.source.endswith("/v1")
