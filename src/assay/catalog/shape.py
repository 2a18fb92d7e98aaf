"""What of a model decides how much memory it takes to run: its layers, their caches and states, its widths."""

from __future__ import annotations

from msgspec import Struct

STATE_BYTES = 4
"""States of state-space layers and of short convolutions are kept in f32."""


class Layer(Struct, frozen=True, kw_only=True):
    """What one layer keeps of a sequence that it has read.

    For every token ``kv_heads`` keys of ``key_length`` numbers and as many values of ``value_length``; of the last
    ``window`` tokens only, or of all where that is None. ``state`` is what it keeps beside that, in bytes, however long
    the sequence is.
    """

    kv_heads: int = 0
    key_length: int = 0
    value_length: int = 0
    window: int | None = None
    state: int = 0


class Shape(Struct, frozen=True, kw_only=True):
    """A model's sizes as its files tell them; ``unknown`` names what they do not tell.

    ``embedding`` and ``feed_forward`` are the widths of a layer (the latter of all experts that one token goes
    through), ``heads`` those of its queries. ``repackable`` are the bytes of the weight matrices by type, of which
    engines may keep a copy in another order; empty where the files do not tell. ``block`` is how many of the weights
    share a scale, where that was looked at.
    """

    architecture: str
    layers: tuple[Layer, ...]
    embedding: int | None = None
    heads: int | None = None
    feed_forward: int | None = None
    vocabulary: int | None = None
    context_length: int | None = None
    parameters: int | None = None
    repackable: dict[str, int] = {}
    block: int | None = None
    unknown: tuple[str, ...] = ()

    def cells(self, context: int, *, ahead: int, pad: int) -> list[int]:
        """Tokens that each layer has room for: ``context``, or its window and ``ahead`` more, in steps of ``pad``.

        Source: llama.cpp's cache for sliding windows (min(context, window + micro-batch), padded).
        """
        return [_padded(min(context, layer.window + ahead) if layer.window else context, pad) for layer in self.layers]

    def cache(self, context: int, *, key_bytes: int, value_bytes: int, ahead: int = 0, pad: int = 1) -> int:
        """Bytes for the keys, values and states of one sequence of ``context`` tokens."""
        total = 0
        for layer, cells in zip(self.layers, self.cells(context, ahead=ahead, pad=pad), strict=True):
            per_token = layer.kv_heads * (layer.key_length * key_bytes + layer.value_length * value_bytes)
            total += cells * per_token + layer.state
        return total


def recurrent_state(*, inner: int, state: int, convolution: int, groups: int) -> int:
    """Bytes that a Mamba layer keeps of a sequence: the last inputs of its convolution, and its state.

    Source: (convolution - 1) x (inner + 2 x groups x state) + state x inner numbers, as in llama.cpp.
    """
    return STATE_BYTES * (max(convolution - 1, 0) * (inner + 2 * groups * state) + state * inner)


def slides(layer: int, pattern: int) -> bool:
    """Whether a layer has the window where all but each ``pattern``-th one have it."""
    return layer % pattern < pattern - 1


def _padded(count: int, step: int) -> int:
    return -(-count // step) * step
