"""What was said survives its file, names make no paths, and what is typed stays with its owner."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.app.conversation import Conversation, Turn, from_json, to_json
from assay.app.saved_chats import LINES_KEPT, SavedChats, TypedLines
from assay.app.tuning import KEYS, Tuning, tuned, tuning_rows
from assay.errors import BadInput

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
TURNS = st.builds(
    Turn, question=TEXT, answer=TEXT, model=TEXT, cut=st.sampled_from([None, "stopped", "length", "broken"])
)
TUNINGS = st.builds(
    Tuning,
    temperature=st.floats(0, 2),
    top_p=st.none() | st.floats(0.01, 1),
    max_tokens=st.none() | st.integers(1, 10**6),
    seed=st.none() | st.integers(0, 2**63 - 1),
    stop=st.none() | TEXT,
    context=st.none() | st.integers(1, 10**6),
    full=st.sampled_from(["stop", "drop"]),
)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    turns = tuple(draw(st.lists(TURNS, max_size=4)))
    return Conversation(
        model=draw(TEXT),
        system=draw(st.none() | TEXT),
        tuning=draw(TUNINGS),
        turns=turns,
        forgotten=draw(st.integers(0, len(turns))),
    )


@given(conversations())
def test_a_conversation_survives_its_file(conversation: Conversation) -> None:
    assert from_json(to_json(conversation), "here") == conversation


@given(conversations(), TEXT)
def test_what_is_sent_ends_with_the_question_and_leaves_out_what_was_forgotten(
    conversation: Conversation, question: str
) -> None:
    sent = conversation.messages(question)
    assert sent[-1] == {"role": "user", "content": question}
    told = [message["content"] for message in sent if message["role"] == "assistant"]
    assert told == [turn.answer for turn in conversation.turns[conversation.forgotten :]]
    assert [message["role"] for message in sent].count("system") == int(bool(conversation.system))


@given(conversations(), st.integers(0, 9))
def test_forgetting_keeps_every_turn_for_the_file(conversation: Conversation, count: int) -> None:
    after = conversation.without_oldest(count)
    assert after.turns == conversation.turns
    assert len(after.remembered) == max(0, len(conversation.remembered) - count)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version": 1}',
        b'{"version": 2, "conversation": {"model": "m"}}',
        b'{"version": 1, "conversation": {"model": "m", "forgotten": 3}}',
        b'{"version": 1, "conversation": {"model": "m", "tuning": {"warmth": 1}}}',
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_chat_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput) as told:
        from_json(content, "here.json")
    assert "here.json" in told.value.message


def test_a_newer_file_says_so() -> None:
    with pytest.raises(BadInput, match="newer Assay"):
        from_json(b'{"version": 99, "what": "ever"}', "here.json")


@given(st.text(max_size=30))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    folder = Path("somewhere") / "chats"
    try:
        path = SavedChats(folder)._path(name)
    except BadInput:
        return
    assert path.parent == folder
    assert path.name == Path(path.name).name
    assert path.suffix == ".json"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "/etc/passwd", ".hidden", "-rf", "con", "NUL.txt", "a ", "a\n", "a.", "x" * 101],
)
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    saved = SavedChats(tmp_path)
    with pytest.raises(BadInput, match="cannot be named"):
        saved.save(name, Conversation(model="m"))
    with pytest.raises(BadInput, match="cannot be named"):
        saved.load(name)
    assert list(tmp_path.iterdir()) == []


def test_a_kept_chat_is_not_overwritten_unasked(tmp_path: Path) -> None:
    saved = SavedChats(tmp_path / "home" / "chats")
    assert saved.names() == []
    first, second = Conversation(model="one"), Conversation(model="two")
    path = saved.save("müller.2", first)
    with pytest.raises(BadInput, match="already"):
        saved.save("müller.2", second)
    assert saved.load("müller.2") == first
    saved.save("müller.2", second, replace=True)
    assert saved.load("müller.2") == second
    assert saved.names() == ["müller.2"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_in_the_place_of_a_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "chats").write_text("in the way", encoding="utf-8")
    saved = SavedChats(tmp_path / "chats")
    with pytest.raises(BadInput, match="cannot be written"):
        saved.save("one", Conversation(model="m"))
    with pytest.raises(BadInput, match="cannot be read"):
        saved.load("one")
    with pytest.raises(BadInput, match="cannot be read"):
        saved.names()


@given(lines=st.lists(TEXT, max_size=6))
def test_typed_lines_come_back_in_their_order(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    kept = TypedLines(tmp_path_factory.mktemp("typed") / "chat" / "history")
    for line in lines:
        kept.add(line)
    assert kept.lines() == [line for line in lines if line.strip()]


def test_typed_lines_do_not_grow_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"{json.dumps(str(i))}\n" for i in range(2 * LINES_KEPT + 1)) + "torn", encoding="utf-8")
    kept = TypedLines(path)
    assert kept.lines()[-1] == str(2 * LINES_KEPT)
    assert len(kept.lines()) == LINES_KEPT
    assert len(path.read_text(encoding="utf-8").splitlines()) == LINES_KEPT
    kept.add("half a character: \ud800")
    kept.add("whole")
    assert kept.lines()[-2:] == [str(2 * LINES_KEPT), "whole"]


@pytest.mark.parametrize(
    ("key", "word", "field", "value"),
    [
        ("temperature", "0.7", "temperature", 0.7),
        ("temperature", "default", "temperature", 0.0),
        ("top_p", "1", "top_p", 1.0),
        ("top_k", "40", "top_k", 40),
        ("max_tokens", "1,024", "max_tokens", 1024),
        ("ctx", "4096", "context", 4096),
        ("seed", "0", "seed", 0),
        ("stop", "END OF IT", "stop", "END OF IT"),
        ("full", "drop", "full", "drop"),
    ],
)
def test_what_can_be_set(key: str, word: str, field: str, value: object) -> None:
    assert getattr(tuned(Tuning(), key, word), field) == value


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("temperature", "2.1"), ("temperature", "nan"), ("temperature", "-1"), ("top_p", "0"), ("top_k", "0"),
        ("max_tokens", "1.5"), ("seed", "-1"), ("ctx", "big"), ("full", "maybe"), ("temprature", "1"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_says_what_can(key: str, word: str) -> None:
    with pytest.raises(BadInput) as told:
        tuned(Tuning(), key, word)
    assert told.value.remedy


@given(TUNINGS)
def test_every_key_is_listed_and_sent_values_are_the_set_ones(tuning: Tuning) -> None:
    assert [row[0] for row in tuning_rows(tuning)] == list(KEYS)
    assert "context" not in tuning.parameters
    assert tuning.parameters["temperature"] == tuning.temperature
