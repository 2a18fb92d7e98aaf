"""Distributions from ONNX Runtime GenAI: the sequence is read part by part, and the scores are taken after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from assay.engines.onnxruntime_genai_api import Batch, alone
from assay.engines.probe_model import Reading
from assay.types import Scored


class GenAIProber:
    """Reads from a model folder; ``open_batch(prompts, room)`` gives a batch that has read nothing yet."""

    lanes = 1

    def __init__(
        self,
        open_batch: Callable[[Sequence[Sequence[int]], int], Batch],
        *,
        vocabulary: int,
        pad: int,
        ends: frozenset[int],
    ) -> None:
        self._open_batch = open_batch
        self.vocabulary = vocabulary
        self._pad = pad
        self._ends = ends

    def read(self, scored: Scored, _lane: int, /) -> Reading:
        """Every place costs one call of the model, over the tokens since the last place."""
        rows = np.empty((len(scored.positions), self.vocabulary), np.float32)
        row_of = {place: row for row, place in enumerate(scored.positions)}
        tops: dict[int, int] = {}
        batch = self._open_batch([scored.ids], 1)
        done = 0
        try:
            for place in sorted({*scored.positions, *scored.tops}):
                for part in alone(scored.ids[done : place + 1], self._pad):
                    batch.read(part)
                done = place + 1
                with batch.scores() as scores:
                    tops[place] = int(np.argmax(scores[0]))
                    if place in row_of:
                        rows[row_of[place]] = log_softmax(scores[0])
        finally:
            batch.close()
        return Reading(rows, tuple(tops[place] for place in scored.tops))

    def continued(self, ids: Sequence[int], count: int) -> tuple[int, ...]:
        """As the engine itself continues greedily."""
        made: list[int] = []
        batch = self._open_batch([ids], count)
        try:
            while batch.fill():
                pass
            while len(made) < count and not (made and made[-1] in self._ends):
                made += batch.step()
        finally:
            batch.close()
        return tuple(made)


def log_softmax(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Natural log-probabilities of one row of scores; NaN throughout where one of them is NaN."""
    shifted = scores - np.max(scores)
    total = np.exp(shifted, dtype=np.float64).sum()
    found: npt.NDArray[np.float32] = (shifted - np.log(total)).astype(np.float32)
    return found
