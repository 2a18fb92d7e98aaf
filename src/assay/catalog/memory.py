"""How much memory an engine will take for a model.

Formulas: weights are the exact bytes of the tensors; the cache is that of the model's own head counts and lengths at
the context of every slot; the buffers are those of llama.cpp's graph (fitted to the sizes that it reports) and of ONNX
Runtime's arenas; bases were measured on Linux x86-64. ``benchmarks/memory.py`` holds them to 15 % or 150 MB.
"""

from __future__ import annotations

import platform
from typing import NamedTuple

from assay.catalog.shape import Shape
from assay.types import Estimate

DEFAULT_CONTEXT = 4096
"""What the engines take where nothing else is asked and the model has as many."""
MB = 1_000_000
BATCH = 512
"""Prompt tokens that llama.cpp reads at once."""
CELLS = 256
"""llama.cpp rounds a cache up to so many tokens."""
F16, F32 = 2, 4
LLAMACPP_BASE, GENAI_BASE = 55 * MB, 70 * MB
"""The worker process with the engine's library, before any model."""
LLAMACPP_TOKEN, GENAI_TOKEN = 430, 550
"""Of each token of the vocabulary, with its merge, in the tokenizer's tables."""
PART = 256
"""Tokens that the ONNX Runtime GenAI worker reads at once of a prompt that is alone, at most."""
SHORT = 512
"""Tokens of each prompt where several come together: what is likely."""
TOGETHER = 2048
"""What it reads at once of prompts that come together, at most; longer ones are read in parts."""
WIDENED = 4
"""A layer's feed-forward width over its embedding's, where a configuration does not tell it."""
REPACKED = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
"""Types of which llama.cpp keeps a second copy in another order beside the mapped file; seen with AVX2."""
REPACKED_ARM = REPACKED | {"Q2_K", "Q5_K", "Q6_K", "Q8_0"}
"""The same on ARM, by its source; not measured."""
BLOCK = 32
"""Weights of ONNX to a scale, where it is not known: what builders take."""
UNKNOWN_SHARE = 4
"""A shape that is not known at all widens the range by one part in so many of the weights."""


class _Parts(NamedTuple):
    copies: int
    """Bytes of weights that the engine holds beside those of the files; less than none where it does not load all."""
    cache: int
    buffers: int
    base: int


def estimate(
    shape: Shape | None,
    weights: int,
    *,
    engine: str,
    context_length: int | None = None,
    slots: int = 1,
    observed: int | None = None,
) -> Estimate:
    """Bytes that ``engine`` will take at its peak, with every slot filled up to the context.

    ``weights`` are the exact bytes of the tensors, ``context_length`` is per slot (None: the engine's choice).
    ``observed`` is the peak of an earlier load of the same, and goes into the estimate as it is; see ``by_estimate``.
    """
    longest = shape.context_length if shape else None
    context = context_length or min(DEFAULT_CONTEXT, longest or DEFAULT_CONTEXT)
    unknown = [*(shape.unknown if shape else ("the model's shape",))]
    worst = 0
    if shape is None:
        parts = _Parts(0, 0, 0, LLAMACPP_BASE)
    elif engine == "onnxruntime_genai":
        parts = _genai(shape, weights, context, slots)
        worst = max(0, _genai_worst(shape, context, slots) - parts.buffers)
        unknown += [] if shape.repackable else ["how the weights are packed"]
    else:
        parts = _llamacpp(shape, context, slots)
        if engine != "llamacpp":
            unknown.append(f"how {engine} takes memory")
    likely = weights + sum(parts)
    low = weights + min(parts.copies, 0) + parts.cache + (parts.buffers + parts.base) // 2
    return Estimate(
        low=min(low, likely),
        likely=likely,
        high=likely + likely // 10 + worst + len(unknown) * (weights // UNKNOWN_SHARE),
        weights=weights + parts.copies,
        cache=parts.cache,
        buffers=parts.buffers,
        base=parts.base,
        engine=engine,
        context_length=context,
        slots=slots,
        observed=observed,
        unknown=tuple(unknown),
    )


