"""The keys of a chat's line, pressed at an input that no terminal is behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from assay.app import TypedLines
from assay.cli.chat_terminal import Terminal

CTRL_C, CTRL_D, CTRL_G, CTRL_R = "\x03", "\x04", "\x07", "\x12"


@pytest.mark.parametrize("leaves", [CTRL_C, CTRL_G, CTRL_D])
@pytest.mark.parametrize("sought", ["", "ear", "nowhere"])
def test_a_search_is_left_and_the_line_goes_on(tmp_path: Path, leaves: str, sought: str) -> None:
    lines = TypedLines(tmp_path / "history")
    lines.add("an earlier line")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        terminal = Terminal(lines)
        keys.send_text(f"ha{CTRL_R}{sought}{leaves}lf\r{CTRL_D}")
        keys.close()
        assert terminal.read() == "half"
        with pytest.raises(EOFError):
            terminal.read()


def test_what_a_search_found_is_taken(tmp_path: Path) -> None:
    lines = TypedLines(tmp_path / "history")
    lines.add("an earlier line")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text(f"{CTRL_R}ear\r\r")
        keys.close()
        assert Terminal(lines).read() == "an earlier line"


def test_what_is_told_of_a_file_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        Terminal(None).say("system message: \x1b[31mred\x9b2J\a")
    assert capsys.readouterr().out == "system message: \ufffd[31mred\ufffd2J\ufffd\n"
