"""Rotary position embeddings as checkpoints write them, of older and newer configurations, in one shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from assay.errors import BadInput

THETA = {"gemma3": 1_000_000.0}
DEFAULT_THETA = 10_000.0
"""Bases that transformers takes where the configuration names none."""


class Rope(NamedTuple):
    """``kind`` is ``default``, ``linear``, ``yarn``, ``llama3``, ``longrope`` or another that is not read here.

    ``local_theta`` is the base of layers with a sliding window where they have one of their own. ``settings`` holds
    what the kind needs besides.
    """

    theta: float
    local_theta: float | None
    kind: str
    settings: dict[str, Any]


def rope_of(family: str, config: Mapping[str, Any]) -> Rope:
    """Read ``rope_parameters`` (transformers 5) or ``rope_theta`` and ``rope_scaling`` (before)."""
    read = config.get("rope_parameters")
    local: Any = config.get("rope_local_base_freq")
    if isinstance(read, dict) and "full_attention" in read:
        local = read.get("sliding_attention", {}).get("rope_theta", local)
        read = read["full_attention"]
    old = config.get("rope_scaling")
    settings = {**(old if isinstance(old, dict) else {}), **(read if isinstance(read, dict) else {})}
    kind = str(settings.get("rope_type") or settings.get("type") or "default")
    theta = settings.get("rope_theta") or config.get("rope_theta") or THETA.get(family, DEFAULT_THETA)
    if family == "gemma3" and local is None:
        local = DEFAULT_THETA
    kind = {"su": "longrope", "mrope": "default"}.get(kind, kind)
    return Rope(float(theta), float(local) if local is not None else None, kind, settings)


def llama3_factors(rope: Rope, dimension: int) -> list[float]:
    """What each frequency of ``dimension / 2`` is divided by (Llama 3.1's published scaling)."""
    factor, original = float(rope.settings["factor"]), float(rope.settings["original_max_position_embeddings"])
    low, high = float(rope.settings["low_freq_factor"]), float(rope.settings["high_freq_factor"])
    factors = []
    for index in range(0, dimension, 2):
        length = 2 * math.pi * rope.theta ** (index / dimension)
        if length < original / high:
            factors.append(1.0)
        elif length > original / low:
            factors.append(factor)
        else:
            smooth = (original / length - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def longrope_scale(rope: Rope, context: int, original: int) -> float:
    """What the rotated vectors are multiplied by in Phi-3's long contexts: the root of 1 + ln(ratio) / ln(original)."""
    told = rope.settings.get("attention_factor")
    if told is not None:
        return float(told)
    ratio = float(rope.settings.get("factor") or context / original)
    return math.sqrt(1 + math.log(ratio) / math.log(original)) if ratio > 1 else 1.0


def refuse_rope(rope: Rope, family: str, kinds: Mapping[str, tuple[str, ...]], form: str) -> None:
    """Raises:
    BadInput: ``form`` cannot express this kind of rotary scaling for this family.
    """
    known = ("default", *kinds.get(family, ()))
    if rope.kind not in known:
        raise BadInput(
            f"the rotary scaling {rope.kind!r} of this checkpoint cannot be compiled to {form}",
            why=f"for the family {family} what can be: {', '.join(known)}",
            remedy="take rope_scaling out of config.json if its original context length is enough",
        )
