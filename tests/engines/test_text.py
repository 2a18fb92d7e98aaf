from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.worker.text import TextStream

ALPHABET = "abé漢🙂\n"


def run(pieces: list[bytes], stops: tuple[str, ...]) -> tuple[str, bool]:
    stream = TextStream(stops)
    out = "".join([*[stream.feed(piece) for piece in pieces], stream.finish()])
    return out, stream.stopped


def reference(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """Character by character: the first moment at which the text ends in a stop string."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - max(map(len, ending))], True
    return text, False


@st.composite
def split_text(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    text = draw(st.text(ALPHABET, max_size=30))
    data = text.encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    bounds = [0, *cuts, len(data)]
    return text, [data[a:b] for a, b in pairwise(bounds)]


@given(split_text(), st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3).map(tuple))
def test_any_split_gives_what_reading_by_character_gives(case: tuple[str, list[bytes]], stops: tuple[str, ...]) -> None:
    text, pieces = case
    assert run(pieces, stops) == reference(text, stops)


@given(split_text(), st.lists(st.text(ALPHABET, min_size=1, max_size=4), min_size=1, max_size=3).map(tuple))
def test_no_more_is_held_back_than_may_begin_a_stop_string(
    case: tuple[str, list[bytes]], stops: tuple[str, ...]
) -> None:
    stream, fed, out = TextStream(stops), b"", ""
    for piece in case[1]:
        fed += piece
        out += stream.feed(piece)
        if stream.stopped:
            return
        whole = fed.decode(errors="ignore")
        held = whole[len(out) :]
        assert held == "" or any(stop.startswith(held) for stop in stops)


@given(st.lists(st.binary(max_size=6), max_size=8))
def test_bytes_that_are_no_text_become_replacement_characters(pieces: list[bytes]) -> None:
    text, _ = run(pieces, ())
    whole = b"".join(pieces).decode(errors="replace")
    assert whole.startswith(text)
    assert set(whole[len(text) :]) <= {"\ufffd"}


def test_a_character_left_unfinished_is_dropped() -> None:
    assert run([b"ok ", "é".encode()[:1]], ()) == ("ok ", False)


@pytest.mark.parametrize(
    ("stops", "expected"),
    [(("abc", "b"), "a"), (("bc", "abc"), ""), (("c",), "ab"), (("cd",), "abc"), (("abcdef",), "abc")],
)
def test_which_stop_string_counts(stops: tuple[str, ...], expected: str) -> None:
    assert run([b"abc"], stops)[0] == expected
