"""Which positions are compared, and the text that is shipped for it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from assay.compile.passages import default_text
from assay.compile.positions import ENTRIES, MOST, affordable, in_passage, spread


@given(st.integers(0, 400), st.integers(1, 50))
def test_every_position_of_a_passage_has_a_token_after_it(length: int, count: int) -> None:
    found = in_passage(length, count)
    assert len(found) <= count
    assert list(found) == sorted(set(found))
    assert all(0 <= place <= length - 2 for place in found)
    assert found or length < 2


@given(st.integers(1, 60), st.integers(1, 60))
def test_places_are_spread_to_both_ends(length: int, count: int) -> None:
    found = spread(range(length), count)
    assert len(found) == len(set(found)) == min(length, count)
    gaps = {b - a for a, b in pairwise(found)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@given(st.integers(1, 300_000), st.integers(0, 40), st.integers(0, 40))
def test_no_more_is_asked_than_can_be_afforded(vocabulary: int, passages: int, continuations: int) -> None:
    text, rest = affordable(vocabulary, passages, continuations)
    assert text >= 1
    assert rest >= 1
    total = passages * text + continuations * rest
    assert total <= max(min(MOST, ENTRIES // vocabulary), passages + continuations)


def test_the_text_that_is_shipped_is_twenty_different_passages() -> None:
    text = default_text()
    assert len(text) == len(set(text)) == 20
    assert all(150 < len(passage) < 400 for passage in text)
    assert sum(map(len, text)) < 6000
