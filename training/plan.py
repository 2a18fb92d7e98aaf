"""What a training run is a function of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The arguments of one run; `rows` of `length` tokens make a batch, shared by `ranks` processes.

    From step `novel_from` on, words are blended from known ones.
    """

    size: str
    steps: int
    seed: int
    rows: int
    ranks: int
    length: int
    novel_from: int
    muon_lr: float
    adam_lr: float
