"""What llama.cpp must know of a model besides its weights, from ``config.json``."""

from __future__ import annotations

from typing import Any, NamedTuple

from assay.compile.checkpoint import Checkpoint
from assay.compile.gguf_names import ARCHITECTURE
from assay.compile.rope import Rope, llama3_factors, longrope_scale, refuse_rope, rope_of
from assay.errors import BadInput

ROPES = {
    "llama": ("linear", "yarn", "llama3"),
    "mistral": ("linear", "yarn"),
    "qwen2": ("linear", "yarn"),
    "qwen3": ("linear", "yarn"),
    "gemma3": ("linear",),
    "phi3": ("longrope",),
}
EPSILON = {"phi3": 1e-5}
WINDOW_GROUP = {"gemma2": 2, "gemma3": 6}
"""Of so many layers in a row, llama.cpp gives the last one the whole context and the others a sliding window."""
LARGEST = {"gemma2": 46, "gemma3": 62}
"""Layers of the largest model, for which llama.cpp scales attention by the width of the model over its heads."""


class Metadata(NamedTuple):
    """``values`` under llama.cpp's keys (whole numbers are u32, others f32); ``vectors`` are tensors of f32.

    ``notes`` tell where llama.cpp will compute something else than the checkpoint's configuration says.
    """

    architecture: str
    values: dict[str, int | float | str]
    vectors: dict[str, list[float]]
    notes: tuple[str, ...]


def metadata_of(checkpoint: Checkpoint) -> Metadata:
    """Everything but the tokenizer.

    Raises:
        BadInput: llama.cpp cannot express what the configuration says.
    """
    family, config = checkpoint.family, checkpoint.config
    heads, kv_heads, width = head_shape(checkpoint)
    rope = rope_of(family, config)
    refuse_rope(rope, family, ROPES, "gguf")
    _refuse_activation(checkpoint)
    context = checkpoint.context_length
    if context is None:
        raise BadInput("config.json does not tell the context length", why="it has no max_position_embeddings")
    values: dict[str, int | float | str] = {
        "context_length": context,
        "embedding_length": int(config["hidden_size"]),
        "block_count": int(config["num_hidden_layers"]),
        "feed_forward_length": int(config["intermediate_size"]),
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.key_length": width,
        "attention.value_length": width,
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", EPSILON.get(family, 1e-6))),
        "vocab_size": checkpoint.weights["model.embed_tokens.weight"].shape[0],
        "rope.freq_base": rope.theta,
        "rope.dimension_count": _rotated(checkpoint, width),
    }
    scaling, vectors = _scaling(checkpoint, rope, _rotated(checkpoint, width))
    window, notes = _window(checkpoint)
    original = scaling.get("rope.scaling.original_context_length")
    if rope.kind == "longrope":
        notes += (
            f"in a context of more than {original} tokens llama.cpp takes the long factors from the first token on",
        )
    if rope.local_theta is not None:
        window["rope.freq_base_swa"] = rope.local_theta
    return Metadata(ARCHITECTURE.get(family, family), values | scaling | window, vectors, notes)


def head_shape(checkpoint: Checkpoint) -> tuple[int, int, int]:
    """Query heads, key-value heads, width of a head; by the weights' shapes, for configurations leave it out."""
    heads = int(checkpoint.config["num_attention_heads"])
    shapes = {name: weight.shape for name, weight in checkpoint.weights.items()}
    attention = "model.layers.0.self_attn"
    if checkpoint.family == "phi3":
        kv_heads = int(checkpoint.config.get("num_key_value_heads") or heads)
        return heads, kv_heads, shapes[f"{attention}.qkv_proj.weight"][0] // (heads + 2 * kv_heads)
    width = shapes[f"{attention}.q_proj.weight"][0] // heads
    return heads, shapes[f"{attention}.k_proj.weight"][0] // width, width


def _rotated(checkpoint: Checkpoint, width: int) -> int:
    config = checkpoint.config
    inside = config.get("rope_parameters")
    share = config.get("partial_rotary_factor") or (inside or {}).get("partial_rotary_factor") or 1.0
    return int(width * float(share))


