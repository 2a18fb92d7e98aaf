"""An adapter for the conformance suite: endless words, drawn by seed; greedy counts upwards. A token is a word."""

from __future__ import annotations

import random
import time
from collections.abc import Generator

from assay.engines import CustomModelAdapter


class Talker(CustomModelAdapter):
    slots = 8
    context_length = 256

    def load(self, weights_path: str) -> None:
        self.words = ["wind", "café", "漢字", "rain", "hill"]

    def generate(
        self, prompt: str, *, max_tokens: int, temperature: float = 1.0, seed: int | None = None
    ) -> Generator[str, None, str]:
        chance = random.Random(seed)
        for i in range(max_tokens):
            if "briefly" in prompt and i == 3:
                return "stop"
            time.sleep(0.002)
            yield f"{i} " if temperature == 0 else f"{chance.choice(self.words)} "
        return "length"

    def count_tokens(self, text: str) -> int:
        return len(text.split())
