"""A chat at the terminal: read a line, do what it asks for, until its reader leaves."""

from __future__ import annotations

import contextlib

from assay import app
from assay.cli.chat_commands import Do, Say, Unknown, listing, read
from assay.cli.chat_terminal import Terminal, Waiting
from assay.errors import AssayError, BadInput
from assay.report import chat as shown
from assay.report import models
from assay.report.escape import one_line
from assay.report.units import count, plural

LEAVES = "Ctrl-D or /exit leaves the chat"
EXCERPT = 200


def converse(name: str, wishes: app.Wishes, *, system: str | None, history: bool, verbose: bool) -> int:
    """Chat with ``name`` until the reader leaves; 0."""
    terminal = Terminal(app.typed_lines(wishes.home) if history else None)
    waiting = Waiting()
    with contextlib.ExitStack() as stack:
        with terminal.silent_keys(), waiting:
            chat = stack.enter_context(app.open_chat(name, wishes, system=system, reporter=waiting, transfers=waiting))
        loop = Loop(chat, terminal, waiting, stats=verbose)
        terminal.say(loop.about(), *(loop.details() if verbose else []), f"/? lists the commands; {LEAVES}")
        loop.run()
    return 0


class Loop:
    """One chat between a reader and a model."""

    def __init__(self, chat: app.Chat, terminal: Terminal, waiting: Waiting, *, stats: bool) -> None:
        self._chat = chat
        self._terminal = terminal
        self._waiting = waiting
        self._stats = stats
        self._last: app.Spoken | None = None

    def run(self) -> None:
        """Until Ctrl-D or /exit. Nothing that fails ends it, but the terminal's own end."""
        while True:
            try:
                typed = self._terminal.read()
            except EOFError:
                return
            except KeyboardInterrupt:
                self._terminal.say(LEAVES)
                continue
            try:
                line = read(typed)
                if isinstance(line, Do) and line.name == "exit":
                    return
                with self._terminal.silent_keys(), self._waiting:
                    self._act(line)
            except AssayError as error:
                self._terminal.say(str(error))
            except OSError as error:
                what = f"{error.filename or 'a file'} cannot be read or written"
                self._terminal.say(str(AssayError(what, why=error.strerror or str(error))))
            except KeyboardInterrupt:
                self._terminal.say("stopped")

    def about(self) -> str:
        """The model in a line."""
        place = self._chat.place
        engine = f"{place.engine} {place.engine_version or ''}".strip()
        context = f", context {plural(place.context_length, 'token')}" if place.context_length else ""
        return f"{place.variant} on {engine}{context}, in {place.where}"

    def details(self) -> list[str]:
        """What was chosen and why, and how long each step took."""
        return models.opened(self._chat.place)

    def _act(self, line: Say | Do | Unknown | None) -> None:
        if isinstance(line, Say):
            self._say(line.text)
        elif isinstance(line, Do):
            getattr(self, f"_do_{line.name}")(line)
        elif isinstance(line, Unknown):
            meant = f"did you mean {line.near}" if line.near else "/? lists the commands"
            raise BadInput(
                f"there is no command {line.typed}", remedy=f"{meant}; //... sends a text that begins with /"
            )

    def _say(self, text: str) -> None:
        screen, before = self._terminal.screen(), self._chat.conversation

        def heard(piece: str) -> None:
            self._waiting.done()
            screen.feed(piece)

        try:
            spoken = self._chat.say(text, heard, self._dropped)
        except KeyboardInterrupt:
            screen.end()
            kept = self._chat.conversation is not before
            self._terminal.say("stopped; what had come is kept" if kept else "stopped; nothing had come")
            return
        except AssayError:
            screen.end()
            raise
        screen.end()
        self._last = spoken
        self._terminal.say(*shown.remarks(spoken), *([shown.figures(spoken)] if self._stats else []))

    def _dropped(self, so_far: int) -> None:
        self._terminal.say(f"the context is full: {plural(so_far, 'oldest turn')} left out from here on")

    def _do_help(self, _line: Do) -> None:
        self._terminal.say(*listing())

    def _do_system(self, line: Do) -> None:
        if line.rest:
            self._chat.instruct(None if line.rest.lower() == "none" else line.rest)
        now = self._chat.conversation.system
        self._terminal.say(f"system message: {now}" if now else "no system message")

    def _do_set(self, line: Do) -> None:
        key, _, word = line.rest.partition(" ")
        if word.strip():
            self._chat.tune(key, word.strip())
            self._waiting.done()
        rows = app.tuning_rows(self._chat.conversation.tuning)
        chosen = [row for row in rows if row[0] == key] if key else rows
        if not chosen:
            self._chat.tune(key, "default")
        self._terminal.say(*(f"  {name:<12} {value:<10} {about}" for name, value, about in chosen))

    def _do_model(self, line: Do) -> None:
        if line.rest:
            self._chat.switch(line.rest)
            self._waiting.done()
        self._terminal.say(self.about(), *([] if line.rest else self.details()))

    def _do_stats(self, line: Do) -> None:
        word = line.rest.lower()
        if word not in {"", "on", "off"}:
            raise BadInput(f"/stats cannot be {word!r}", remedy="/stats on, /stats off, or /stats")
        if word:
            self._stats = word == "on"
            self._terminal.say(f"figures after each answer: {word}")
        elif self._last is None:
            self._terminal.say("nothing was answered yet")
        else:
            self._terminal.say(shown.figures(self._last))

    def _do_save(self, line: Do) -> None:
        words = line.words
        if not words or len(words) > 2 or words[1:] not in ([], ["replace"]):
            raise BadInput("a chat is kept under one name without spaces", remedy="/save my-chat")
        path = self._chat.save(words[0], replace=len(words) > 1)
        turns = plural(len(self._chat.conversation.turns), "turn")
        self._terminal.say(f"{turns} in {path}")

    def _do_load(self, line: Do) -> None:
        if not line.rest:
            names = self._chat.kept()
            self._terminal.say(*(f"  {name}" for name in names) if names else ["no chat was kept yet; /save NAME"])
            return
        found = self._chat.restore(line.rest)
        self._waiting.done()
        self._terminal.say(f"{line.rest}: {plural(len(found.turns), 'turn')}", self.about())
        for turn in found.turns[-1:]:
            cut = f" (cut: {turn.cut})" if turn.cut else ""
            self._terminal.say(f"{one_line(turn.question, EXCERPT)}", f"  {one_line(turn.answer, EXCERPT)}{cut}")

    def _do_drop(self, line: Do) -> None:
        number = line.rest or "1"
        if not (number.isascii() and number.isdigit() and int(number)):
            raise BadInput(f"{number!r} is no number of turns", remedy="/drop, or /drop 3")
        gone = self._chat.drop(int(number))
        left = len(self._chat.conversation.remembered)
        self._terminal.say(f"{plural(gone, 'turn')} left out from here on, {count(left)} remembered")

    def _do_clear(self, _line: Do) -> None:
        self._chat.clear()
        self._terminal.say("forgotten; model, system message and settings stay")
