from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.judge.answers import NoJson, count_items, count_sentences, first_json, mentions, normalised

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ('  {"a": 1}\n', {"a": 1}),
        ('Sure! Here it is:\n```json\n[{"who": "Ann"}]\n```\nAnything else?', [{"who": "Ann"}]),
        ("```\n7\n```", 7),
        ('See [this] and {that}: [1, {"a": []}] or [2]', [1, {"a": []}]),
        ('[{"a": 1}, {"a": ', {"a": 1}),
    ],
)
def test_the_first_json_value_is_found(text: str, value: Any) -> None:
    assert first_json(text) == value


@pytest.mark.parametrize("text", ["", "no items", '{"a": NaN}', "[1, 2", "[" * 5000, '[{"a":' * 3000, "9" * 5000 + "x"])
def test_no_json_is_said_so(text: str) -> None:
    with pytest.raises(NoJson):
        first_json(text)


@given(
    st.lists(JSON, max_size=3) | st.dictionaries(st.text(), JSON, max_size=3), st.sampled_from(["", "Here: ", "a) "])
)
def test_json_behind_prose_is_found_whole(value: Any, prose: str) -> None:
    assert first_json(f"{prose}{json.dumps(value)} and that is all.") == value


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" ... ", 0),
        ("One", 1),
        ("One. Two! Three?", 3),
        ("Dr. Smith met Mr. J. Jones at No. 5, e.g. Tuesday.", 1),
        ("The answer is no. We stop.", 2),
        ("It costs 2.5 GB on example.org. That is v1.2.", 2),
        ("They meet on 3. May with Ann.", 1),
        ("They meet on Jan. 5 at noon.", 1),
        ("They start in May. Ann leads.", 2),
        ("We met in 2024. Then we left.", 2),
        ("There are 12. Six are red.", 2),
        ("Tools, paper, etc. were bought.", 1),
        ("Tools, paper, etc. Then we left.", 2),
        ('He said "Go." Then he went.', 2),
        ("Wait... what?", 1),
        ("So did I. Ann left.", 2),
        ("Really?! Yes.", 2),
        ("Wrapped over\ntwo lines.", 1),
        ("A heading\n\nA line.", 2),
        ("Two things:\n- Ann writes.\n- Bob reads.", 3),
        ("1. Ann writes the plan\n2. Bob reads it", 2),
        ("\u4f1a\u8b70\u306f\u7d42\u308f\u308a\u3002\u89e3\u6563\u3002", 2),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert count_sentences(text) == count


@given(st.lists(st.sampled_from(["Ann writes the report", "Bob paid 3.50", "Dr. Lee left at 5 p.m"]), max_size=6))
def test_a_text_has_as_many_sentences_as_it_was_made_of(sentences: list[str]) -> None:
    assert count_sentences(" ".join(f"{sentence}." for sentence in sentences)) == len(sentences)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Nothing to do.", 0),
        ("- a\n* b\n\u2022 c\n  + d", 4),
        ("1. a\n2) b\n(3) c", 3),
        ("Intro:\n- a\nnot an item\n-not one either", 1),
        ('["a", "b", "c"]', 3),
        ("see [1]\n- a\n- b", 2),
        ('{"items": ["a"]}', 0),
    ],
)
def test_items_are_counted(text: str, count: int) -> None:
    assert count_items(text) == count


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("The START of it", "start", True),
        ("The restart of it", "start", False),
        ("data  privacy\nmatters", "Data privacy", True),
        ("cost: $5.", "$5", True),
        ("uses C++ a lot", "c++", True),
        ("\u6771\u4eac\u306f\u5927\u304d\u3044", "\u6771\u4eac", True),
        ("GPU\u3092\u4f7f\u3046", "gpu", True),
        ("anything", "", False),
        ("cafe\u0301 at noon", "caf\u00e9", True),
    ],
)
def test_mentions_are_of_whole_words(text: str, words: str, found: bool) -> None:
    assert mentions(text, words) is found


@given(st.text())
def test_normalising_ignores_case_and_spaces_around(text: str) -> None:
    assert normalised(f"\n {text}\t") == normalised(text)
