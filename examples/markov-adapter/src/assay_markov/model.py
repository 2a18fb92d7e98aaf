"""The model and its training. Weights are JSON: for each word, how often each word came next; ``""`` ends a text."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

from assay.engines import CustomModelAdapter

END = ""
Successors = dict[str, dict[str, int]]


def train(text: str) -> Successors:
    """Count which word follows which; every line is a text of its own."""
    counts: dict[str, Counter[str]] = {}
    for line in text.splitlines():
        words = [END, *line.split(), END]
        for word, successor in pairwise(words):
            counts.setdefault(word, Counter())[successor] += 1
    return {word: dict(sorted(successors.items())) for word, successors in sorted(counts.items())}


class MarkovModel(CustomModelAdapter):
    """Goes on from the prompt's last word, or begins a new text where that word is not known."""

    version = "0.1.0"
    slots = 8

    def load(self, weights_path: str) -> None:
        """Read the counts."""
        self.successors: Successors = json.loads(Path(weights_path).read_text(encoding="utf-8"))

    def generate(
        self, prompt: str, *, max_tokens: int = 64, temperature: float = 1.0, seed: int | None = None
    ) -> Generator[str, None, str]:
        """Yield a word at a time; return ``length`` when ``max_tokens`` cut the text."""
        chance = random.Random(seed)
        word = (prompt.split() or [END])[-1]
        for made in range(max_tokens):
            word = self._next(word, temperature, chance)
            if word == END:
                return "stop"
            yield word if made == 0 else f" {word}"
        return "length"

    def count_tokens(self, text: str) -> int:
        """A token is a word."""
        return len(text.split())

    def _next(self, word: str, temperature: float, chance: random.Random) -> str:
        successors = self.successors.get(word) or self.successors[END]
        if temperature == 0:
            return max(successors, key=lambda candidate: successors[candidate])
        weights = [count ** (1 / temperature) for count in successors.values()]
        return chance.choices(list(successors), weights)[0]
