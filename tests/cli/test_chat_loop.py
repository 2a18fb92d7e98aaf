"""What ends a chat's loop and what does not, with typed bytes at one side and a scripted chat at the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from assay.app import Chat
from assay.cli.chat import Loop
from assay.cli.chat_terminal import Terminal, Waiting


class Scripted:
    """A chat that waits for another model until Ctrl-C, and whose folder nobody can read."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting

    def switch(self, _name: str) -> None:
        self._waiting.stage("Loading")
        raise KeyboardInterrupt

    def kept(self) -> list[str]:
        raise PermissionError(13, "Permission denied", "chats")

    def clear(self) -> None:
        return None


class Shown(Waiting):
    """A bar that is noted in ``log``."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def stage(self, text: str, /) -> None:
        self.log.append(text)

    def done(self) -> None:
        if self.log[-1:] == ["Loading"]:
            self.log.append("gone")


class Telling(Terminal):
    """A terminal that notes what is said in ``log``."""

    log: list[str]

    def say(self, *lines: str) -> None:
        self.log += lines


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as opened, create_app_session(input=opened, output=DummyOutput()):
        yield opened


def said(keys: PipeInput, typed: bytes) -> list[str]:
    """What a loop says to ``typed``, which leaves it in the end."""
    keys.send_bytes(typed)
    keys.close()
    terminal = Telling(None)
    terminal.log = []
    waiting = Shown(terminal.log)
    Loop(cast(Chat, cast(Any, Scripted(waiting))), terminal, waiting, stats=False).run()
    return terminal.log


FORGOTTEN = "forgotten; model, system message and settings stay"


@pytest.mark.parametrize("typed", [b"count \xff bad", b"/system \xff", b"/set stop \xff", b"/model \xc3"])
def test_bytes_that_are_no_text_are_refused_and_the_chat_goes_on(keys: PipeInput, typed: bytes) -> None:
    refused, *after = said(keys, typed + b"\r/clear\r/exit\r")
    assert refused.startswith("that line is not UTF-8, and nothing was done")
    assert after == [FORGOTTEN]


def test_a_file_that_cannot_be_read_does_not_end_the_chat(keys: PipeInput) -> None:
    told = ["chats cannot be read or written\n  why: Permission denied", FORGOTTEN]
    assert said(keys, b"/load\r/clear\r/exit\r") == told


def test_the_bar_goes_before_a_word_is_said_of_its_end(keys: PipeInput) -> None:
    assert said(keys, b"/model other\r/exit\r") == ["Loading", "gone", "stopped"]
