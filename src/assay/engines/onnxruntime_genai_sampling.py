"""Which token comes next, from the scores of one row: bias, penalties, grammar, temperature, top-k, top-p, min-p, seed.

ONNX Runtime GenAI samples a whole batch with one set of options and one random stream. Done here, every request keeps
its own, and requests with different options share a batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assay.engines.onnxruntime_genai_grammar import Constraint
from assay.engines.worker.model import Sampling

Scores = npt.NDArray[np.float32]
_NEUTRAL = Sampling()


def needs_scores(sampling: Sampling) -> bool:
    """Whether the highest raw score does not already decide."""
    return sampling.temperature > 0 or bool(sampling.logit_bias) or penalises(sampling)


def penalises(sampling: Sampling) -> bool:
    """Whether what came before changes the scores."""
    names = ("repetition_penalty", "frequency_penalty", "presence_penalty")
    return any(getattr(sampling, name) != getattr(_NEUTRAL, name) for name in names)


class Chooser:
    """Chooses the tokens of one generation; remembers what came before, and where its random stream stands."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], constraint: Constraint | None = None) -> None:
        self._sampling = sampling
        self._constraint = constraint
        self._seen = set(prompt)
        self._made: Counter[int] = Counter()
        self._random = np.random.default_rng(None if sampling.seed is None else abs(sampling.seed))

    def choose(self, scores: Scores) -> int:
        """The next token; ``scores`` (vocabulary,) is left as it was."""
        sampling = self._sampling
        if sampling.logit_bias:
            scores = self._lean(scores)
        if penalises(sampling):
            scores = self._penalise(scores)
        if self._constraint is not None:
            allowed = self._constraint.allowed()
            return int(allowed[self._draw(scores[allowed])])
        return self._draw(scores)

    def _draw(self, scores: Scores) -> int:
        """The place of the token that comes next in ``scores``."""
        sampling = self._sampling
        if sampling.temperature <= 0:
            return int(scores.argmax())
        ids, probabilities = distribution(scores, sampling)
        point = self._random.random() * probabilities.sum()
        place = int(np.searchsorted(np.cumsum(probabilities), point, side="right"))
        return int(ids[min(place, len(ids) - 1)])

    def remember(self, token: int) -> None:
        """``token`` has become part of the answer."""
        self._made[token] += 1
        if self._constraint is not None:
            self._constraint.take(token)

    def _lean(self, scores: Scores) -> Scores:
        scores, bias = scores.copy(), self._sampling.logit_bias
        scores[list(bias)] += np.fromiter(bias.values(), dtype=np.float32)
        return scores

    def _penalise(self, scores: Scores) -> Scores:
        """Repetition: over prompt and answer, as transformers has it. Frequency and presence: over the answer."""
        sampling, scores = self._sampling, scores.copy()
        seen = np.fromiter(self._seen | self._made.keys(), dtype=np.int64)
        seen = seen[seen < len(scores)]
        old = scores[seen]
        penalty = np.float32(sampling.repetition_penalty)
        scores[seen] = np.where(old < 0, old * penalty, old / penalty)
        if self._made:
            made = np.fromiter(self._made.keys(), dtype=np.int64)
            counts = np.fromiter(self._made.values(), dtype=np.float32)
            scores[made] -= counts * np.float32(sampling.frequency_penalty) + np.float32(sampling.presence_penalty)
        return scores


def distribution(scores: Scores, sampling: Sampling) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The tokens that may come and their weights (not normed), best first where top-k or top-p cut.

    The order is transformers': temperature, top-k, top-p, min-p.
    """
    ids = np.arange(len(scores))
    if 0 < sampling.top_k < len(scores):
        ids = np.argpartition(scores, -sampling.top_k)[-sampling.top_k :]
    kept = scores[ids].astype(np.float64)
    weights = np.exp((kept - kept.max()) / sampling.temperature)
    weights /= weights.sum()
    if sampling.top_p < 1:
        # Whatever is less likely than this can be left out: all of it together has less than 1 - top_p.
        likely = weights >= (1 - sampling.top_p) / len(weights)
        ids, weights = ids[likely], weights[likely]
        order = np.argsort(-weights, kind="stable")
        ids, weights = ids[order], weights[order]
        count = int(np.searchsorted(np.cumsum(weights), sampling.top_p)) + 1
        ids, weights = ids[:count], weights[:count]
    if sampling.min_p > 0:
        likely = weights >= sampling.min_p * weights.max()
        ids, weights = ids[likely], weights[likely]
    return ids, weights
