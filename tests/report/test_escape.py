"""Foreign texts where they are printed."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report.escape import clean, markdown_text, one_line, spreadsheet_text

ANY = st.text(st.characters(), max_size=80)


@given(ANY)
def test_clean_text_can_steer_no_terminal(text: str) -> None:
    cleaned = clean(text)
    assert not [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069]", cleaned)
    assert clean(cleaned) == cleaned
    cleaned.encode()


def test_clean_keeps_what_people_write() -> None:
    text = "caf\u00e9 \u0645\u0631\u062d\u0628\u0627 \u200f\U0001f469\u200d\U0001f52c\n\ttab"
    assert clean(text) == text
    assert clean("\ud83d\x1b[31m") == "\ufffd\ufffd[31m"


@given(ANY, st.integers(2, 40))
def test_one_line_is_one_line_of_at_most_so_many_characters(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert "\n" not in line
    assert len(line) <= limit


@given(ANY)
def test_markdown_text_breaks_no_table_and_opens_no_tag(text: str) -> None:
    escaped = markdown_text(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`]", re.sub(r"\\[|`]", "", escaped))
    assert "<" not in escaped
    assert "\n" not in escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("notes-4m:q8_0 @ llama.cpp", "notes-4m:q8_0 @ llama.cpp"),
        ("a|b", "a\\|b"),
        ("*x* _y_", "\\*x\\* \\_y\\_"),
        ("<b> & [l](u)", "&lt;b> &amp; \\[l\\](u)"),
    ],
)
def test_markdown_text_leaves_plain_names_alone(text: str, escaped: str) -> None:
    assert markdown_text(text) == escaped


@given(ANY, st.sampled_from(["=", "+", "-", "@", "\t=", " ="]))
def test_no_cell_is_a_formula(text: str, start: str) -> None:
    assert spreadsheet_text(start + text).startswith("'")
    assert spreadsheet_text("plain") == "plain"
