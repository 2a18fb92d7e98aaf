"""A checkpoint's tensors under llama.cpp's names, and what must be done to their values."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from assay.compile.checkpoint import Checkpoint
from assay.errors import BadInput

Change = Literal["none", "permute", "add one"]
"""``permute``: rows of a head from (half, pair) to (pair, half), as llama.cpp rotates neighbours. ``add one``: Gemma's
norms are written as their difference from one."""

ARCHITECTURE = {"mistral": "llama"}
"""llama.cpp's architecture where it has another name than the family."""
LAYER = re.compile(r"^model\.layers\.(\d+)\.(.+)\.(weight|bias)$")
ENDS = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm", "lm_head.weight": "output"}
ATTENTION = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
FEED_FORWARD = {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
PLAIN = {**ATTENTION, "post_attention_layernorm": "ffn_norm", **FEED_FORWARD}
HEAD_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
GEMMA = {
    **ATTENTION,
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    **FEED_FORWARD,
    "post_feedforward_layernorm": "post_ffw_norm",
}
LAYERS: dict[str, dict[str, str]] = {
    "llama": PLAIN,
    "mistral": PLAIN,
    "qwen2": PLAIN,
    "qwen3": PLAIN | HEAD_NORMS,
    "gemma2": GEMMA,
    "gemma3": GEMMA | HEAD_NORMS,
    "phi3": {
        "input_layernorm": "attn_norm",
        "self_attn.qkv_proj": "attn_qkv",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
}
BIASES = {
    "llama": {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"},
    "qwen2": {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
}
"""Parts that may have a bias besides their weight; Qwen 2's always do."""


class Named(NamedTuple):
    """One tensor: ``name`` in the GGUF file, ``source`` in the checkpoint, its shape and the layer it is of."""

    name: str
    source: str
    shape: tuple[int, ...]
    change: Change
    layer: int | None

    @property
    def elements(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count


def named_tensors(checkpoint: Checkpoint) -> tuple[Named, ...]:
    """Every tensor, in the order of the layers.

    Raises:
        BadInput: the checkpoint lacks a tensor of its family, or has one that the family does not know.
    """
    family, layers = checkpoint.family, int(checkpoint.config["num_hidden_layers"])
    wanted = _wanted(checkpoint, layers)
    missing = [source for source in wanted if source not in checkpoint.weights]
    if missing:
        raise BadInput(
            f"{checkpoint.folder} is not a whole {family} checkpoint",
            why=f"{len(missing)} of its tensors are missing, {missing[0]} among them",
            remedy="download it again",
        )
    optional = _optional(checkpoint, layers)
    ignored = {"lm_head.weight"} if checkpoint.tied else set()
    strange = [
        source
        for source in checkpoint.weights
        if source not in wanted
        and source not in optional
        and source not in ignored
        and not source.endswith("rotary_emb.inv_freq")
    ]
    if strange:
        raise BadInput(
            f"{checkpoint.folder} is not a plain {family} checkpoint",
            why=f"it has {strange[0]}, which this family does not know; leaving it out would change the model",
            remedy="look for a GGUF or ONNX release of this model",
        )
    found = {**wanted, **{source: named for source, named in optional.items() if source in checkpoint.weights}}
    return tuple(
        Named(name, source, checkpoint.weights[source].shape, _change(family, source), _layer(source))
        for source, name in found.items()
    )


def _wanted(checkpoint: Checkpoint, layers: int) -> dict[str, str]:
    ends = {source: f"{name}.weight" for source, name in ENDS.items()}
    if checkpoint.tied:
        del ends["lm_head.weight"]
    must = BIASES["qwen2"] if checkpoint.family == "qwen2" else set()
    return ends | _layered(LAYERS[checkpoint.family], layers, must)


def _optional(checkpoint: Checkpoint, layers: int) -> dict[str, str]:
    parts = {part: LAYERS[checkpoint.family][part] for part in BIASES.get(checkpoint.family, set())}
    return {source: name for source, name in _layered(parts, layers, set(parts)).items() if source.endswith(".bias")}


def _layered(parts: dict[str, str], layers: int, biased: set[str]) -> dict[str, str]:
    return {
        f"model.layers.{layer}.{part}.{kind}": f"blk.{layer}.{name}.{kind}"
        for layer in range(layers)
        for part, name in parts.items()
        for kind in (("weight", "bias") if part in biased else ("weight",))
    }


def _layer(source: str) -> int | None:
    match = LAYER.match(source)
    return int(match[1]) if match else None


def _change(family: str, source: str) -> Change:
    if family in {"llama", "mistral"} and re.search(r"\.self_attn\.[qk]_proj\.", source):
        return "permute"
    if family.startswith("gemma") and source.endswith("norm.weight"):
        return "add one"
    return "none"
