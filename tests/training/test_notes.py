"""The note generator: answers that pass their own checks, and a held-out split that training never sees."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator

import msgspec
import pytest

from assay.judge.checks import check
from assay.types import Expect
from training import frames, words
from training.notes import (
    TASKS,
    Note,
    NoteWriter,
    Split,
    held_out_prompts,
    is_held_out_date,
    is_held_out_pair,
    prompt_text,
)
from training.plan import COMPOSED, NOVELTY

POOLS = (
    words.NAMES,
    words.DOCUMENTS,
    words.GOODS,
    words.EVENTS,
    words.GROUPS,
    words.TOPICS,
    words.DECISION_THINGS,
)
ALL_VERBS = (*words.DOCUMENT_VERBS, *words.GOODS_VERBS, *words.EVENT_VERBS, *words.DECISION_VERBS)
ALL_THINGS = {
    thing
    for pool in (words.DOCUMENTS, words.GOODS, words.EVENTS, words.DECISION_THINGS)
    for thing in (*pool.train, *pool.held_out)
}


def written(split: Split, count: int, seed: int = 0) -> Iterator[tuple[NoteWriter, Note]]:
    """Notes as training draws them at its richest, or as evaluation does."""
    train = split is Split.TRAIN
    novelty, composed = (NOVELTY, COMPOSED) if train else (0.0, 0.0)
    writer = NoteWriter(random.Random(seed), split, novelty=novelty, composed=composed)
    for _ in range(count):
        yield writer, writer.note()


@pytest.fixture(scope="module")
def training_text() -> str:
    return "\n".join(note.text for _, note in written(Split.TRAIN, 4_000))


def pairs(what: str) -> tuple[str, str]:
    """Verb and thing of `send the annual price list for the board`."""
    verb, _, rest = what.split(" for the ", maxsplit=1)[0].partition(" the ")
    thing = next(rest[start:] for start in _word_starts(rest) if rest[start:] in ALL_THINGS)
    return verb, thing


def ends_in_a_known_thing(what: str) -> bool:
    """Whether the thing is a word of the lists, and not a blended one."""
    return any(what.split(" for the ", maxsplit=1)[0].endswith(f" {thing}") for thing in ALL_THINGS)


def _word_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer(" ", text))]


def test_training_never_joins_a_held_out_verb_and_thing() -> None:
    notes = [note for _, note in written(Split.TRAIN, 4_000)]
    whats = {action.what for note in notes for action in note.actions} | {note.decision for note in notes}
    joined = {pairs(what) for what in whats if what and ends_in_a_known_thing(what)}
    assert len(joined) > 500
    assert not [pair for pair in joined if is_held_out_pair(*pair)]


def test_every_held_out_action_and_decision_joins_a_pair_that_training_never_does() -> None:
    for _, note in written(Split.HELD_OUT, 2_000):
        for what in (*(action.what for action in note.actions), *([note.decision] if note.decision else [])):
            verb, thing = pairs(what)
            never_trained = any(thing in pool.held_out for pool in POOLS)
            assert never_trained or is_held_out_pair(verb, thing)


def test_held_out_words_never_occur_in_training(training_text: str) -> None:
    known = set(re.findall(r"\w+", training_text))
    assert not {word for pool in POOLS for word in pool.held_out if set(word.removeprefix("the ").split()) <= known}


def test_held_out_words_do_occur_in_held_out_notes() -> None:
    known = {word for _, note in written(Split.HELD_OUT, 2_000) for word in re.findall(r"\w+", note.text)}
    assert {word.removeprefix("the ") for pool in POOLS for word in pool.held_out} <= known


def test_held_out_dates_never_occur_in_training(training_text: str) -> None:
    dates = re.findall(rf"\b(\d+) ({'|'.join(words.MONTHS)})\b", training_text)
    assert len(set(dates)) > 250
    assert not [date for date in dates if is_held_out_date(int(date[0]), date[1])]


@pytest.mark.parametrize(
    "pool",
    [
        frames.DATED,
        frames.UNDATED,
        frames.DECIDED,
        frames.UNDECIDED,
        frames.FILLERS,
        frames.OPENINGS,
        frames.MONTH_DATES,
        frames.LOOSE_DATES,
    ],
)
def test_held_out_frames_never_occur_in_training(pool: frames.Frames, training_text: str) -> None:
    for frame in pool.held_out:
        pattern = re.sub(r"\\\{\w+\\\}", "[^.]+", re.escape(frame))
        assert not re.search(rf"(?:^|[.:] ){pattern}", training_text, re.IGNORECASE | re.MULTILINE), frame


@pytest.mark.parametrize("split", list(Split))
def test_the_model_answer_passes_every_check(split: Split) -> None:
    for writer, note in written(split, 40, seed=3):
        for task in TASKS:
            exercise = writer.exercise(note, task)
            findings = check(exercise.answer, msgspec.convert(exercise.expect, Expect))
            assert [found for found in findings if found.value != 1.0] == [], (note.text, exercise.answer)


def test_a_wrong_date_costs_one_field() -> None:
    writer, note = next(pair for pair in written(Split.HELD_OUT, 50) if len(pair[1].actions) == 2)
    exercise = writer.exercise(note, "json")
    records = json.loads(exercise.answer)
    records[1]["when"] = "some other day"
    (finding,) = check(json.dumps(records), msgspec.convert(exercise.expect, Expect))
    assert finding.value == pytest.approx(5 / 6)


def test_every_fact_asked_for_stands_in_the_note() -> None:
    for _, note in written(Split.HELD_OUT, 1_000):
        for action in note.actions:
            assert action.who in note.text
            assert action.what in note.text
            assert action.when is None or action.when.casefold() in note.text.casefold()


def test_the_same_seed_gives_the_same_prompts_and_another_seed_others() -> None:
    assert held_out_prompts(5, 25) == held_out_prompts(5, 25)
    first, second = ({p["prompt"] for p in held_out_prompts(seed, 25)} for seed in (5, 6))
    assert not first & second


def test_prompts_are_balanced_over_the_tasks() -> None:
    tags = [prompt["tags"][0] for prompt in held_out_prompts(1, 40)]
    assert {task: tags.count(task) for task in TASKS} == dict.fromkeys(TASKS, 8)


def test_the_easiest_notes_hold_one_action_and_no_filler() -> None:
    writer = NoteWriter(random.Random(2), Split.TRAIN, difficulty=0.0)
    for _ in range(200):
        note = writer.note()
        assert len(note.actions) == 1
        assert note.text.count(". ") <= 2
        assert prompt_text(note, writer.exercise(note, "list")).startswith(note.text)
