"""ONNX Runtime GenAI folders, by that package's own model builder. Runs inside the worker: it takes torch along."""

from __future__ import annotations

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

BLOCK = 32
"""Weights that share a scale."""
GRAPH = 1_000_000
"""More than the graph without its weights takes."""
MEMORY_BASE = 550_000_000
ROPES = {"llama": ("llama3",), "qwen2": ("linear",), "qwen3": ("linear",), "phi3": ("longrope",)}
"""Of Llama's kinds of rotary scaling, the builder reads one and passes over the others without a word."""


def build_onnx(checkpoint: Path, family: str, quantisation: str, out: Path, cache: Path) -> None:
    """Write the folder ``out``. The builder prints what it does, which ``progress_of`` reads."""
    builder: Any = _builder()
    options = builder.parse_extra_options("", str(checkpoint), str(out), quantisation, "cpu", str(cache), list(OPTIONS))
    _fit(options["hf_details"]["hf_config"], family)
    builder.create_model("", str(checkpoint), str(out), quantisation, "cpu", str(cache), **options)


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
    import importlib

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

    Quantised matrices take their bits and an f32 scale for each block of 32. Of tied weights, fp32 and int4 hold one
    copy. Otherwise the embedding stays in f32, beside the quantised output layer.
    """
    embedding = checkpoint.weights["model.embed_tokens.weight"].elements
    others, scales = checkpoint.parameters - embedding, 4 / BLOCK
    bits = {"fp32": 4.0, "int8": 1 + scales, "int4": 0.5 + scales}[quantisation]
    if quantisation == "int4" and checkpoint.tied:
        weights = bits * (embedding + others)
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

    Seen on models of 0.5M and of 102M to 115M parameters: 460 MB for torch and transformers alone, and per byte of the
    weights in fp32 1.3 for an fp32 product, 2.4 to 2.8 for a quantised one.
    """
    return MEMORY_BASE + round(4 * checkpoint.parameters * (1.5 if quantisation == "fp32" else 3.0))


def refuse_for_onnx(checkpoint: Checkpoint) -> None:
    """Raises:
    BadInput: the model builder would make another model of this one.
    """
    refuse_rope(rope_of(checkpoint.family, checkpoint.config), checkpoint.family, ROPES, "onnx")
