from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.measure.sse import EventTooLarge, SseSplitter

LINES = st.one_of(
    st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20).map(lambda text: f"data: {text}"),
    st.sampled_from(
        ["", "", "data", "data:", "data:x", ": comment", "event: message", "id: 1", "retry: 5", "data: [DONE]"]
    ),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=30).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


def split(parts: list[bytes]) -> list[bytes]:
    splitter = SseSplitter()
    events = [event for part in parts for event in splitter.feed(part)]
    return events + splitter.end()


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 700), max_size=12), bom=st.booleans())
def test_any_split_of_a_stream_gives_the_same_events(stream: bytes, cuts: list[int], bom: bool) -> None:
    stream = b"\xef\xbb\xbf" + stream if bom else stream
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [stream[a:b] for a, b in pairwise(edges)]
    assert split(parts) == split([stream])
    assert split([bytes([byte]) for byte in stream]) == split([stream])


@given(payloads=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)))
def test_payloads_come_back_as_written(payloads: list[str]) -> None:
    stream = b"".join(b"data: " + payload.encode() + b"\n\n" for payload in payloads)
    assert split([stream]) == [payload.encode() for payload in payloads]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": ping\n\ndata:a\n\n", [b"a"]),
        (b"event: x\nid: 3\ndata:  a\n\n", [b" a"]),
        (b"data\n\n", [b""]),
        (b"database: no\n\n", []),
        (b"data: unended", [b"unended"]),
        (b"data: no blank line\n", [b"no blank line"]),
        ("data: 🦊\n\n".encode(), ["🦊".encode()]),
    ],
)
def test_the_format(stream: bytes, events: list[bytes]) -> None:
    assert split([stream]) == events


def test_an_event_comes_as_soon_as_its_blank_line() -> None:
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\r\n") == []
    assert splitter.feed(b"\r") == [b"a"]
    assert splitter.feed(b"\ndata: b\n\n") == [b"b"]


@pytest.mark.parametrize("flood", [b"data: " + b"x" * 100, b"x" * 100, b"data: 12345678901234567890\n" * 5])
def test_an_endless_event_is_refused(flood: bytes) -> None:
    with pytest.raises(EventTooLarge, match="larger than 64 bytes"):
        SseSplitter(max_event_bytes=64).feed(flood)
