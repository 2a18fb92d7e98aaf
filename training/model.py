"""A small Qwen3 in plain torch, under the parameter names of transformers.

It exists because training wants an attention mask in which several instructions share one note; `export.py` proves
that its weights give the same logits in transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 1e-6
ROPE_THETA = 10_000.0
CONTEXT_LENGTH = 2048


@dataclass(frozen=True)
class Size:
    """The widths of one model; all are multiples of 32, the block of GGUF quantisation."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int

    def config(self, vocabulary: int, end_token: int, pad_token: int) -> dict[str, Any]:
        """The `config.json` that transformers, llama.cpp and onnxruntime-genai read."""
        return {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "vocab_size": vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": CONTEXT_LENGTH,
            "rms_norm_eps": NORM_EPS,
            "rope_theta": ROPE_THETA,
            "rope_scaling": None,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "use_sliding_window": False,
            "sliding_window": None,
            "max_window_layers": self.layers,
            "use_cache": True,
            "initializer_range": 0.02,
            "bos_token_id": None,
            "eos_token_id": end_token,
            "pad_token_id": pad_token,
            "torch_dtype": "float32",
        }


SIZES = {
    size.name: size
    for size in (
        Size("notes-0.5m", width=96, layers=4, heads=3, kv_heads=3, head_dim=32, hidden=224),
        Size("notes-1.5m", width=192, layers=4, heads=6, kv_heads=6, head_dim=32, hidden=320),
        Size("notes-4m", width=256, layers=6, heads=4, kv_heads=2, head_dim=64, hidden=576),
    )
}


def rope_tables(positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotary angles, each of shape (batch, 1, length, head_dim)."""
    powers = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    angles = positions[:, None, :, None].float() * (1.0 / ROPE_THETA**powers)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding in the half-split form."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):  # type: ignore[misc]
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.q_proj = nn.Linear(size.width, size.heads * size.head_dim, bias=False)
        self.k_proj = nn.Linear(size.width, size.kv_heads * size.head_dim, bias=False)
        self.v_proj = nn.Linear(size.width, size.kv_heads * size.head_dim, bias=False)
        self.o_proj = nn.Linear(size.heads * size.head_dim, size.width, bias=False)
        self.q_norm = nn.RMSNorm(size.head_dim, eps=NORM_EPS)
        self.k_norm = nn.RMSNorm(size.head_dim, eps=NORM_EPS)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, width) in and out; `mask` is True where a token may look."""
        batch, length, _ = x.shape
        dim = self.size.head_dim
        q = self.q_norm(self.q_proj(x).view(batch, length, -1, dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(batch, length, -1, dim)).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, -1, dim).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        groups = self.size.heads // self.size.kv_heads
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out


class MLP(nn.Module):  # type: ignore[misc]
    """The gated feed-forward block."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(size.width, size.hidden, bias=False)
        self.up_proj = nn.Linear(size.width, size.hidden, bias=False)
        self.down_proj = nn.Linear(size.hidden, size.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) in and out."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):  # type: ignore[misc]
    """Attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.self_attn = Attention(size)
        self.mlp = MLP(size)
        self.input_layernorm = nn.RMSNorm(size.width, eps=NORM_EPS)
        self.post_attention_layernorm = nn.RMSNorm(size.width, eps=NORM_EPS)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, width) in and out."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Body(nn.Module):  # type: ignore[misc]
    """Everything below the output head."""

    def __init__(self, size: Size, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, size.width)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.norm = nn.RMSNorm(size.width, eps=NORM_EPS)


class NotesModel(nn.Module):  # type: ignore[misc]
    """The language model; the output head is the embedding itself."""

    def __init__(self, size: Size, vocabulary: int) -> None:
        super().__init__()
        self.size = size
        self.model = Body(size, vocabulary)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                scale = (2 * size.layers) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                nn.init.normal_(weight, std=0.02 if "embed" in name else scale * weight.shape[1] ** -0.5)

    def hidden(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states, (batch, length, width); `mask` is (batch, 1, length, length)."""
        cos, sin = rope_tables(positions, self.size.head_dim)
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, cos, sin, mask)
        out: Tensor = self.model.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary for hidden states of any leading shape."""
        return functional.linear(hidden, self.model.embed_tokens.weight)
