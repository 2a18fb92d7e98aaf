"""Names near to one that was mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nlargest

LOOKED_AT = 40
"""How many of the names that share most letter pairs are compared letter by letter, which is slow."""


def near_names(text: str, names: Iterable[str], n: int = 3) -> list[str]:
    """At most ``n`` of ``names`` that are like ``text``, the most alike first, whatever their case."""
    wanted = _pairs(text[:100])
    spelled = {name.lower(): name for name in names}
    alike = nlargest(LOOKED_AT, spelled, key=lambda name: _share(wanted, name))
    return [spelled[match] for match in get_close_matches(text[:100].lower(), alike, n=n, cutoff=0.5)]


def _pairs(text: str) -> set[str]:
    text = f" {text.lower()} "
    return {text[at : at + 2] for at in range(len(text) - 1)}


def _share(wanted: set[str], name: str) -> float:
    pairs = _pairs(name)
    return 2 * len(wanted & pairs) / (len(wanted) + len(pairs))
