"""Training rows: one note as a shared prefix, and several instructions over it as branches that do not see each other.

A branch sees the note and itself only, and its positions go on from the note's end, so each branch is computed as if
it were alone with the note. That gives several answers to learn from for one reading of the note.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import Dataset

from training.notes import SEARCHING_QUESTIONS, TASKS, Exercise, Note, NoteWriter, Split
from training.plan import (
    ASKING_BALANCE,
    ASKING_ROWS,
    BALANCE,
    COMPOSED,
    COPY_STEPS,
    EASY_STEPS,
    MOST_QUESTIONS,
    NOVELTY,
    Plan,
)
from training.tokenizer import ASSISTANT_OPENING, END, USER_OPENING

PADDING, PREFIX = -1, 0


@dataclass(frozen=True)
class Branch:
    """Token ids of one instruction and its answer, and where the answer begins."""

    task: str
    ids: list[int]
    answer_start: int


@dataclass(frozen=True)
class Row:
    """One packed row; `branches[i]` is the task of branch number i + 1."""

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    branch: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """Rows stacked; `targets` is the next token where an answer is to be learnt and -100 elsewhere."""

    ids: Tensor
    positions: Tensor
    branch: Tensor
    targets: Tensor
    weights: Tensor
    tasks: tuple[tuple[str, ...], ...]

    def mask(self) -> Tensor:
        """(batch, 1, length, length), True where a token may look."""
        length = self.ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        own = self.branch[:, :, None] == self.branch[:, None, :]
        prefix = (self.branch == PREFIX)[:, None, :]
        return (causal & (own | prefix))[:, None]


def encode_branch(tokenizer: Tokenizer, exercise: Exercise) -> Branch:
    """Encode instruction and answer as they stand after the note in the chat template."""
    question = tokenizer.encode(exercise.instruction + ASSISTANT_OPENING).ids
    answer = tokenizer.encode(exercise.answer + END).ids
    return Branch(exercise.task, question + answer, len(question))


def pack(tokenizer: Tokenizer, note: Note, exercises: list[Exercise], length: int, balance: float = 0.0) -> Row:
    """Put the note and what fits of the exercises into one row; an answer of n tokens weighs n ** (1 - balance)."""
    prefix = tokenizer.encode(USER_OPENING + note.text + "\n\n").ids
    ids = np.zeros(length, dtype=np.int64)
    positions = np.zeros(length, dtype=np.int64)
    branch = np.full(length, PADDING, dtype=np.int64)
    targets = np.full(length, -100, dtype=np.int64)
    weights = np.ones(length, dtype=np.float32)
    at = len(prefix)
    ids[:at], positions[:at], branch[:at] = prefix, np.arange(at), PREFIX
    tasks: list[str] = []
    for exercise in exercises:
        one = encode_branch(tokenizer, exercise)
        end = at + len(one.ids)
        if end > length:
            continue
        tasks.append(one.task)
        ids[at:end] = one.ids
        positions[at:end] = len(prefix) + np.arange(len(one.ids))
        branch[at:end] = len(tasks)
        targets[at + one.answer_start - 1 : end - 1] = one.ids[one.answer_start :]
        weights[at:end] = (len(one.ids) - one.answer_start) ** -balance
        at = end
    return Row(ids, positions, branch, targets, weights, tuple(tasks))


def stack(rows: list[Row]) -> Batch:
    """Stack rows of one length."""
    return Batch(
        ids=torch.from_numpy(np.stack([row.ids for row in rows])),
        positions=torch.from_numpy(np.stack([row.positions for row in rows])),
        branch=torch.from_numpy(np.stack([row.branch for row in rows])),
        targets=torch.from_numpy(np.stack([row.targets for row in rows])),
        weights=torch.from_numpy(np.stack([row.weights for row in rows])),
        tasks=tuple(row.tasks for row in rows),
    )


def draw_row(tokenizer: Tokenizer, rng: random.Random, step: int, plan: Plan) -> Row:
    """A training row for this step: the full set of tasks first, then short questions into what is left."""
    novelty = NOVELTY if step >= plan.novel_from else 0.0
    rich = step >= plan.rich_from
    composed = COMPOSED if rich else 0.0
    difficulty = min(1.0, step / EASY_STEPS)
    writer = NoteWriter(
        rng,
        Split.TRAIN,
        difficulty=difficulty,
        novelty=novelty,
        composed=composed,
        questions=SEARCHING_QUESTIONS,
    )
    note = writer.note()
    if step >= plan.ask_from and rng.random() < ASKING_ROWS:
        tasks = [*rng.sample(TASKS, 2), *["question"] * MOST_QUESTIONS]
        return pack(tokenizer, note, [writer.exercise(note, task) for task in tasks], plan.length, ASKING_BALANCE)
    exercises = [writer.exercise(note, task) for task in rng.sample(TASKS, len(TASKS))]
    if rng.random() > step / COPY_STEPS:
        exercises.insert(0, writer.copy_exercise())
    exercises += [writer.exercise(note, rng.choice(("question", "question", "list", "json"))) for _ in range(4)]
    return pack(tokenizer, note, exercises, plan.length, BALANCE if rich else 0.0)


class TrainingBatches(Dataset[Batch]):  # type: ignore[misc]
    """One rank's part of batch number i; a row depends on the seed, i and its number alone, so a run can be resumed."""

    def __init__(self, tokenizer: Tokenizer, plan: Plan, steps: range, rows: range) -> None:
        self.tokenizer = tokenizer
        self.plan = plan
        self.steps = steps
        self.rows = rows

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Batch:
        step = self.steps[index]
        return stack([self._row(step, number) for number in self.rows])

    def _row(self, step: int, number: int) -> Row:
        rng = random.Random(f"train:{self.plan.seed}:{step}:{number}")
        return draw_row(self.tokenizer, rng, step, self.plan)


def held_out_batches(tokenizer: Tokenizer, seed: int, notes: int, rows: int) -> list[Batch]:
    """Held-out rows with each task once, for watching the training."""
    writer = NoteWriter(random.Random(f"watch:{seed}"), Split.HELD_OUT)
    packed: list[Row] = []
    for _ in range(notes):
        note = writer.note()
        packed.append(pack(tokenizer, note, [writer.exercise(note, task) for task in TASKS], 512))
    return [stack(packed[start : start + rows]) for start in range(0, notes, rows)]
