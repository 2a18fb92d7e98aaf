"""The terminal of a chat: its line, its keys, its history; where answers are shown.

prompt_toolkit is imported when a chat starts, and not before.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from assay import report
from assay.cli import output
from assay.cli.chat_commands import COMMANDS, unfinished
from assay.report import chat as shown
from assay.report.escape import clean

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
    from rich.console import Console

    from assay.app import TypedLines

PROMPT, MORE = ">>> ", "... "


class Terminal:
    """Reads lines and shows answers. ``lines`` are those of earlier chats; None keeps none."""

    def __init__(self, lines: TypedLines | None) -> None:
        from rich.console import Console

        self.console: Console = Console(highlight=False)
        self._session = _session(lines)

    @property
    def styled(self) -> bool:
        """Whether Markdown is shown as such."""
        console = self.console
        return console.is_terminal and not (console.is_dumb_terminal or console.no_color)

    def read(self) -> str:
        """What was typed. Raise ``EOFError`` for Ctrl-D, ``KeyboardInterrupt`` for Ctrl-C where nothing was."""
        return self._session.prompt()

    @contextlib.contextmanager
    def silent_keys(self) -> Iterator[None]:
        """Keep what is typed meanwhile off the screen; it stands at the next prompt. Ctrl-C works as ever."""
        source = self._session.input
        if os.name == "nt" or not os.isatty(source.fileno()):
            yield
            return
        typed = bytearray()
        try:
            with _silent(source.fileno()), _reading(source.fileno(), typed):
                yield
        finally:
            _type_ahead(source, typed)

    def screen(self) -> shown.Screen:
        """Where the next answer goes."""
        return shown.Styled(self.console) if self.styled else shown.Plain(output.piece)

    def say(self, *lines: str) -> None:
        """Lines of the program itself; what they tell of a file or a server moves no cursor."""
        for line in lines:
            self.console.print(clean(line), style="dim" if self.styled else None, markup=False, overflow="fold")


class Waiting:
    """Shows what is waited for, a bar at a time, until ``done`` or its block's end: a ``Reporter``, ``Transfers``."""

    def __init__(self) -> None:
        self._bar: report.ProgressReporter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done()

    def stage(self, text: str, /) -> None:
        self._shown().stage(text)

    def progress(self, done: int, total: int, text: str = "", /) -> None:
        self._shown().progress(done, total, text)

    def note(self, text: str, /) -> None:
        self._shown().note(text)

    def file(self, name: str, done: int, total: int | None, /) -> None:
        self._shown().file(name, done, total)

    def done(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _shown(self) -> report.ProgressReporter:
        if self._bar is None:
            self._bar = report.ProgressReporter().__enter__()
        return self._bar


@contextlib.contextmanager
def _silent(descriptor: int) -> Iterator[None]:
    """Keys come one by one, as they were pressed, and are not shown; Ctrl-C still is a signal, and drops none."""
    import termios

    before = termios.tcgetattr(descriptor)
    quiet = [*before[:6], [*before[6]]]
    quiet[0] &= ~termios.ICRNL
    quiet[3] = quiet[3] & ~(termios.ECHO | termios.ICANON) | termios.NOFLSH
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _reading(descriptor: int, typed: bytearray) -> Iterator[None]:
    """Add to ``typed`` what is typed meanwhile. It is read at once: a full terminal drops what else is typed."""
    wakes, end = os.pipe()

    def read() -> None:
        with contextlib.suppress(OSError):  # the terminal has gone
            while wakes not in select.select([descriptor, wakes], [], [])[0] and (data := os.read(descriptor, 4096)):
                typed.extend(data)

    reader = threading.Thread(target=read, name="read keys", daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.close(end)
        reader.join()
        os.close(wakes)


def _type_ahead(source: Input, typed: bytes | bytearray) -> None:
    """Have the next prompt begin with these keys."""
    from prompt_toolkit.input.typeahead import store_typeahead
    from prompt_toolkit.input.vt100_parser import Vt100Parser

    keys: list[KeyPress] = []
    parser = Vt100Parser(keys.append)
    parser.feed_and_flush(typed.decode("utf-8", "surrogateescape"))
    store_typeahead(source, keys)


def _session(lines: TypedLines | None) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.shortcuts import CompleteStyle

    def more(_width: int, _line: int, wrapped: int) -> str:
        return " " * len(MORE) if wrapped else MORE

    return PromptSession(
        PROMPT,
        multiline=True,
        prompt_continuation=more,
        history=_history(lines),
        key_bindings=_keys(),
        completer=WordCompleter([f"/{name}" for name in COMMANDS], sentence=True),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
    )


def _history(lines: TypedLines | None) -> Any:
    from prompt_toolkit.history import History, InMemoryHistory

    class Typed(History):
        def __init__(self, kept: TypedLines) -> None:
            super().__init__()
            self._kept = kept

        def load_history_strings(self) -> Iterable[str]:
            return reversed(self._kept.lines())

        def store_string(self, string: str) -> None:
            self._kept.add(string)

    return InMemoryHistory() if lines is None else Typed(lines)


def _keys() -> KeyBindings:
    """Ours go before prompt_toolkit's own, which a search needs."""
    from prompt_toolkit.filters import is_searching
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.key_binding.bindings.search import abort_search

    keys = KeyBindings()
    keys.add("c-d", filter=is_searching)(abort_search)

    @keys.add("enter", filter=~is_searching)
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if unfinished(buffer.text):
            buffer.insert_text("\n")
        elif buffer.document.is_cursor_at_the_end and buffer.text.endswith("\\"):
            buffer.delete_before_cursor(1)
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter", filter=~is_searching)
    def _more(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c", filter=~is_searching)
    def _clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys


def at_terminal() -> bool:
    """Whether there is somebody to chat with."""
    return sys.stdin.isatty() and sys.stdout.isatty()
