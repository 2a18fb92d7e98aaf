"""What each thing that a reader does changes in a chat, with a scripted talker in the model's place."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from assay.app.chat import Chat, ContextFull
from assay.app.conversation import Conversation
from assay.app.saved_chats import SavedChats
from assay.app.talker import LONGEST_S, Heard, Messages, Place, Talker, blank_sample
from assay.app.talking import Wishes, own_because
from assay.app.tuning import Tuning
from assay.errors import AssayError, BadInput, EngineError, EngineStartFailed, NothingMeasured, UnknownModel
from assay.types import RequestError, Sample, Variant

PLACE = Place(variant="m:q8_0", engine="scripted", where="here", why_there="scripted", context_length=100)
OUTGROWN = RequestError(kind="http", status=400, message="HTTP 400: the prompt has 120 tokens, but the context is 100")


class Scripted:
    """A talker that does what the last question's text says, and remembers what it was told."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log = log
        self.name = name
        self.place = structs.replace(PLACE, variant=name)
        self.told: list[Messages] = []
        self.parameters: list[Mapping[str, Any]] = []

    async def open(self) -> None:
        if self.name == "broken":
            raise EngineStartFailed("broken did not start")
        self.log.append(f"open {self.name}")

    async def answer(
        self, messages: Messages, parameters: Mapping[str, Any], heard: Heard | None, *, timeout_s: float = LONGEST_S
    ) -> Sample:
        self.told.append(messages)
        self.parameters.append(parameters)
        question = messages[-1]["content"]
        blank = structs.replace(blank_sample(self.place), prompt_tokens=10, output_tokens=2, finish="stop")
        if question.startswith("long") and len(messages) > 1 + 2 * int(question[-1]):
            return structs.replace(blank, error=OUTGROWN)
        if question == "refused":
            return structs.replace(blank, error=RequestError(kind="http", status=400, message="top_k is not supported"))
        if heard:
            heard("<think>hm</think>part ")
        if question == "wait":
            await asyncio.Event().wait()
        if question == "break":
            return structs.replace(blank, text="part ", error=RequestError(kind="stream", message="it broke off"))
        if question == "die":
            return structs.replace(blank, text="part ", error=RequestError(kind="engine_died", message="m died"))
        if question == "cut":
            return structs.replace(blank, text="part ", output_tokens=90, finish="length")
        return structs.replace(blank, text=f"re: {question}")

    async def close(self) -> None:
        self.log.append(f"close {self.name}")


