"""ONNX Runtime GenAI folders, by that package's own model builder. Runs inside the worker: it takes torch along."""

from __future__ import annotations

import importlib
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.compile.checkpoint import Checkpoint
from assay.compile.gguf_metadata import head_shape
from assay.compile.rope import refuse_rope, rope_of

LAYER = re.compile(r"^Reading layer (\d+)$")
BUILDER = "onnxruntime_genai.models.builder"
OFFLINE = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment of the worker: what it reads lies in the checkpoint's folder, and nothing is sent anywhere."""
OPTIONS = ("windowed_kv_cache=false",)
"""A bounded cache for layers with a sliding window cannot run a context that is shorter than the window."""

BLOCK = {"int8": 32, "int4": 64}
"""Weights that share a scale.

For int4 the output layer keeps eight bits: with that, and scales by ``k_quant``, blocks of 64 lose less than the model
builder's own int4 in blocks of 32, and are a little faster. KL against the original, in nats (the builder's own in
brackets): the bundled model of 0.5M parameters 0.17 (0.24); random weights of Llama, Qwen3, Gemma 3 and Phi-3 at some
100M parameters 0.43 (0.52), 0.29 (0.33), 0.22 (0.26) and 0.38 (0.35), Qwen2 at 402M 0.45 (0.50). Of the last, prompts
are read in 0.92 of the time, a token of one answer is made in 0.98 and of eight in 0.96 of it.
"""
GRAPH = 1_000_000
"""More than the graph without its weights takes."""
MEMORY_BASE = 550_000_000
ROPES = {"llama": ("llama3",), "qwen2": ("linear",), "qwen3": ("linear",), "phi3": ("longrope",)}
"""Of Llama's kinds of rotary scaling, the builder reads one and passes over the others without a word."""


def build_onnx(checkpoint: Checkpoint, quantisation: str, out: Path, cache: Path) -> None:
    """Write the folder ``out``. The builder prints what it does, which ``progress_of`` reads."""
    builder: Any = _builder()
    source = str(checkpoint.folder)
    importlib.import_module("assay.compile.k_quant").use_slices()
    asked = [*OPTIONS, *(_int4(checkpoint) if quantisation == "int4" else ())]
    options = builder.parse_extra_options("", source, str(out), quantisation, "cpu", str(cache), asked)
    _fit(options["hf_details"]["hf_config"], checkpoint.family)
    builder.create_model("", source, str(out), quantisation, "cpu", str(cache), **options)


def _int4(checkpoint: Checkpoint) -> tuple[str, ...]:
    """How four bits are made; rounding to nearest where a matrix has an odd number of blocks a row.

    ``k_quant`` cannot write such a one: it packs the zero points of two blocks into a byte (onnxruntime 1.32).
    """
    widths = {weight.shape[-1] for weight in checkpoint.weights.values() if len(weight.shape) == 2}
    odd = any(math.ceil(width / BLOCK["int4"]) % 2 for width in widths)
    return f"block_size={BLOCK['int4']}", f"algo_config={'rtn_last' if odd else 'k_quant_last'}"


def progress_of(layers: int) -> Callable[[str], tuple[int, int, str] | None]:
    """A reader of the builder's lines: done, total and what it does now, where a line tells."""
    total = layers + 4
    steps = {"Reading final norm": layers + 1, "Reading LM head": layers + 2, "Saving ONNX model": layers + 3}

    def read(line: str) -> tuple[int, int, str] | None:
        layer = LAYER.match(line.strip())
        if layer:
            return int(layer[1]) + 1, total, f"layer {int(layer[1]) + 1} of {layers}"
        for start, done in steps.items():
            if line.startswith(start):
                return done, total, "writing" if start.startswith("Saving") else "last layers"
        return (total, total, "settings") if line.startswith("Saving GenAI config") else None

    return read


def _builder() -> Any:
    os.environ.update(OFFLINE)
    return importlib.import_module(BUILDER)


def _fit(config: Any, family: str) -> None:
    """The builder reads names that transformers 5 no longer gives a configuration; the model's own stays."""
    ropes = config.rope_parameters
    if family == "gemma3":
        config.rope_parameters = dict(ropes["full_attention"])
        config.rope_theta = ropes["full_attention"]["rope_theta"]
        config.rope_local_base_freq = ropes["sliding_attention"]["rope_theta"]
    if family == "phi3":
        ropes.setdefault("type", ropes.get("rope_type", "default"))
    if family in {"mistral", "phi3"} and config.sliding_window:
        config.layer_types = ["sliding_attention"] * config.num_hidden_layers


def onnx_size(checkpoint: Checkpoint, quantisation: str) -> int:
    """Bytes of the folder, within a few per cent.

    Quantised matrices take their bits and an f32 scale for each block; int4 has eight bits for the output layer. Of
    tied weights, fp32 and int4 hold one copy. Otherwise the embedding stays in f32, beside the quantised output layer.
    """
    embedding = checkpoint.weights["model.embed_tokens.weight"].elements
    others = checkpoint.parameters - embedding
    bits = {"fp32": 4.0, "int8": 1 + 4 / BLOCK["int8"], "int4": 0.5 + (4 + 0.5) / BLOCK["int4"]}[quantisation]
    if quantisation == "int4":
        output = (1 + (4 + 1) / BLOCK["int4"]) * embedding
        weights = bits * others + output if checkpoint.tied else bits * (others - embedding) + output + 4.0 * embedding
    elif quantisation == "int8" and checkpoint.tied:
        weights = bits * (embedding + others) + 4.0 * embedding
    else:
        weights = bits * others + 4.0 * embedding
    beside = sum(file.size or 0 for file in checkpoint.files if file.path.endswith(".json"))
    angles = (checkpoint.context_length or 0) * head_shape(checkpoint)[2] // 2
    tables = 2 * (2 if checkpoint.family == "gemma3" else 1)
    return round(weights + 4 * angles * tables + beside + GRAPH)


def onnx_memory(checkpoint: Checkpoint, quantisation: str) -> int:
    """Peak bytes of the builder's process.

    Seen on models of 0.5M and of 102M to 494M parameters: 460 MB for torch and transformers alone, and per byte of the
    weights in fp32 1.3 for an fp32 product, 2.4 to 2.8 for a quantised one. For int4 with its output layer in eight
    bits 3.0 to 3.2, and 14 bytes for each weight of that layer where it is large (494M parameters, 136M of them there).
    """
    shares = {"fp32": 1.5, "int8": 3.0, "int4": 3.25}
    output = 14 * checkpoint.weights["model.embed_tokens.weight"].elements if quantisation == "int4" else 0
    return MEMORY_BASE + output + round(4 * checkpoint.parameters * shares[quantisation])


def refuse_for_onnx(checkpoint: Checkpoint) -> None:
    """Raises:
    BadInput: the model builder would make another model of this one.
    """
    refuse_rope(rope_of(checkpoint.family, checkpoint.config), checkpoint.family, ROPES, "onnx")
