"""What a training run is a function of: its plan, and the curriculum that all plans share."""

from __future__ import annotations

from dataclasses import dataclass

EASY_STEPS = 700
"""Until here notes grow from one action and nothing else to the full mix."""
COPY_STEPS = 2500
"""Until here rows begin with words to repeat, ever more rarely."""
NOVELTY = 0.4
"""The share of blended words, once they have begun."""
COMPOSED = 0.6
"""The share of sentences from grammars, once they have begun."""
BALANCE = 0.5
"""From then on an answer of n tokens weighs n ** (1 - BALANCE), not n."""
ASKING_ROWS = 0.6
"""The share of rows that ask `MOST_QUESTIONS` at most, once they have begun."""
MOST_QUESTIONS = 10
ASKING_BALANCE = 0.75
"""What `BALANCE` is in those rows."""


@dataclass(frozen=True)
class Plan:
    """The arguments of one run; `rows` of `length` tokens make a batch, shared by `ranks` processes.

    From step `novel_from` on, words are blended from known ones. From step `rich_from` on, sentences are composed by
    grammars too, and a short answer weighs more for each of its tokens. From step
    `ask_from` on, most rows hold two other tasks at most and many questions.
    """

    size: str
    steps: int
    seed: int
    rows: int
    ranks: int
    length: int
    novel_from: int
    rich_from: int
    ask_from: int
    muon_lr: float
    adam_lr: float
