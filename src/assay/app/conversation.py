"""What was said in a chat: frozen values; each change gives a new one. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct, structs

from assay.app.tuning import Tuning
from assay.errors import BadInput

VERSION = 1
Cut = Literal["stopped", "length", "broken"]
"""Why an answer is not whole: its reader stopped it, a limit on tokens did, or it broke off."""


class Turn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question and what came back; ``model`` is the variant that answered."""

    question: str
    answer: str
    model: str
    cut: Cut | None = None


class Conversation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole chat. ``model`` is the name that was asked for; the first ``forgotten`` turns are no longer sent."""

    model: str
    system: str | None = None
    tuning: Tuning = Tuning()
    turns: tuple[Turn, ...] = ()
    forgotten: int = 0

    @property
    def remembered(self) -> tuple[Turn, ...]:
        """The turns that the model is told of."""
        return self.turns[self.forgotten :]

    def messages(self, question: str) -> list[dict[str, str]]:
        """What is sent to have ``question`` answered."""
        said = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.remembered:
            said.append({"role": "user", "content": turn.question})
            said.append({"role": "assistant", "content": turn.answer})
        return [*said, {"role": "user", "content": question}]

    def with_turn(self, turn: Turn) -> Conversation:
        return structs.replace(self, turns=(*self.turns, turn))

    def without_oldest(self, count: int) -> Conversation:
        """The same with ``count`` more turns forgotten, as far as there are any."""
        return structs.replace(self, forgotten=min(self.forgotten + count, len(self.turns)))

    def cleared(self) -> Conversation:
        """The same model, system message and settings, and nothing said."""
        return structs.replace(self, turns=(), forgotten=0)


class _Saved(Struct, frozen=True, kw_only=True):
    version: int
    conversation: Conversation


class _Version(Struct, frozen=True):
    version: int


def to_json(conversation: Conversation) -> bytes:
    """The content of a file that keeps it."""
    saved = _Saved(version=VERSION, conversation=conversation)
    return msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n"


def from_json(content: bytes, where: str) -> Conversation:
    """The conversation of a file's ``content``; ``where`` is named in errors.

    Raises:
        BadInput: it is damaged, or of a newer Assay.
    """
    try:
        version = msgspec.json.decode(content, type=_Version).version
        if version > VERSION:
            raise BadInput(f"{where} was written by a newer Assay", why=f"its version is {version}", remedy="update")
        conversation = msgspec.json.decode(content, type=_Saved).conversation
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} is no saved chat", why=str(error), remedy="name another one") from error
    if not 0 <= conversation.forgotten <= len(conversation.turns):
        raise BadInput(f"{where} is damaged", why="it forgets more turns than it has", remedy="name another one")
    return conversation
