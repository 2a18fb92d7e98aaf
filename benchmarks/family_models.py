"""Checkpoints of random weights, of every family that can be compiled, with tokenizers like their publishers'.

Weights are scaled so that greedy decoding has clear winners, and the rows of the special tokens are zero, so that no
text ends before it is asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from family_tokenizers import STYLES, write_tokenizer

from assay import compile as room
from assay.compile.family import Target
from assay.types import Silent, Variant


@dataclass(frozen=True)
class Shape:
    """What an architecture leaves open; ``head`` is the width of one head."""

    hidden: int = 768
    layers: int = 12
    heads: int = 12
    kv_heads: int = 4
    head: int = 64
    ffn: int = 2560
    vocab: int = 16384
    context: int = 4096
    window: int = 1024


TINY = Shape(hidden=64, layers=2, heads=2, kv_heads=1, head=32, ffn=160, vocab=640, context=256, window=64)


@dataclass(frozen=True)
class Family:
    """How a family's models are made: transformers' name, the tokenizer's style, what its configuration adds."""

    model: str
    style: str
    settings: Callable[[Shape], dict[str, Any]]
    tied: bool = False
    rows: int = 1
    """Its layers come in groups of so many."""


def _llama(_shape: Shape) -> dict[str, Any]:
    scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    return {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **scaling}}


def _gemma2(shape: Shape) -> dict[str, Any]:
    return {
        "query_pre_attn_scalar": shape.head,
        "sliding_window": shape.window,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }


def _gemma3(shape: Shape) -> dict[str, Any]:
    ropes = {"full_attention": 1000000.0, "sliding_attention": 10000.0}
    return {
        "query_pre_attn_scalar": shape.head,
        "sliding_window": shape.window,
        "rope_parameters": {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in ropes.items()},
    }


def _plain(theta: float, **others: Any) -> Callable[[Shape], dict[str, Any]]:
    return lambda _shape: {"rope_parameters": {"rope_type": "default", "rope_theta": theta}, **others}


def _phi3(shape: Shape) -> dict[str, Any]:
    return {**_plain(10000.0, sliding_window=None)(shape), "original_max_position_embeddings": shape.context}


FAMILIES: Mapping[str, Family] = {
    "llama": Family("Llama", "llama3", _llama, tied=True),
    "mistral": Family("Mistral", "mistral", _plain(10000.0, sliding_window=None)),
    "qwen2": Family("Qwen2", "chatml", _plain(1000000.0), tied=True),
    "qwen3": Family("Qwen3", "chatml", _plain(1000000.0), tied=True),
    "gemma2": Family("Gemma2", "gemma", _gemma2, tied=True, rows=2),
    "gemma3": Family("Gemma3", "gemma", _gemma3, tied=True, rows=6),
    "phi3": Family("Phi3", "phi", _phi3),
}


def make(folder: Path, family: str, shape: Shape = Shape(), seed: int = 0, **settings: Any) -> Path:
    """A checkpoint of ``family`` in ``folder``, kept where it is there; ``settings`` go over the configuration's.

    ``dtype`` among them (``"bfloat16"``) is the type that the weights are written in.
    """
    import torch
    import transformers

    if (folder / "model.safetensors").exists():
        return folder
    made = FAMILIES[family]
    style = STYLES[made.style]
    marks = write_tokenizer(folder, style, shape.vocab)
    special = {"bos_token_id": marks.get(style.bos or ""), "eos_token_id": marks[style.end], "pad_token_id": 0}
    special["pad_token_id"] = marks[style.marks[0]]
    dtype = settings.pop("dtype", "float32")
    suffix = "TextConfig" if made.model == "Gemma3" else "Config"
    config = getattr(transformers, made.model + suffix)(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        num_hidden_layers=-(-shape.layers // made.rows) * made.rows,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.ffn,
        max_position_embeddings=shape.context,
        tie_word_embeddings=made.tied,
        **special,
        **({} if made.model in {"Phi3", "Qwen2"} else {"head_dim": shape.head}),
        **(made.settings(shape) | settings),
    )
    torch.manual_seed(seed)
    model = getattr(transformers, f"{made.model}ForCausalLM")(config)
    with torch.no_grad():
        _fill(model, offset=0.0 if "gemma" in family else 1.0, never=list(marks.values()))
    model.generation_config = transformers.GenerationConfig(**special, do_sample=False)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    return folder


def _fill(model: Any, offset: float, never: list[int]) -> None:
    """Random weights under which neither the embedding nor a layer drowns the others; ``never`` are no winners."""
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            weight.normal_(0, 0.1)
        elif weight.dim() == 1:
            weight.normal_(offset, 0.1)
        elif "embed" in name or "lm_head" in name:
            weight.normal_(0, (1.4 if offset else 0.2) / weight.shape[1] ** 0.5)
        else:
            weight.normal_(0, 1.2 / weight.shape[1] ** 0.5)
    if not offset:  # Gemma multiplies its embeddings by the root of their width; the last norm makes up for it
        model.model.norm.weight.add_(7)
    model.get_output_embeddings().weight[never] = 0


def products(name: str, source: Path, to: Target, precisions: Sequence[str], work: Path) -> Iterator[Variant]:
    """Every product, made or found in ``work``."""
    plan = room.plan(room.read_checkpoint(source, name=name), to, precisions, free_disk=None, free_memory=None)
    for product in room.build(plan, work / "products", reporter=Silent(), work=work / "unfinished"):
        yield product.variant
