from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.measure.transcript import Transcript, first_chunk_tokens, split_thinking, text_tokens
from assay.types import Sample

BLANK = Sample(i=0, variant="v", engine="e", prompt="p", round=0, phase="measure")


def event(content: str, **more: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}, **more}]}).encode() + b"\n\n"


@given(
    words=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 9000), max_size=60),
)
def test_each_chunk_is_stamped_with_the_read_that_ended_it(words: list[str], cuts: list[int]) -> None:
    stream = b"".join(event(word) for word in words) + event("", finish_reason="stop")
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    transcript = Transcript()
    for start, stop in pairwise(edges):
        transcript.read(stop, stream[start:stop])
    transcript.end()
    sample = transcript.onto(BLANK)
    ends = [sum(len(event(word)) for word in words[: n + 1]) for n in range(len(words))]
    assert list(sample.chunk_ns) == [min(edge for edge in edges if edge >= end) for end in ends]
    assert list(sample.chunk_chars) == [len(word) for word in words]
    assert (sample.error, sample.output_tokens, sample.token_source) == (None, len(words), "chunks")
    assert sample.last_text_ns == len(stream)


@pytest.mark.parametrize(
    ("content", "thinking", "answer", "at"),
    [
        ("plain", "", "plain", 0),
        ("", "", "", 0),
        ("<think>a</think>b", "a", "b", 16),
        ("\n<think>a</think>\n\nb", "a", "b", 19),
        ("a</think>b", "a", "b", 9),
        ("<think>never ends", "never ends", "", None),
        ("<think>a</think>\n", "a", "", None),
        ("the tags <think> and </think> are tags", "", "the tags <think> and </think> are tags", 0),
    ],
)
def test_thinking_is_told_from_the_answer(content: str, thinking: str, answer: str, at: int | None) -> None:
    assert split_thinking(content) == (thinking, answer, at)


@pytest.mark.parametrize(
    ("chunks", "output", "told", "first"),
    [
        (40, 40, None, 1),
        (40, 41, None, 1),
        (40, 42, None, None),
        (20, 40, None, None),
        (20, 40, 2, 2),
        (20, 40, 41, None),
        (20, 40, 0, None),
        (41, 40, None, None),
        (0, 40, None, None),
        (40, None, None, None),
        (252, 256, None, 1),
        (250, 256, None, None),
    ],
)
def test_first_chunk_is_known_or_none(chunks: int, output: int | None, told: int | None, first: int | None) -> None:
    assert first_chunk_tokens(chunks, output, told) == first


@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=400))
def test_where_it_is_told_without_the_server_tpot_errs_by_two_per_cent_at_most(sizes: list[int]) -> None:
    output = sum(sizes)
    first = first_chunk_tokens(len(sizes), output, None)
    if first is not None and output - len(sizes) > 1:
        assert (output - first) / (output - sizes[0]) <= 1 / (1 - 0.0201)


def test_a_chunk_that_is_no_completion_is_a_protocol_error() -> None:
    transcript = Transcript()
    transcript.read(1, b'data: {"choices": 3}\n\n')
    transcript.end()
    error = transcript.onto(BLANK).error
    assert error is not None
    assert error.kind == "protocol"


def test_json_that_is_no_completion() -> None:
    transcript = Transcript()
    transcript.read(1, b'{"status": "fine"}')
    transcript.end()
    error = transcript.onto(BLANK).error
    assert error is not None
    assert (error.kind, "no choices" in error.message) == ("protocol", True)


def test_an_event_without_end_is_a_protocol_error() -> None:
    transcript = Transcript()
    transcript.read(1, event("a"))
    for ns in range(2, 24):
        transcript.read(ns, b"data: " + b"x" * 1_000_000)
    transcript.end()
    sample = transcript.onto(BLANK)
    assert sample.error is not None
    assert sample.error.kind == "protocol"
    assert sample.text == "a"


@pytest.mark.parametrize(
    ("chunks", "output", "told", "text"),
    [(4, 5, None, 4), (4, 4, None, 4), (4, 6, None, None), (2, 6, 5, 5), (2, 6, 7, None), (0, 1, None, None)],
)
def test_an_end_token_is_no_text(chunks: int, output: int, told: int | None, text: int | None) -> None:
    assert text_tokens(chunks, output, told) == text


@pytest.mark.parametrize("continuous", [True, False])
def test_tpot_leaves_out_an_end_token_that_is_counted(continuous: bool) -> None:
    transcript = Transcript()
    for n in range(1, 5):
        counts = {"usage": {"completion_tokens": n}} if continuous else {}
        chunk = {"choices": [{"delta": {"content": "w "}}], **counts}
        transcript.read(n * 10**9, b"data: " + json.dumps(chunk).encode() + b"\n\n")
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"completion_tokens": 5}}
    transcript.read(9 * 10**9, b"data: " + json.dumps(last).encode() + b"\n\n")
    transcript.end()
    sample = transcript.onto(BLANK)
    assert (sample.output_tokens, sample.first_chunk_tokens, sample.text_tokens) == (5, 1, 4)
    assert sample.tpot == 1.0
