"""Distributions from llama.cpp: one prompt a position, of which all but the last tokens are in the slot's cache.

The server lists the log-probability of every token of the vocabulary (before any sampling) in its answer's JSON. That
list is most of the work: about 10 microseconds an entry and core, so that a distribution over 150,000 tokens takes a
second and more; lanes are the slots, which share that work between cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from assay.engines.llamacpp_answer import Answer, Choice, next_token, no_distribution
from assay.engines.probe_model import Reading
from assay.errors import EngineError
from assay.types import Scored

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class _Entry(Struct, frozen=True):
    id: int
    logprob: float | None
    """None where it is no number."""


class _Token(Struct, frozen=True):
    top_logprobs: tuple[_Entry, ...]


_decode = msgspec.json.Decoder(Answer[_Token]).decode


class LlamaCppProber:
    """Reads from a server context with ``lanes`` slots; ``whole`` is a token whose text is whole characters."""

    def __init__(self, server: Any, vocabulary: int, lanes: int, whole: int) -> None:
        self._server = server
        self._whole = whole
        self.vocabulary = vocabulary
        self.lanes = lanes

    def read(self, scored: Scored, lane: int, /) -> Reading:
        """Positions in their order, so that each one adds only the tokens since the last one."""
        import numpy as np

        rows = np.full((len(scored.positions), self.vocabulary), -np.inf, np.float32)
        row_of = {place: row for row, place in enumerate(scored.positions)}
        tops: dict[int, int] = {}
        for place in sorted({*scored.positions, *scored.tops}):
            wanted = self.vocabulary if place in row_of else 1
            entries, _ = self._next(scored.ids[: place + 1], wanted, lane)
            tops[place] = entries[0].id
            if place in row_of:
                _fill(rows[row_of[place]], entries)
        return Reading(rows, tuple(tops[place] for place in scored.tops))

    def continued(self, ids: Sequence[int], count: int) -> tuple[int, ...]:
        """A request a token: a list over several tokens misaligns where one ends within a character."""
        known = list(ids)
        for _ in range(count):
            entries, ended = self._next(known, 1, 0)
            known.append(entries[0].id)
            if ended:
                break
        return tuple(known[len(ids) :])

    def _next(self, ids: Sequence[int], wanted: int, lane: int) -> tuple[tuple[_Entry, ...], bool]:
        """The ``wanted`` most likely next tokens, most likely first, and whether the first ends a text."""
        choice: Choice[_Token] = next_token(self._server, _decode, ids, wanted, lane=lane)
        if not choice.logprobs:
            # The probabilities are those before the bias, which only decides what is sampled.
            choice = next_token(self._server, _decode, ids, wanted, certain=self._whole, lane=lane)
        if not choice.logprobs:
            raise no_distribution("its answer is empty")
        content = choice.logprobs.content
        if len(content) != 1 or len(content[0].top_logprobs) != wanted:
            raise EngineError("llama.cpp gave another list of probabilities than was asked for")
        return content[0].top_logprobs, choice.finish_reason == "stop"


def _fill(row: npt.NDArray[np.float32], entries: Sequence[_Entry]) -> None:
    row[[entry.id for entry in entries]] = [
        float("nan") if entry.logprob is None else entry.logprob for entry in entries
    ]