class Names:
    """Opens scripted talkers; nothing is named ``nosuch``."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.talkers: list[Scripted] = []

    def require(self, name: str, /) -> None:
        if name == "nosuch":
            raise UnknownModel("there is no model 'nosuch'")

    def talker(self, name: str, context_length: int | None = None, /) -> Talker:
        self.log.append(f"find {name} {context_length}")
        self.talkers.append(Scripted(self.log, name))
        return self.talkers[-1]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def chat(names: Names, tmp_path: Path) -> Iterator[Chat]:
    conversation = Conversation(model="m", system="Be brief.")
    with asyncio.Runner() as runner, Chat(conversation, names, SavedChats(tmp_path / "chats"), runner) as opened:
        yield opened


def silent(_text: str) -> None:
    return None


def test_each_question_is_sent_with_all_that_was_said(chat: Chat, names: Names) -> None:
    chat.tune("seed", "3")
    spoken = chat.say("one", silent)
    chat.say("two", silent)
    assert spoken.used == 12
    assert spoken.context == 100
    assert [message["content"] for message in names.talkers[0].told[-1]] == ["Be brief.", "one", "re: one", "two"]
    assert names.talkers[0].parameters[-1]["seed"] == 3


def test_an_answer_that_its_reader_stops_is_kept_as_cut_without_its_thoughts(chat: Chat) -> None:
    def stop(_text: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        chat.say("wait", stop)
    chat.say("wait on", silent)
    first, second = chat.conversation.turns
    assert (first.answer, first.cut) == ("part ", "stopped")
    assert second.cut is None


@pytest.mark.parametrize(
    ("question", "error", "remedy", "kept"),
    [
        ("break", NothingMeasured, "ask again", "broken"),
        ("die", EngineError, "ask again; the model is then loaded again", "broken"),
        ("refused", NothingMeasured, "ask again, or /set to change what was refused", None),
    ],
)
def test_what_had_come_is_kept_and_nothing_else(
    chat: Chat, question: str, error: type[AssayError], remedy: str, kept: str | None
) -> None:
    with pytest.raises(error) as caught:
        chat.say(question, silent)
    assert caught.value.remedy == remedy
    assert [turn.cut for turn in chat.conversation.turns] == ([kept] if kept else [])
    assert chat.say("on", silent).sample.text == "re: on"


def test_an_answer_that_fills_the_context_is_said_to_be_cut(chat: Chat) -> None:
    spoken = chat.say("cut", silent)
    assert spoken.cut == "length"
    assert spoken.full
    assert chat.conversation.turns[-1].cut == "length"


def test_a_full_context_changes_nothing_unasked(chat: Chat) -> None:
    chat.say("one", silent)
    before = chat.conversation
    with pytest.raises(ContextFull) as told:
        chat.say("long 0", silent)
    assert chat.conversation == before
    assert "/drop" in (told.value.remedy or "")
    assert chat.drop() == 1
    assert chat.drop() == 0


def test_the_oldest_turns_go_one_by_one_where_that_was_set(chat: Chat) -> None:
    for question in ("one", "two", "three"):
        chat.say(question, silent)
    chat.tune("full", "drop")
    dropped: list[int] = []
    spoken = chat.say("long 1", silent, dropped.append)
    assert spoken.forgotten == 3
    assert dropped == [1, 2, 3]
    assert [turn.question for turn in chat.conversation.remembered] == ["long 1"]
    assert len(chat.conversation.turns) == 4


def test_a_question_that_is_too_long_by_itself_says_so(chat: Chat) -> None:
    chat.tune("full", "drop")
    with pytest.raises(ContextFull, match="the question is longer"):
        chat.say("long 0", silent)


def test_another_model_goes_on_with_what_was_said(chat: Chat, names: Names) -> None:
    chat.say("one", silent)
    chat.switch("n")
    chat.say("two", silent)
    assert [turn.model for turn in chat.conversation.turns] == ["m", "n"]
    assert names.log == ["find m None", "open m", "close m", "find n None", "open n"], "one model at a time in memory"


@pytest.mark.parametrize(("name", "error"), [("nosuch", UnknownModel), ("broken", EngineStartFailed)])
def test_a_model_that_does_not_come_up_leaves_the_old_one(chat: Chat, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        chat.switch(name)
    assert chat.conversation.model == "m"
    chat.say("one", silent)
    assert chat.conversation.turns[-1].model == "m"


def test_another_context_length_loads_the_model_again(chat: Chat, names: Names) -> None:
    chat.tune("ctx", "50")
    assert names.log[-3:] == ["close m", "find m 50", "open m"]
    chat.tune("temperature", "1")
    assert names.log[-1] == "open m"


def test_a_kept_chat_comes_back_with_its_model_and_settings(chat: Chat, names: Names) -> None:
    chat.say("one", silent)
    chat.save("kept")
    chat.switch("n")
    chat.instruct(None)
    chat.tune("seed", "1")
    chat.clear()
    assert chat.conversation == Conversation(model="n", tuning=Tuning(seed=1))
    found = chat.restore("kept")
    assert chat.conversation == found
    assert (found.model, found.system, len(found.turns)) == ("m", "Be brief.", 1)
    assert names.log[-1] == "open m"
    assert chat.kept() == ["kept"]


def test_a_chat_that_is_not_there_changes_nothing(chat: Chat) -> None:
    before = chat.conversation
    with pytest.raises(BadInput, match="no chat"):
        chat.restore("nothing")
    assert chat.conversation == before


def test_a_model_that_does_not_open_is_let_go_of(names: Names, tmp_path: Path) -> None:
    conversation = Conversation(model="broken")
    with (
        asyncio.Runner() as runner,
        pytest.raises(EngineStartFailed),
        Chat(conversation, names, SavedChats(tmp_path), runner),
    ):
        pytest.fail("it did not come up")
    assert names.log[-1] == "close broken"


VARIANT = Variant(id="m:q8_0", alias="m", format="gguf", source="bundled", path="/models/m.gguf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: own_because(Wishes(), VARIANT, running=False, by_path=False), "no service is running"),
        (lambda: own_because(Wishes(), VARIANT, running=True, by_path=False), None),
        (lambda: own_because(Wishes(retain=True, ttl=3.0), VARIANT, running=True, by_path=False), None),
        (lambda: own_because(Wishes(engine="llamacpp"), VARIANT, running=True, by_path=False), "--engine"),
        (lambda: own_because(Wishes(context_length=9, slots=2), VARIANT, running=True, by_path=False), "--ctx"),
        (lambda: own_because(Wishes(), VARIANT, running=True, by_path=False, context_length=9), "/set ctx"),
        (lambda: own_because(Wishes(), VARIANT, running=True, by_path=True), "by path"),
        (
            lambda: own_because(Wishes(), structs.replace(VARIANT, format="remote"), running=False, by_path=False),
            "a server already",
        ),
    ],
)
def test_who_answers_is_decided_by_what_was_asked_for(change: Callable[[], str | None], said: str | None) -> None:
    told = change()
    assert (told is None) == (said is None)
    assert said is None or (told is not None and said in told)
