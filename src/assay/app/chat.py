"""A chat with a model: what was said so far, and what each thing that a person may do changes.

In: questions and commands. Out: answers as they come, figures of each, errors that say what to do. Nothing is printed
here. Every method blocks; Ctrl-C during an answer raises ``KeyboardInterrupt`` after the part that came was kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from msgspec import Struct, structs

from assay.app.conversation import Conversation, Cut, Turn
from assay.app.saved_chats import SavedChats
from assay.app.talker import REFUSALS, Heard, Place, Talker, outgrown
from assay.app.tuning import tuned
from assay.errors import BadInput, EngineError, NothingMeasured
from assay.measure.transcript import split_thinking
from assay.types import Sample

T = TypeVar("T")


class ContextFull(BadInput):
    """The conversation and the question are longer than the model's context."""


class Spoken(Struct, frozen=True, kw_only=True):
    """One answer and its figures. ``used`` of ``context`` tokens are taken, None where nobody tells.

    ``forgotten`` oldest turns were left out for it, because the context was full and the chat is set to do so.
    """

    sample: Sample
    place: Place
    cut: Cut | None = None
    forgotten: int = 0

    @property
    def used(self) -> int | None:
        """Tokens of the conversation with this answer."""
        prompt, output = self.sample.prompt_tokens, self.sample.output_tokens
        return prompt + output if prompt is not None and output is not None else None

    @property
    def context(self) -> int | None:
        return self.place.context_length

    @property
    def full(self) -> bool:
        """Whether the answer was cut because the context was full."""
        used, context = self.used, self.context
        return self.cut == "length" and used is not None and context is not None and used >= context


class Opener(Protocol):
    """Finds models by name."""

    def require(self, name: str, /) -> None:
        """Raise ``UnknownModel`` where nothing has that name."""
        ...

    def talker(self, name: str, context_length: int | None = None, /) -> Talker:
        """Somebody to talk to, not open yet; ``context_length`` None: the usual. Raise ``AssayError``."""
        ...


class Chat:
    """One chat. Use it as a context: at its end, whatever it was, the model is let go of.

    ``run`` is the loop's own runner; ``opener`` finds and fetches models by name.
    """

    def __init__(self, conversation: Conversation, opener: Opener, saved: SavedChats, runner: asyncio.Runner) -> None:
        self.conversation = conversation
        self._opener = opener
        self._saved = saved
        self._runner = runner
        self._talker = opener.talker(conversation.model, conversation.tuning.context)

    def __enter__(self) -> Self:
        try:
            self._run(self._talker.open())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def place(self) -> Place:
        return self._talker.place

    def say(self, question: str, heard: Heard, dropped: Callable[[int], None] = lambda _: None) -> Spoken:
        """Have ``question`` answered; ``dropped`` hears of each oldest turn that is left out for it.

        What came of an answer that did not end stays in the conversation, marked as cut.

        Raises:
            ContextFull: it is too long. EngineError: the model died; the next question brings it up again.
            NothingMeasured: it refused, or the answer broke off. KeyboardInterrupt: Ctrl-C.
        """
        return self._run(self._say(question, heard, dropped))

    def switch(self, name: str) -> None:
        """Go on with another model; the old one stays where the new one does not come up. Raise ``AssayError``."""
        self._reopen(structs.replace(self.conversation, model=name))

    def tune(self, key: str, word: str) -> None:
        """Set one thing; another context length has the model loaded again. Raise ``AssayError``."""
        changed = structs.replace(self.conversation, tuning=tuned(self.conversation.tuning, key, word))
        if changed.tuning.context != self.conversation.tuning.context:
            self._reopen(changed)
        self.conversation = changed

    def instruct(self, text: str | None) -> None:
        """Set the system message, or take it away."""
        self.conversation = structs.replace(self.conversation, system=text)

    def clear(self) -> None:
        """Forget what was said; model, system message and settings stay."""
        self.conversation = self.conversation.cleared()

    def drop(self, count: int = 1) -> int:
        """Leave the oldest turns out from here on; gives how many."""
        before = self.conversation.forgotten
        self.conversation = self.conversation.without_oldest(count)
        return self.conversation.forgotten - before

    def save(self, name: str, *, replace: bool = False) -> str:
        """Keep the chat in a file; gives its path. Raise ``BadInput``."""
        return str(self._saved.save(name, self.conversation, replace=replace))

    def restore(self, name: str) -> Conversation:
        """Go on with a kept chat, with its model. Raise ``AssayError``; then this one goes on."""
        found = self._saved.load(name)
        now = self.conversation
        if (found.model, found.tuning.context) != (now.model, now.tuning.context):
            self._reopen(found)
        self.conversation = found
        return found

    def kept(self) -> list[str]:
        """Names of the chats that are kept, the latest first. Raise ``BadInput``."""
        return self._saved.names()

    async def _say(self, question: str, heard: Heard, dropped: Callable[[int], None]) -> Spoken:
        forgotten = 0
        while True:
            came: list[str] = []

            def hear(text: str, came: list[str] = came) -> None:
                came.append(text)
                heard(text)

            try:
                now = self.conversation
                sample = await self._talker.answer(now.messages(question), now.tuning.parameters, hear)
            except asyncio.CancelledError:
                self._keep(question, split_thinking("".join(came))[1], "stopped")
                raise
            if not outgrown(sample):
                return self._spoken(question, sample, forgotten)
            if self.conversation.tuning.full != "drop" or not self.drop():
                raise self._too_long(sample)
            forgotten += 1
            dropped(forgotten)

    def _spoken(self, question: str, sample: Sample, forgotten: int) -> Spoken:
        error = sample.error
        if error is None:
            cut: Cut | None = "length" if sample.finish == "length" else None
            self._keep(question, sample.text, cut)
            return Spoken(sample=sample, place=self.place, cut=cut, forgotten=forgotten)
        self._keep(question, sample.text, "broken")
        if error.kind == "engine_died":
            raise EngineError(error.message, remedy="ask again; the model is then loaded again")
        what = "the answer broke off" if sample.text else f"{self.place.variant} gave no answer"
        changes = ", or /set to change what was refused" if error.status in REFUSALS else ""
        raise NothingMeasured(what, why=error.message, remedy=f"ask again{changes}")

    def _keep(self, question: str, answer: str, cut: Cut | None) -> None:
        """A question without any answer is not kept: it would be sent again with each that follows."""
        if answer:
            turn = Turn(question=question, answer=answer, model=self.place.variant, cut=cut)
            self.conversation = self.conversation.with_turn(turn)

    def _too_long(self, sample: Sample) -> ContextFull:
        why = sample.error.message if sample.error is not None else None
        if not self.conversation.remembered:
            return ContextFull("the question is longer than the model's context", why=why, remedy="ask a shorter one")
        return ContextFull(
            "the conversation is longer than the model's context, and nothing was sent",
            why=why,
            remedy="/drop leaves the oldest turn out, /set full drop does so whenever it must, /clear starts anew",
        )

    def _reopen(self, wanted: Conversation) -> None:
        """Let go of the model first: both may not fit in memory. The old one comes up again when it is next asked."""
        self._opener.require(wanted.model)
        self._run(self._talker.close())
        talker = self._opener.talker(wanted.model, wanted.tuning.context)
        try:
            self._run(talker.open())
        except BaseException:
            self._run(talker.close())
            raise
        self._talker = talker
        self.conversation = wanted

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _end(self) -> None:
        self._run(self._talker.close())
