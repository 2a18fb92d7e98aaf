"""Log-probabilities of tokens, from the scores that ONNX Runtime GenAI gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay.engines.onnxruntime_genai_sampling import Scores
from assay.engines.worker.model import TokenLogprob

Name = Callable[[int], bytes]
"""The bytes of a token, special ones as they are called."""


class Chance(NamedTuple):
    """Of a token in its place: its natural log-probability, and the likeliest ones there, likeliest first.

    None where nothing comes before it.
    """

    logprob: float | None
    top: tuple[tuple[bytes, float], ...]


def chance(scores: Scores, token: int, count: int, name: Name) -> Chance:
    """Of ``token``, with the ``count`` likeliest, from raw ``scores`` (vocabulary,)."""
    peak = scores.max()
    total = float(peak) + float(np.log(np.exp(scores - peak, dtype=np.float64).sum()))
    likeliest: npt.NDArray[np.int64] = np.empty(0, np.int64)
    if count:
        likeliest = np.argpartition(scores, -count)[-count:]
        likeliest = likeliest[np.argsort(-scores[likeliest], kind="stable")]
    return Chance(float(scores[token]) - total, tuple((name(int(i)), float(scores[i]) - total) for i in likeliest))


def token_logprob(data: bytes, token: int, found: Chance, name: Name) -> TokenLogprob:
    """``token``, whose bytes in the text are ``data``."""
    return TokenLogprob(data, found.logprob, found.top, b"" if data else name(token))


class EchoedPrompt:
    """Collects the log-probabilities of a prompt's tokens while it is read; none where ``top`` is None."""

    def __init__(self, ids: Sequence[int], top: int | None, *, spell: Name, name: Name) -> None:
        """``spell`` gives a token's bytes in a text, none for special ones."""
        self._ids = ids
        self._top = top
        self._spell = spell
        self._name = name
        self._chances: list[Chance] = []

    @property
    def tokens(self) -> tuple[TokenLogprob, ...]:
        """The prompt's tokens, once all of it was taken."""
        unknown = [Chance(None, ())] * (len(self._ids) - len(self._chances))
        chances = zip(self._ids, (*unknown, *self._chances), strict=True)
        return tuple(token_logprob(self._spell(token), token, found, self._name) for token, found in chances)

    @property
    def wants_scores(self) -> bool:
        """Whether ``take`` must be called with what each part gives."""
        return self._top is not None

    def take(self, scores: Scores) -> None:
        """``scores`` (tokens, vocabulary) are those after each token of the next part of the prompt."""
        for row in scores:
            place = len(self._chances) + 1
            if place < len(self._ids):
                self._chances.append(chance(row, self._ids[place], self._top or 0, self._name))
