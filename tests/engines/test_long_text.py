from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.engines.worker.long_text import CHARACTERS, SURE, prompt_of


def words(text: str) -> list[int]:
    """A tokenizer of one token a word and one a blank, which merges across no cut worth more than one token."""
    return [len(part) for part in text.split(" ")]


@given(st.integers(1, 40), st.integers(0, 4000), st.sampled_from(["a", "ab ", "some words ", "a" * 30 + " "]))
def test_what_fits_is_read_whole_and_what_does_not_is_known_to_be_longer(context: int, times: int, word: str) -> None:
    text = word * times
    whole, found = words(text), prompt_of(text, context, words)
    if found.more:
        assert context < len(found.ids or ()) <= len(whole)
        assert found.length == len(found.ids or ())
    else:
        assert found.ids == tuple(whole)


def test_far_too_long_a_text_is_not_read_to_its_end() -> None:
    read: list[int] = []

    def ids_of(part: str) -> list[int]:
        read.append(len(part))
        return [1] * (len(part) // 12)

    found = prompt_of("<|im_start|>" * 1_000_000, 2048, ids_of)
    assert found.more
    assert found.told_length == f"more than {found.length}"
    assert sum(read) < 100 * CHARACTERS * (2048 + SURE)


def test_without_a_context_all_is_read() -> None:
    assert prompt_of("a b" * 1000, None, words).length == len(words("a b" * 1000))
