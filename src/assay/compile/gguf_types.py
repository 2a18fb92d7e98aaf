"""Which type each tensor of a GGUF file gets under a quantisation: pure decisions over names and shapes.

The mixtures of K-quants are llama.cpp's (``llama_tensor_get_type``): more bits where an error costs most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from assay.compile.gguf_names import Named


class Type(NamedTuple):
    """ggml's number for a type, and how many bytes a block of weights takes."""

    number: int
    block: int
    bytes: int


TYPES = {
    "F32": Type(0, 1, 4),
    "F16": Type(1, 1, 2),
    "Q4_0": Type(2, 32, 18),
    "Q4_1": Type(3, 32, 20),
    "Q5_0": Type(6, 32, 22),
    "Q5_1": Type(7, 32, 24),
    "Q8_0": Type(8, 32, 34),
    "Q2_K": Type(10, 256, 84),
    "Q3_K": Type(11, 256, 110),
    "Q4_K": Type(12, 256, 144),
    "Q5_K": Type(13, 256, 176),
    "Q6_K": Type(14, 256, 210),
    "BF16": Type(30, 1, 2),
}
FILE_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q3_k_m": 12,
    "q4_k_s": 14, "q4_k_m": 15, "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18, "bf16": 32,
}  # fmt: skip
"""llama.cpp's number for a file that is mostly of this quantisation."""
BASE = {name: name.upper() for name in ("f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q6_k")} | {
    "q3_k_m": "Q3_K", "q4_k_s": "Q4_K", "q4_k_m": "Q4_K", "q5_k_s": "Q5_K", "q5_k_m": "Q5_K",
}  # fmt: skip
"""What most tensors of a quantisation get."""
PLAIN = tuple(name for name, base in BASE.items() if not base.endswith("_K"))
K_QUANTS = tuple(name for name, base in BASE.items() if base.endswith("_K"))
NARROW = {"Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""What a tensor gets whose rows 256 does not divide."""


def type_of(tensor: Named, quantisation: str, layers: int, tied: bool) -> str:
    """The name of the type; vectors are always F32."""
    if len(tensor.shape) < 2:
        return "F32"
    wanted = _mixed(tensor, quantisation, layers, tied)
    if tensor.shape[-1] % TYPES[wanted].block:
        wanted = NARROW.get(wanted, wanted)
    return wanted if tensor.shape[-1] % TYPES[wanted].block == 0 else "F16"


def bytes_of(shape: Sequence[int], kind: str) -> int:
    """What a tensor takes."""
    return math.prod(shape) // TYPES[kind].block * TYPES[kind].bytes


def _mixed(tensor: Named, quantisation: str, layers: int, tied: bool) -> str:
    base, part = BASE[quantisation], tensor.name.split(".")[-2]
    if base in {"F32", "F16", "BF16", "Q8_0"}:
        return base
    if part == "output" or (tied and part == "token_embd"):
        return "Q6_K" if base.endswith("_K") else "Q8_0"
    layer = tensor.layer if tensor.layer is not None else layers
    if part in {"attn_v", "ffn_down"}:
        return _sensitive(part, quantisation, layer, layers) or base
    more = {("attn_qkv", "q3_k_m"): "Q4_K", ("attn_qkv", "q4_k_m"): "Q5_K", ("attn_qkv", "q5_k_m"): "Q6_K"}
    more |= {("attn_output", "q3_k_m"): "Q4_K"}
    return more.get((part, quantisation), base)


def _sensitive(part: str, quantisation: str, layer: int, layers: int) -> str | None:
    first = layer < layers // 8
    if quantisation in {"q4_k_m", "q5_k_m"}:
        often = first or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
        return "Q6_K" if often else None
    if quantisation == "q4_k_s":
        return "Q5_K" if (layer < 4 if part == "attn_v" else first) else None
    if quantisation == "q3_k_m":
        early = layer < 2 if part == "attn_v" else layer < layers // 16
        return "Q5_K" if early else "Q4_K"
    return None
