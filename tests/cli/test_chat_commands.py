"""What a typed line asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.cli.chat import Loop
from assay.cli.chat_commands import COMMANDS, Do, Line, Say, Unknown, listing, read, unfinished


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("", None),
        ("  \n ", None),
        (" hello ", Say("hello")),
        ("/?", Do("help", "")),
        ("/BYE", Do("exit", "")),
        ("/system Be  brief.", Do("system", "Be  brief.")),
        ('/system """two\nlines"""', Do("system", "two\nlines")),
        ("/set stop a b", Do("set", "stop a b")),
        ("//usr/bin", Say("/usr/bin")),
        ("/", Say("/")),
        ("/ 2", Say("/ 2")),
        ("/usr/bin is what?", Unknown("/usr/bin", None)),
        ("/modle x", Unknown("/modle", "/model")),
        ('"""one\n/two"""', Say("one\n/two")),
        ('""""""', None),
        ("curl \\\n  -X", Say("curl \\\n  -X")),
    ],
)
def test_a_line_is_a_text_or_a_command(typed: str, line: Line) -> None:
    assert read(typed) == line


@given(st.text(max_size=40))
def test_any_line_can_be_read(typed: str) -> None:
    line = read(typed)
    assert (line is None) == (not typed.strip())
    if not typed.strip().startswith(("/", '"""')) and typed.strip():
        assert line == Say(typed.strip())


@given(st.text(max_size=40).filter(lambda text: text.strip() == text and text))
def test_two_slashes_send_whatever_begins_with_one(text: str) -> None:
    assert read(f"//{text}") == Say(f"/{text}")


@pytest.mark.parametrize(
    ("typed", "more"),
    [
        ('"""', True), ('"""a\nb', True), ('"""a"""', False), ("a", False), ('/system """a', True),
        ('/system a', False), ('say """', False),
    ],
)  # fmt: skip
def test_open_quotes_go_on(typed: str, more: bool) -> None:
    assert unfinished(typed) is more


def test_every_command_is_listed_and_done_within_80_columns() -> None:
    assert all(len(line) <= 80 for line in listing())
    for name in COMMANDS:
        assert any(f"/{name}" in line for line in listing())
        assert name == "exit" or callable(getattr(Loop, f"_do_{name}", None))
