"""Short meeting notes and instructions over them, generated from a seed.

In: a `random.Random`, a `Split` and a difficulty. Out: `Note`s (the text and the facts in it) and `Exercise`s
(instruction, answer, and the checks that an answer must pass).

What keeps the held-out split apart from training:

* a held-out action pairs a verb with a thing that never occur together in training (`is_held_out_pair`);
* some names, things, groups, topics, dates and sentence frames occur in held-out notes only.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from training import frames, words

TASKS = ("list", "json", "summary", "question", "decision")
RECORD_PATTERN = r"^- (?P<who>[^:]+): (?P<what>.+?) \((?:no date|by (?P<when>.+))\)$"
NOT_STATED = "Not stated"
SEARCHING_QUESTIONS = (0.35, 0.62, 0.84, 0.9, 0.95)
EVEN_QUESTIONS = (0.2, 0.38, 0.58, 0.6, 0.8)
"""Cumulated shares of who, what, by when, what of a person without an action, how many; the rest: which meeting."""


class Split(Enum):
    """Which side of the divide a note is for."""

    TRAIN = "train"
    HELD_OUT = "held-out"


@dataclass(frozen=True)
class Action:
    """One action item; `when` is None where the note gives no date."""

    who: str
    what: str
    when: str | None

    def record(self) -> dict[str, str | None]:
        """The item under the keys of the JSON task."""
        return {"who": self.who, "what": self.what, "when": self.when}


@dataclass(frozen=True)
class Note:
    """A meeting note: its text, and everything that an instruction may ask about it."""

    text: str
    topic: str
    actions: tuple[Action, ...]
    decision: str | None
    idle: tuple[str, ...]


@dataclass(frozen=True)
class Exercise:
    """An instruction over a note, the model answer, and the checks for any answer (`expect` of a prompts file)."""

    task: str
    instruction: str
    answer: str
    expect: dict[str, Any]


def is_held_out_pair(verb: str, thing: str) -> bool:
    """Whether this verb and this thing may meet in held-out notes only (one pair in six)."""
    return zlib.crc32(f"{verb} {thing}".encode()) % 6 == 0


def is_held_out_date(day: int, month: str) -> bool:
    """Whether this day of the year occurs in held-out notes only (one in six)."""
    return zlib.crc32(f"{day} {month}".encode()) % 6 == 0


class NoteWriter:
    """Draws notes and exercises of one split.

    `difficulty` runs from 0 (one action, nothing else) to 1 (the full mix): the curriculum of the first steps.
    `novelty` is the share of words that are blended from two known ones, so that reading them off the note is all
    that helps; without it a model learns the lists by heart and fails on words that it has not seen.
    `composed` is the share of sentences made by a grammar from many parts, for the same reason.
    """

    def __init__(
        self,
        rng: random.Random,
        split: Split,
        *,
        difficulty: float = 1.0,
        novelty: float = 0.0,
        composed: float = 0.0,
        questions: tuple[float, float, float, float, float] = EVEN_QUESTIONS,
    ) -> None:
        self.rng = rng
        self.split = split
        self.difficulty = difficulty
        self.novelty = novelty
        self.composed = composed
        self.questions = questions

    def _is_novel(self, share: float = 1.0) -> bool:
        return self.novelty > 0 and self.rng.random() < self.novelty * share

    def _blend(self, pool: words.Words) -> str:
        """The beginning of one word of the pool and the end of another."""
        while True:
            first, second = self.rng.sample(pool.train, 2)
            head = first[: self.rng.randint(2, max(2, len(first) - 1))].rstrip()
            blend = head + second[self.rng.randint(1, max(1, len(second) - 2)) :].split(" ")[-1]
            if blend not in pool.held_out and blend not in pool.train:
                return blend

    def _word(self, pool: words.Words, share: float = 0.4) -> str:
        """A word of the pool; a held-out note takes `share` of its words from those never trained on."""
        if self.split is Split.HELD_OUT and self.rng.random() < share:
            return self.rng.choice(pool.held_out)
        return self._blend(pool) if self._is_novel() else self.rng.choice(pool.train)

    def _frame(self, pool: frames.Frames) -> str:
        if self.composed > 0 and self.rng.random() < self.composed:
            frame = "".join(self.rng.choice(slot) for slot in self.rng.choice(pool.grammars))
            while "{new}" in frame:
                frame = frame.replace("{new}", self._blend(words.MODIFIERS), 1)
            return frame
        if self.split is Split.HELD_OUT and self.rng.random() < 0.3:
            return self.rng.choice(pool.held_out)
        return self.rng.choice(pool.train)

    def _invented(self) -> str:
        """A capitalised word of two or three random syllables: it can only be copied, never recalled."""
        return "".join(self.rng.choices(words.SYLLABLES, k=self.rng.choice((2, 2, 3)))).capitalize()

    def name(self) -> str:
        """A first name, one in four of them invented."""
        return self._invented() if self.rng.random() < 0.25 else self._word(words.NAMES)

    def _pair(self, verbs: Sequence[str], pool: words.Words) -> tuple[str, str]:
        """A verb and a thing that this split may pair."""
        while True:
            verb, thing = self.rng.choice(verbs), self._word(pool)
            held_out = thing in pool.held_out or is_held_out_pair(verb, thing)
            if held_out == (self.split is Split.HELD_OUT):
                return verb, thing

    def what(self) -> str:
        """What is to be done: verb, thing, at times with a modifier or with whom it is for."""
        rng = self.rng
        verbs, pool = rng.choice(
            (
                (words.DOCUMENT_VERBS, words.DOCUMENTS),
                (words.GOODS_VERBS, words.GOODS),
                (words.EVENT_VERBS, words.EVENTS),
            )
        )
        verb, thing = self._pair(verbs, pool)
        roll = rng.random()
        if roll < 0.4:
            thing = f"{self._word(words.MODIFIERS)} {thing}"
        elif roll < 0.55:
            thing = f"{self._invented()} {thing}"
        tail = f" for {self._word(words.GROUPS)}" if rng.random() < 0.2 else ""
        return f"{verb} the {thing}{tail}"

    def when(self) -> str:
        """A date as it is spoken, without a preposition."""
        rng = self.rng
        if self._is_novel(0.4):
            return f"the {self._blend(words.EVENTS)}" if rng.random() < 0.5 else f"{self._blend(words.TOPICS)} Day"
        roll = rng.random()
        if roll < 0.35:
            return self._day()
        if roll < 0.6:
            return rng.choice(("", "", "next ")) + rng.choice(words.WEEKDAYS)
        if roll < 0.75:
            return self._frame(frames.MONTH_DATES).format(month=rng.choice(words.MONTHS))
        if roll < 0.85:
            return f"{rng.choice(words.WEEKDAYS)} {rng.choice(('morning', 'noon', 'evening'))}"
        return self._frame(frames.LOOSE_DATES)

    def _day(self) -> str:
        while True:
            day, month = self.rng.randint(1, 28), self.rng.choice(words.MONTHS)
            if is_held_out_date(day, month) == (self.split is Split.HELD_OUT):
                return f"{day} {month}"

    def _past(self) -> str:
        return self._day() if self.rng.random() < 0.6 else self.rng.choice(words.WEEKDAYS)

    def _decision(self) -> str:
        verb, thing = self._pair(words.DECISION_VERBS, words.DECISION_THINGS)
        modifier = f"{self._invented()} " if self.rng.random() < 0.3 else ""
        return f"{verb} the {modifier}{thing}"

    def _names(self, count: int) -> list[str]:
        names: list[str] = []
        while len(names) < count:
            name = self.name()
            if all(not name.startswith(other) and not other.startswith(name) for other in names):
                names.append(name)
        return names

    def _filler(self, people: Sequence[str]) -> str:
        """A sentence that states no action and no decision."""
        thing = self._word(self.rng.choice((words.DOCUMENTS, words.GOODS, words.EVENTS)))
        first, second = self.rng.sample(list(people), 2)
        frame = self._frame(frames.FILLERS)
        date, topic = self._past(), self._word(words.TOPICS)
        return capitalised(frame.format(name=first, other=second, thing=thing, date=date, topic=topic))

    def note(self) -> Note:
        """Draw one note."""
        rng, hard = self.rng, self.difficulty
        count = rng.choice((1, 2, 2, 3, 3)) if rng.random() < hard else 1
        people = self._names(count + 2)
        actions = self._actions(people[:count])
        idle = tuple(people[count:])
        sentences = [self._action_sentence(action) for action in actions]
        decision: str | None = None
        roll = rng.random()
        if roll < 0.75:
            matter = self._decision()
            made = roll < 0.45
            decision = matter if made else None
            frame = self._frame(frames.DECIDED if made else frames.UNDECIDED)
            sentences.insert(rng.randint(0, len(sentences)), capitalised(frame.format(matter=matter)))
        for _ in range(rng.choice((0, 1, 1, 2)) if rng.random() < hard else 0):
            everyone = list(idle) if rng.random() < 0.6 else people
            sentences.insert(rng.randint(0, len(sentences)), self._filler(everyone))
        topic = self._invented() if rng.random() < 0.25 else self._word(words.TOPICS)
        opening = self._opening(topic, people)
        text = " ".join((opening, *sentences))
        mentioned = tuple(person for person in idle if person in text)
        return Note(text, topic, tuple(actions), decision, mentioned)

    def _actions(self, people: Sequence[str]) -> list[Action]:
        actions: list[Action] = []
        for who in people:
            what = self.what()
            while any(what == other.what for other in actions):
                what = self.what()
            actions.append(Action(who, what, self.when() if self.rng.random() < 0.75 else None))
        return actions

    def _action_sentence(self, action: Action) -> str:
        if action.when is None:
            return capitalised(self._frame(frames.UNDATED).format(who=action.who, what=action.what))
        return capitalised(self._frame(frames.DATED).format(who=action.who, what=action.what, when=action.when))

    def _opening(self, topic: str, people: list[str]) -> str:
        opening = capitalised(self._frame(frames.OPENINGS).format(topic=topic, date=self._past()))
        if self.rng.random() < 0.25 * self.difficulty:
            present = self.rng.sample(people, len(people))
            opening += f" Present: {join(present)}."
        return opening

    def exercise(self, note: Note, task: str) -> Exercise:
        """An instruction of this task over the note."""
        instruction = self.rng.choice(frames.INSTRUCTIONS[task]) if task in frames.INSTRUCTIONS else ""
        if task == "json":
            records = [action.record() for action in note.actions]
            return Exercise(task, instruction, json.dumps(records, ensure_ascii=False), {"records": records})
        if task == "list":
            return Exercise(
                task,
                instruction,
                "\n".join(list_line(action) for action in note.actions),
                {"records": [action.record() for action in note.actions], "record_pattern": RECORD_PATTERN},
            )
        if task == "summary":
            return _summary(note, instruction)
        if task == "decision":
            answer = "No." if note.decision is None else f"Yes: {note.decision}."
            return Exercise(task, instruction, answer, {"answer": answer})
        instruction, answer = self._question(note)
        return Exercise(task, instruction, answer, {"answer": answer})

    def _question(self, note: Note) -> tuple[str, str]:
        rng = self.rng
        action = rng.choice(note.actions)
        who, what, when, idle, count = self.questions
        roll = rng.random()
        if roll < who:
            return f"Who will {action.what}?", action.who
        if roll < what:
            return f"What will {action.who} do?", action.what
        if roll < when:
            return f"By when will {action.who} {action.what}?", action.when or NOT_STATED
        if roll < idle and note.idle:
            return f"What will {rng.choice(note.idle)} do?", NOT_STATED
        if roll < count:
            return "How many action items are there?", str(len(note.actions))
        return "Which meeting was it?", note.topic

    def copy_exercise(self) -> Exercise:
        """Words to repeat: a pure copying task, which brings the others on sooner."""
        pieces = [self._invented() for _ in range(self.rng.randint(1, 2))] + [self.what(), self.when(), self.name()]
        self.rng.shuffle(pieces)
        text = " ".join(pieces[: self.rng.randint(2, 4)])
        return Exercise("copy", f"Repeat: {text}", text, {"answer": text})


def _summary(note: Note, instruction: str) -> Exercise:
    parts = [f"{action.who} will {action.what}" for action in note.actions]
    aspects = [note.topic]
    if note.decision is not None:
        parts.insert(0, f"it was decided to {note.decision}")
        aspects.append(note.decision)
    for action in note.actions:
        aspects += [action.who, action.what]
    answer = f"At the {note.topic} meeting, {join(parts)}."
    return Exercise("summary", instruction, answer, {"aspects": aspects, "max_sentences": 1})


def list_line(action: Action) -> str:
    """One line of a list answer; `RECORD_PATTERN` reads it back."""
    date = "no date" if action.when is None else f"by {action.when}"
    return f"- {action.who}: {action.what} ({date})"


def capitalised(sentence: str) -> str:
    """The sentence with a capital first letter."""
    return sentence[0].upper() + sentence[1:]


def join(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def prompt_text(note: Note, exercise: Exercise) -> str:
    """What the user says: the note, an empty line, the instruction."""
    return f"{note.text}\n\n{exercise.instruction}"


def held_out_prompts(seed: int, count: int) -> list[dict[str, Any]]:
    """`count` held-out prompts in the shape of a prompts file, balanced over the tasks, one note each."""
    rng = random.Random(f"held-out:{seed}")
    writer = NoteWriter(rng, Split.HELD_OUT)
    prompts: list[dict[str, Any]] = []
    for index in range(count):
        task = TASKS[index % len(TASKS)]
        note = writer.note()
        exercise = writer.exercise(note, task)
        prompts.append(
            {
                "id": f"{task}-{index // len(TASKS) + 1:03d}",
                "prompt": prompt_text(note, exercise),
                "tags": [task],
                "expect": exercise.expect,
            }
        )
    return prompts
