from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.hub.spans import Span, content_name, size_beyond, span_of

SHA256, SHA1 = "0f" * 32, "a1" * 20


@pytest.mark.parametrize(
    ("status", "headers", "span"),
    [
        (200, {"Content-Length": "10"}, Span(0, 10)),
        (200, {}, Span(0, None)),
        (200, {"Content-Length": "ten"}, Span(0, None)),
        (206, {"Content-Range": "bytes 5-9/10", "Content-Length": "5"}, Span(5, 10)),
        (206, {"Content-Range": "bytes 5-9/*"}, Span(5, None)),
        (200, {"Content-Range": "bytes 5-9/10", "Content-Length": "10"}, Span(0, 10)),
    ],
)
def test_span(status: int, headers: dict[str, str], span: Span) -> None:
    assert span_of(httpx2.Response(status, headers=headers)) == span


@given(st.integers(200, 206), st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_any_header_is_read(status: int, value: str) -> None:
    response = httpx2.Response(status, headers={"Content-Range": value, "Content-Length": value, "ETag": value})
    assert span_of(response).start >= 0
    assert size_beyond(response) is None or value.startswith("bytes */")
    assert content_name(response) in {None, value.strip().strip('"')}


def test_size_beyond() -> None:
    assert size_beyond(httpx2.Response(416, headers={"Content-Range": "bytes */77"})) == 77
    assert size_beyond(httpx2.Response(416)) is None


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"X-Linked-Etag": f'"{SHA256}"', "ETag": '"other"'}, SHA256),
        ({"X-Linked-Etag": f'W/"{SHA256}"'}, SHA256),
        ({"ETag": f'"{SHA1}"'}, SHA1),
        ({"ETag": f'"{SHA256}"'}, None),
        ({"ETag": '"5e1c-abc"'}, None),
        ({}, None),
    ],
)
def test_content_name(headers: dict[str, str], name: str | None) -> None:
    assert content_name(httpx2.Response(200, headers=headers)) == name


def test_content_name_behind_redirects() -> None:
    """A repository that was renamed, then storage elsewhere that has tags of its own."""
    renamed = httpx2.Response(307, headers={"Location": "/new"})
    linked = httpx2.Response(302, headers={"X-Linked-Etag": f'"{SHA256}"'})
    storage = {"ETag": f'"{SHA1}"'}
    assert content_name(httpx2.Response(200, headers=storage, history=[renamed, linked])) == SHA256
    assert content_name(httpx2.Response(200, headers=storage, history=[renamed])) is None