def _llamacpp(shape: Shape, context: int, slots: int) -> _Parts:
    """llama.cpp on CPUs: file mapped, f16 cache for every slot whether used or not, flash attention.

    The graph's buffer holds, for each token of a batch, three feed-forward and five embedding widths in f32, and one
    row of the attention mask in f16 for the cache with all and for that with some tokens; as llama.cpp reports it.
    """
    repacked = REPACKED_ARM if platform.machine().lower() in {"arm64", "aarch64"} else REPACKED
    cells = set(shape.cells(_padded(context), ahead=BATCH, pad=CELLS))
    logits = slots * (shape.vocabulary or 0) * F32
    graph = BATCH * F32 * (3 * (shape.feed_forward or 0) + 5 * (shape.embedding or 0)) + BATCH * F16 * sum(cells)
    return _Parts(
        copies=sum(size for kind, size in shape.repackable.items() if kind in repacked),
        cache=slots * shape.cache(_padded(context), key_bytes=F16, value_bytes=F16, ahead=BATCH, pad=CELLS),
        buffers=graph + 2 * logits,
        base=LLAMACPP_BASE + LLAMACPP_TOKEN * (shape.vocabulary or 0),
    )


def _genai(shape: Shape, weights: int, context: int, slots: int) -> _Parts:
    """ONNX Runtime GenAI on CPUs: f32 cache for prompt and answer of each request.

    For each prompt token that is read at once it holds scores over the context for every head, and the layer's own
    widths, in f32; scores over the vocabulary for each prompt's last token. Prompts that come together are read at once
    as far as bounds allow, else in parts. A graph that the engine cannot change to score what is asked for
    (``engines/onnxruntime_genai_graph.py``) takes up to 512 MB more for scores that nobody reads.
    """
    alone, short = _read_at_once(shape, min(PART, context), context), min(SHORT, context)
    return _Parts(
        copies=_packed(shape, weights) - weights,
        cache=slots * shape.cache(context, key_bytes=F32, value_bytes=F32),
        buffers=max([alone, *(_together(shape, short, some) for some in range(2, slots + 1))])
        + 2 * slots * F32 * (shape.vocabulary or 0),
        base=GENAI_BASE + GENAI_TOKEN * (shape.vocabulary or 0),
    )


def _together(shape: Shape, length: int, slots: int) -> int:
    tokens = min(slots * length, TOGETHER)
    return _read_at_once(shape, tokens, tokens // slots)


def _genai_worst(shape: Shape, context: int, slots: int) -> int:
    """Bytes of the buffers when pairs of long prompts are read one pair after another.

    The arena cannot reuse the scores of the first pair for the second.
    """
    if slots == 1:
        return 0
    length = min(context, TOGETHER // 2)
    return 2 * _read_at_once(shape, 2 * length, length)


def _read_at_once(shape: Shape, tokens: int, context: int) -> int:
    width = shape.embedding or 0
    layer = 3 * (shape.feed_forward or WIDENED * width) + 5 * width
    return tokens * F32 * ((shape.heads or 0) * context + layer)


def _packed(shape: Shape, weights: int) -> int:
    """Bytes of weights that ONNX Runtime holds: packed anew in memory, or mapped and touched row by row.

    A block of int4 has half a byte for each weight and a scale of four, of which packing makes sixteen; of int8 a byte
    each and the same scale, of which it makes eight. A table of embeddings is mapped: in int8 one of f32, of which half
    is touched.
    """
    block = shape.block or BLOCK
    if "int4" in shape.repackable:
        return weights * (block + 32) // (block + 8)
    if "int8" in shape.repackable:
        table = min(weights, F32 * (shape.vocabulary or 0) * (shape.embedding or 0))
        return (weights - table) * (block + 8) // (block + 4) + table // 2
    return weights


def _padded(context: int) -> int:
    return -(-context // CELLS) * CELLS
