"""Markdown in pieces: how it was cut changes nothing, code stays as it is, prose breaks between words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report.streamed import BOLD, CODE, DIM, HEADING, ITALIC, LINK, MARK, Markdown, Span

WIDE = 10_000
MARKDOWN = st.text(alphabet=st.sampled_from(list("ab é漢*`_#|>-+.12()[]\\~ \n")), max_size=120)


def shown(text: str, cuts: list[int] | None = None, width: int = WIDE) -> list[Span]:
    """What comes out of ``text`` cut at those places, neighbours of one style made one."""
    stream = Markdown()
    spans: list[Span] = []
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts or []), len(text)]
    for start, end in pairwise(edges):
        spans += stream.feed(text[start:end], width)
    spans += stream.end(width)
    joined: list[Span] = []
    for span in spans:
        same = joined and joined[-1].style == span.style
        joined.append(Span(joined.pop().text + span.text, span.style) if same else span)
    return joined


def plain(spans: list[Span]) -> str:
    return "".join(span.text for span in spans)


@given(MARKDOWN, st.lists(st.integers(0, 200), max_size=8), st.sampled_from([12, 40, WIDE]))
def test_cuts_change_nothing(text: str, cuts: list[int], width: int) -> None:
    assert shown(text, cuts, width) == shown(text, None, width)


@given(MARKDOWN)
def test_every_character_on_its_own_is_the_same(text: str) -> None:
    assert shown(text, list(range(len(text)))) == shown(text)


@given(st.text(alphabet=st.sampled_from(list("ab*_`#|- >\\\t")), max_size=60).filter(lambda line: "```" not in line))
def test_code_is_written_to_the_character(line: str) -> None:
    found = shown(f"```python\n{line}\n{line}\n```\n", width=10)
    assert plain(found) == f"```python\n{line}\n{line}\n```\n"


@given(st.lists(st.text(alphabet="abcé", min_size=1, max_size=9), min_size=1, max_size=30), st.integers(10, 40))
def test_prose_breaks_between_words_and_loses_none(words: list[str], width: int) -> None:
    told = plain(shown(" ".join(words), width=width))
    assert told.split() == words
    assert all(len(line) <= width for line in told.splitlines())


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("**bold** and *thin*", [Span("bold", BOLD), Span(" and "), Span("thin", ITALIC)]),
        ("`x ** y`", [Span("x ** y", CODE)]),
        ("**a `b` c**", [Span("a ", BOLD)]),
        ("# Title", [Span("Title", HEADING)]),
        ("- item", [Span("- ", MARK), Span("item")]),
        ("12. item", [Span("12. ", MARK), Span("item")]),
        ("> said", [Span("> said", DIM)]),
        ("[text](http://x)", [Span("text", LINK), Span(" "), Span("(http://x)", DIM)]),
        ("2*3*4 and a ** b and **kwargs", [Span("2*3*4 and a ** b and **kwargs")]),
        ("snake_case_name \\*not\\* #5", [Span("snake_case_name \\*not\\* #5")]),
        ("#hashtag", [Span("#hashtag")]),
        ("a [1] b [c](d e)", [Span("a [1] b [c](d e)")]),
        ("---", [Span("---", DIM)]),
    ],
)
def test_marks_are_what_markdown_has(text: str, spans: list[Span]) -> None:
    found = shown(text)
    words = [Span(part, span.style) for span in found for part in span.text.split()]
    wanted = [Span(part, span.style) for span in spans for part in span.text.split()]
    assert words[: len(wanted)] == wanted
    if not text.startswith("**a"):
        assert len(words) == len(wanted)


def test_a_table_lines_up_row_by_row() -> None:
    found = plain(shown("| a | long |\n|---|--:|\n| four | 1 |\nend"))
    assert found == "| a | long |\n| --- | ---: |\n| four | 1    |\nend\n"


def test_a_list_hangs_under_its_text() -> None:
    assert plain(shown("- one two three four", width=12)) == "- one two\n  three four\n"


def test_a_span_is_shown_as_soon_as_it_ends() -> None:
    stream = Markdown()
    assert stream.feed("some words **in bold", WIDE) == [Span("some words")]
    assert stream.feed("** and", WIDE) == [Span(" "), Span("in", BOLD), Span(" "), Span("bold", BOLD)]


def test_a_mark_that_is_never_closed_holds_no_more_than_a_line() -> None:
    stream = Markdown()
    stream.feed("**never closed\n", WIDE)
    assert plain(stream.feed("next line ", WIDE)) == "next line"


def test_code_is_shown_at_once() -> None:
    stream = Markdown()
    stream.feed("```\n", WIDE)
    assert stream.feed("x = (", WIDE) == [Span("x = (", CODE)]


def test_an_answer_that_ends_within_code_ends_its_line() -> None:
    assert plain(shown("```\nx")) == "```\nx\n"
    assert plain(shown("")) == ""
