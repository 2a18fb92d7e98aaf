"""Where in a sequence distributions are compared: few enough to afford, spread as widely as they can be."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 640
"""Distributions in all: on text of this kind, more of them narrow the intervals less than more passages would."""
ENTRIES = 1 << 25
"""Numbers in all, so 128 MB in a file: with 150,000 tokens these are 220 distributions, which llama.cpp lists in 3 to 5
minutes on 4 cores (10 microseconds an entry and core); ONNX Runtime GenAI hands them over in no time."""
OPENING = 8
"""Tokens at the start of a passage that nothing can be predicted from."""
TEXT_SHARE = 2 / 3
"""Of the distributions; the others lie in the continuations of the prompts."""


def affordable(vocabulary: int, passages: int, continuations: int) -> tuple[int, int]:
    """How many positions to take in each passage and in each continuation; at least one in each."""
    total = min(MOST, ENTRIES // max(1, vocabulary))
    share = TEXT_SHARE if continuations else 1.0
    in_text = int(total * share) // max(1, passages)
    in_continuations = int(total * (1 - share)) // max(1, continuations)
    return max(1, in_text), max(1, in_continuations)


def in_passage(length: int, count: int) -> tuple[int, ...]:
    """At most ``count`` positions of a passage of ``length`` tokens, each with a token after it; none in one token."""
    return spread(range(min(OPENING, max(0, length - 2) // 2), length - 1), count)


def spread(places: Sequence[int], count: int) -> tuple[int, ...]:
    """At most ``count`` of ``places``, at equal distances."""
    if count >= len(places):
        return tuple(places)
    return tuple(places[(2 * i + 1) * len(places) // (2 * count)] for i in range(count))
