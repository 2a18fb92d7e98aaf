from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog.spelling import SYNONYMS, spelling, task_word


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("Qwen 2.5_0.5B", "qwen-2.5-0.5b"), ("  a  b ", "a-b"), ("text_gen", "text-gen")],
)
def test_spelling(text: str, spelled: str) -> None:
    assert spelling(text) == spelled


@given(st.text())
def test_a_spelling_is_its_own(text: str) -> None:
    assert spelling(spelling(text)) == spelling(text)


def test_synonyms_stand_for_one_word_each() -> None:
    assert all(spelling(word) == word and task_word(stands) == stands for word, stands in SYNONYMS.items())
    assert task_word("Chat_Completion") == task_word("conversational") == "chat"
    assert task_word("rerank") == "rerank"
