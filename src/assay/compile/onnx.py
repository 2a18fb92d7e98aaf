"""ONNX Runtime GenAI folders, by that package's own model builder. Runs inside the worker: it takes torch along."""

from __future__ import annotations

import importlib
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

BLOCK = {"int8": 32, "int4": 128}
"""Weights that share a scale.

For int4 the attention's matrices, a small part of most models, keep eight bits: with them, blocks of 128 lose less than
the model builder's own int4 in blocks of 32, and are faster. KL against the original, in nats (the builder's own in
brackets): the bundled model of 0.5M parameters 0.12 (0.24), a trained one of 4M 0.042 (0.073), random weights of 402M
0.38 (0.50). Of the last, prompts are read in 0.84 of the time, and a token of eight answers is made in 0.79 of it.
"""
GRAPH = 1_000_000
"""More than the graph without its weights takes."""
MEMORY_BASE = 550_000_000
ROPES = {"llama": ("llama3",), "qwen2": ("linear",), "qwen3": ("linear",), "phi3": ("longrope",)}
"""Of Llama's kinds of rotary scaling, the builder reads one and passes over the others without a word."""


def build_onnx(checkpoint: Checkpoint, quantisation: str, out: Path, cache: Path) -> None:
    """Write the folder ``out``. The builder prints what it does, which ``progress_of`` reads."""
    builder: Any = _builder()
    source, place = str(checkpoint.folder), str(cache)
    target = _int4(checkpoint) if quantisation == "int4" else None
    options = builder.parse_extra_options(
        "", source, str(out), quantisation, "cpu", place, list(OPTIONS), target_options=target
    )
    _fit(options["hf_details"]["hf_config"], checkpoint.family)
    builder.create_model("", source, str(out), quantisation, "cpu", place, **options)


def _int4(checkpoint: Checkpoint) -> dict[str, Any]:
    """How four bits are made, also of the embedding: by the builder's own rounding, but eight for the attention's."""
    layers = range(int(checkpoint.config["num_hidden_layers"]))
    nodes = [f"/model/layers.{i}/attn/{name}/MatMul" for i in layers for name in ("qkv_proj", "o_proj")]
    weights = {
        "type": "int4",
        "block_size": BLOCK["int4"],
        "op_types": ["MatMul", "Gather"],
        "overrides": [{"match": {"name": node}, "type": "int8"} for node in nodes],
    }
    return {"quant_config": {"weights": weights}}


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

    Quantised matrices take their bits and an f32 scale for each block; in int4 the attention's take eight. Of tied
    weights, fp32 and int4 hold one copy; in int8 the embedding stays in f32, beside the quantised output layer.
    """
    embedding = checkpoint.weights["model.embed_tokens.weight"].elements
    others = checkpoint.parameters - embedding
    bits = {"fp32": 4.0, "int8": 1 + 4 / BLOCK["int8"], "int4": 0.5 + 4 / BLOCK["int4"]}[quantisation]
    if quantisation == "int4":
        attention = sum(weight.elements for name, weight in checkpoint.weights.items() if ".self_attn." in name)
        weights = bits * (embedding + others) + 0.5 * attention
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
    weights in fp32 1.3 for an fp32 product, 2.2 to 2.8 for a quantised one.
    """
    return MEMORY_BASE + round(4 * checkpoint.parameters * (1.5 if quantisation == "fp32" else 3.0))


def refuse_for_onnx(checkpoint: Checkpoint) -> None:
    """Raises:
    BadInput: the model builder would make another model of this one.
    """
    refuse_rope(rope_of(checkpoint.family, checkpoint.config), checkpoint.family, ROPES, "onnx")