def _scaling(
    checkpoint: Checkpoint, rope: Rope, dimension: int
) -> tuple[dict[str, int | float | str], dict[str, list[float]]]:
    settings = rope.settings
    if rope.kind == "llama3":
        return {}, {"rope_freqs.weight": llama3_factors(rope, dimension)}
    if rope.kind == "linear":
        return {"rope.scaling.type": "linear", "rope.scaling.factor": float(settings["factor"])}, {}
    if rope.kind == "yarn":
        odd = sorted({"attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow"} & settings.keys())
        if odd:
            raise BadInput(f"the yarn scaling of this checkpoint sets {odd[0]}, which is not compiled to gguf")
        original = settings.get("original_max_position_embeddings") or checkpoint.context_length
        factor = {"rope.scaling.factor": float(settings["factor"])}
        return {"rope.scaling.type": "yarn", "rope.scaling.original_context_length": int(original or 0), **factor}, {}
    if rope.kind == "longrope":
        context = checkpoint.context_length or 0
        original = int(
            checkpoint.config.get("original_max_position_embeddings")
            or settings.get("original_max_position_embeddings")
            or context
        )
        scale = {"rope.scaling.attn_factor": longrope_scale(rope, context, original)}
        return {"rope.scaling.original_context_length": original, **scale}, {
            "rope_factors_long.weight": [float(f) for f in settings["long_factor"]],
            "rope_factors_short.weight": [float(f) for f in settings["short_factor"]],
        }
    return {}, {}


def _window(checkpoint: Checkpoint) -> tuple[dict[str, int | float | str], tuple[str, ...]]:
    family, config = checkpoint.family, checkpoint.config
    window = config.get("sliding_window")
    if family in WINDOW_GROUP:
        _refuse_pattern(checkpoint)
        values: dict[str, int | float | str] = {"attention.sliding_window": int(window or 4096)}
        caps = {"attn_logit_softcapping": config.get("attn_logit_softcapping"),
                "final_logit_softcapping": config.get("final_logit_softcapping")}  # fmt: skip
        return values | {key: float(value) for key, value in caps.items() if value}, ()
    used = window and (config.get("use_sliding_window", False) if family.startswith("qwen") else True)
    if used and int(window or 0) < (checkpoint.context_length or 0):
        return {}, (
            f"past {window} tokens llama.cpp looks back over the whole context, the original over {window} tokens",
        )
    return {}, ()


def _refuse_pattern(checkpoint: Checkpoint) -> None:
    """Gemma's layers and scale, where llama.cpp knows them by heart instead of reading them."""
    family, config = checkpoint.family, checkpoint.config
    heads, _, width = head_shape(checkpoint)
    layers, group = int(config["num_hidden_layers"]), WINDOW_GROUP[family]
    scale = config.get("query_pre_attn_scalar")
    expected = config["hidden_size"] // heads if layers == LARGEST[family] else width
    if scale is not None and scale != expected:
        raise BadInput(
            f"query_pre_attn_scalar is {scale} here, where llama.cpp takes {expected} for this shape",
            why="the result would be another model",
            remedy="try --to onnx",
        )
    types = config.get("layer_types")
    pattern = ["full_attention" if (i + 1) % group == 0 else "sliding_attention" for i in range(layers)]
    if types is not None and list(types) != pattern:
        raise BadInput(
            "the pattern of sliding-window layers of this checkpoint is not the family's",
            why=f"llama.cpp takes every layer but each {group}th for one with a window",
            remedy="try --to onnx",
        )


def _refuse_activation(checkpoint: Checkpoint) -> None:
    config: dict[str, Any] = checkpoint.config
    told = config.get("hidden_activation") or config.get("hidden_act")
    expected = {"gelu_pytorch_tanh", "gelu"} if checkpoint.family.startswith("gemma") else {"silu", "swish"}
    if told is not None and told not in expected:
        raise BadInput(
            f"the activation {told!r} of this checkpoint is not the family's",
            why=f"llama.cpp computes {min(expected)} for {checkpoint.family}",
            remedy="try --to onnx",
        )
