"""What a line of a chat asks for: a text for the model, or a command with its words. Pure."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from assay.errors import BadInput

QUOTES = '"""'


class Say(NamedTuple):
    """A text for the model."""

    text: str


class Do(NamedTuple):
    """A command by its first name, and the rest of its line."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        return self.rest.split()


class Unknown(NamedTuple):
    """A command that is not there; ``near`` is the one that was probably meant."""

    typed: str
    near: str | None


Line = Say | Do | Unknown | None
"""None: nothing was typed."""

COMMANDS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "help": (("?",), "", "this list"),
    "system": ((), "[TEXT|none]", "show or set the system message"),
    "set": ((), "[KEY [VALUE|default]]", "show or set how answers are made"),
    "model": ((), "[NAME]", "tell about the model, or go on with another"),
    "stats": ((), "[on|off]", "figures of the last answer, or of each"),
    "save": ((), "NAME [replace]", "keep this chat"),
    "load": ((), "[NAME]", "list the kept chats, or go on with one"),
    "drop": ((), "[N]", "leave out the oldest turn, or N of them"),
    "clear": ((), "", "forget what was said"),
    "exit": (("bye", "quit"), "", "leave; so does Ctrl-D"),
}
"""First name -> further names, what may follow, what it does."""

_NAMES = {name: first for first, (more, _, _) in COMMANDS.items() for name in (first, *more)}


def read(typed: str) -> Line:
    """What was typed means. Raise ``BadInput`` where it holds bytes that are no text."""
    try:
        typed.encode()
    except UnicodeEncodeError:
        raise BadInput("that line is not UTF-8, and nothing was done", remedy="type it in UTF-8") from None
    text = typed.strip()
    if not text:
        return None
    if text.startswith("//"):
        return Say(text[1:])
    if not text.startswith("/") or text[1:2].strip() == "":
        said = unquoted(text)
        return Say(said) if said.strip() else None
    word, *rest = text[1:].split(maxsplit=1)
    first = _NAMES.get(word.lower())
    if first is not None:
        return Do(first, unquoted("".join(rest)))
    near = difflib.get_close_matches(word.lower(), _NAMES, n=1)
    return Unknown(f"/{word}", f"/{near[0]}" if near else None)


def unfinished(typed: str) -> bool:
    """Whether the next Enter begins a new line, because triple quotes are open."""
    begun = typed.lstrip()
    if begun.lower().startswith("/system"):
        begun = begun[len("/system") :].lstrip()
    return begun.startswith(QUOTES) and QUOTES not in begun[len(QUOTES) :]


def unquoted(text: str) -> str:
    """The text between triple quotes; anything else as it is."""
    if not text.startswith(QUOTES):
        return text
    return text[len(QUOTES) :].removesuffix(QUOTES).strip("\n")


def listing() -> list[str]:
    """The help, a line a command, and the keys."""
    left = [f"/{', /'.join((first, *more))} {takes}".rstrip() for first, (more, takes, _) in COMMANDS.items()]
    width = max(map(len, left))
    told = [f"  {usage:<{width}}  {about}" for usage, (_, _, about) in zip(left, COMMANDS.values(), strict=True)]
    return [
        *told,
        f"  {QUOTES}text{QUOTES}, Alt-Enter, or \\ at the end of a line: more lines",
        "  //text: a text that begins with /        Up, Down, Ctrl-R: earlier lines",
        "  Ctrl-C: stop the answer, clear the line  Ctrl-D: leave",
    ]
