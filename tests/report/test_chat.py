"""What a chat shows: text that cannot harm a terminal, figures that were measured, what a reader must know."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.console import Console

from assay.app.chat import Spoken
from assay.app.talker import Place, blank_sample
from assay.report import chat
from assay.report.escape import clean
from assay.report.units import UNKNOWN
from assay.types import NS, Sample

PLACE = Place(variant="m:q8_0", engine="llamacpp", where="here", why_there="it is", context_length=2000)


def sample(prompt: int | None, output: int | None, cached: int | None = None) -> Sample:
    return structs.replace(
        blank_sample(PLACE), sent_ns=0, first_text_ns=NS // 50, chunk_ns=(NS // 50, NS), first_chunk_tokens=1,
        prompt_tokens=prompt, output_tokens=output, cached_tokens=cached,
    )  # fmt: skip


def told(prompt: int | None = 100, output: int | None = 50, **more: object) -> Spoken:
    return Spoken(sample=sample(prompt, output), place=PLACE, **more)  # type: ignore[arg-type]


def test_figures_are_those_of_the_sample() -> None:
    line = chat.figures(Spoken(sample=sample(100, 50, 80), place=PLACE))
    assert line == "ttft 20.0 ms · 50.0 tok/s · 100 tokens in (80 cached), 50 out · context 150 of 2,000 (8%)"


def test_what_was_not_counted_is_not_made_up() -> None:
    line = chat.figures(told(None, None))
    assert line.count(UNKNOWN) == 4
    assert f"context {UNKNOWN} of 2,000" in line


@pytest.mark.parametrize(
    ("spoken", "said"),
    [
        (told(), []),
        (told(1500, 100), ["context 1,600 of 2,000 (80%)"]),
        (told(100, 50, cut="length"), ["the answer is cut after 50 tokens: /set max_tokens"]),
        (told(None, None, cut="length"), ["the answer is cut: /set max_tokens"]),
    ],
)
def test_a_reader_is_told_what_matters(spoken: Spoken, said: list[str]) -> None:
    assert chat.remarks(spoken) == said


def test_a_full_context_is_told_with_what_to_do() -> None:
    (remark,) = chat.remarks(told(1900, 100, cut="length"))
    assert "the context of 2,000 tokens is full" in remark
    assert "/drop" in remark


@given(st.lists(st.text(max_size=12), max_size=8))
def test_plain_text_is_the_text_without_controls(pieces: list[str]) -> None:
    written: list[str] = []
    screen = chat.Plain(written.append)
    for piece in pieces:
        screen.feed(piece)
    screen.end()
    whole = clean("".join(pieces).replace("\r", ""))
    assert "".join(written) == whole + ("\n" if whole and not whole.endswith("\n") else "")
    assert "\x1b" not in "".join(written)


def test_a_styled_screen_lets_no_control_through() -> None:
    file = io.StringIO()
    screen = chat.Styled(Console(file=file, force_terminal=True, width=40, color_system="standard"))
    screen.feed("**bold** [red]no markup[/red] \x1b]0;title\x07\x1b[2J and more words than one line has")
    screen.end()
    shown = file.getvalue()
    assert "\x1b[1mbold\x1b[0m" in shown
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "[red]no" in shown
    assert shown.endswith("\n")
