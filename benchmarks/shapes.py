"""GGUF models of random weights in the shapes of known families, written straight with the `gguf` package.

Memory depends on shapes and types alone, so one small tile of random weights is repeated over every tensor: a file of
1.6 GB takes seconds. The vocabulary has as many merges as a real one, since both stay in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TILE_ROWS = 64
CONVOLUTION = 4
STATE_HEAD = 64
CONTEXT = 32768


@dataclass(frozen=True)
class RandomModel:
    """A decoder's sizes. ``head`` is the width of one head, ``window`` the sliding window, where there is one."""

    name: str
    architecture: str
    type: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    ffn: int
    vocab: int
    tied: bool = True
    window: int | None = None
    state: int = 0
    inner: int = 0
    groups: int = 1

    @property
    def file(self) -> str:
        return f"{self.name}-{self.type.lower()}.gguf"


SMOLLM_135M = RandomModel("smollm2-135m", "llama", "F16", 30, 576, 9, 3, 64, 1536, 49152)
GEMMA3_270M = RandomModel("gemma3-270m", "gemma3", "Q8_0", 18, 640, 4, 1, 256, 2048, 262144, window=512)
QWEN2_500M = RandomModel("qwen2.5-0.5b", "qwen2", "Q4_0", 24, 896, 14, 2, 64, 4864, 151936)
QWEN3_600M = RandomModel("qwen3-0.6b", "qwen3", "Q8_0", 28, 1024, 16, 8, 128, 3072, 151936)
FALCON_H1_500M = RandomModel(
    "falcon-h1-0.5b", "falcon-h1", "Q8_0", 36, 1024, 8, 2, 64, 2048, 32784, tied=False, state=128, inner=1536
)
GEMMA2_1B = RandomModel("gemma2-1b", "gemma2", "Q4_0", 16, 1536, 8, 4, 256, 6144, 256000, window=1024)
LLAMA_1B = RandomModel("llama3.2-1b", "llama", "Q4_0", 16, 2048, 32, 8, 64, 8192, 128256)
QWEN2_1500M = RandomModel("qwen2.5-1.5b", "qwen2", "Q8_0", 28, 1536, 12, 2, 128, 8960, 151936)
MODELS = (
    SMOLLM_135M, GEMMA3_270M, QWEN2_500M, QWEN3_600M, FALCON_H1_500M, GEMMA2_1B, LLAMA_1B, QWEN2_1500M
)  # fmt: skip


def write(model: RandomModel, folder: Path) -> Path:
    """Write ``model`` into ``folder``; gives the path of the file."""
    import gguf

    path = folder / model.file
    writer = gguf.GGUFWriter(path, model.architecture)
    _describe(writer, model)
    _tokenizer(writer, model.vocab)
    kind = gguf.GGMLQuantizationType[model.type]
    plain = gguf.GGMLQuantizationType.F32
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{model.type}"])
    tensors = [(name, shape, kind if _is_matrix(shape) else plain) for name, shape in _tensors(model)]
    tiles = {(shape, of): _tile(shape, of) for _, shape, of in tensors}
    for name, shape, of in tensors:
        tile = tiles[shape, of]
        size = tile.nbytes // len(tile) * shape[0]
        writer.add_tensor_info(name, (shape[0], *tile.shape[1:]), tile.dtype, size, raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, shape, of in tensors:
        writer.write_tensor_data(_whole(shape, tiles[shape, of]))
    writer.close()
    return path


def _is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a tensor is stored in the model's type; the others stay f32."""
    return len(shape) > 1 and shape[-1] % 32 == 0 and shape[0] > 1


def _describe(writer: Any, model: RandomModel) -> None:
    writer.add_name(model.name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(model.hidden)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.ffn)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_key_length(model.head)
    writer.add_value_length(model.head)
    writer.add_rope_dimension_count(model.head)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    if model.window:
        writer.add_sliding_window(model.window)
    if model.architecture == "gemma2":
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)
    if model.state:
        writer.add_ssm_conv_kernel(CONVOLUTION)
        writer.add_ssm_inner_size(model.inner)
        writer.add_ssm_state_size(model.state)
        writer.add_ssm_time_step_rank(model.inner // STATE_HEAD)
        writer.add_ssm_group_count(model.groups)


def _tokenizer(writer: Any, size: int) -> None:
    """A byte-level vocabulary in which every longer token is two shorter ones put together."""
    letters = [chr(0x100 + i) for i in range(256)]
    tokens, merges = ["<pad>", "<end>", *letters], []
    for first, second in _pairs(letters):
        if len(tokens) >= size:
            break
        tokens.append(first + second)
        merges.append(f"{first} {second}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *[1] * (len(tokens) - 2)])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)


def _pairs(letters: list[str]) -> Iterator[tuple[str, str]]:
    short = [first + second for first in letters for second in letters]
    yield from ((first, second) for first in letters for second in letters)
    yield from ((pair, letters[i % 7 + n]) for n in range(0, 200, 7) for i, pair in enumerate(short))


def _tensors(model: RandomModel) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, rows first."""
    hidden, ffn = model.hidden, model.ffn
    yield "token_embd.weight", (model.vocab, hidden)
    yield "output_norm.weight", (hidden,)
    if not model.tied:
        yield "output.weight", (model.vocab, hidden)
    for number in range(model.layers):
        for name, shape in (*_attention(model), *(_state(model) if model.state else ())):
            yield f"blk.{number}.{name}", shape
        yield f"blk.{number}.ffn_norm" + ("" if model.state else ".weight"), (hidden,)
        yield f"blk.{number}.ffn_gate.weight", (ffn, hidden)
        yield f"blk.{number}.ffn_up.weight", (ffn, hidden)
        yield f"blk.{number}.ffn_down.weight", (hidden, ffn)


def _attention(model: RandomModel) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, keys, queries = model.hidden, model.kv_heads * model.head, model.heads * model.head
    yield "attn_norm.weight", (hidden,)
    yield "attn_q.weight", (queries, hidden)
    yield "attn_k.weight", (keys, hidden)
    yield "attn_v.weight", (keys, hidden)
    yield "attn_output.weight", (hidden, queries)
    if model.architecture == "qwen2":
        yield "attn_q.bias", (queries,)
        yield "attn_k.bias", (keys,)
        yield "attn_v.bias", (keys,)
    if model.architecture in {"qwen3", "gemma3"}:
        yield "attn_q_norm.weight", (model.head,)
        yield "attn_k_norm.weight", (model.head,)
    if model.architecture in {"gemma2", "gemma3"}:
        yield "post_attention_norm.weight", (hidden,)
        yield "post_ffw_norm.weight", (hidden,)


def _state(model: RandomModel) -> Iterator[tuple[str, tuple[int, ...]]]:
    heads, wide = model.inner // STATE_HEAD, model.inner + 2 * model.groups * model.state
    yield "ssm_in.weight", (model.inner + wide + heads, model.hidden)
    yield "ssm_conv1d.weight", (wide, CONVOLUTION)
    yield "ssm_conv1d.bias", (wide,)
    yield "ssm_dt.bias", (heads,)
    yield "ssm_a", (heads, 1)
    yield "ssm_d", (heads, 1)
    yield "ssm_norm.weight", (model.groups, model.inner // model.groups)
    yield "ssm_out.weight", (model.hidden, model.inner)


def _tile(shape: tuple[int, ...], kind: Any) -> Any:
    """Random rows of one tensor, quantised: at most ``TILE_ROWS`` of them."""
    import gguf
    import numpy as np

    rows = (min(shape[0], TILE_ROWS), *shape[1:]) if len(shape) > 1 else shape
    weights = np.random.default_rng(0).normal(0, 0.05, rows).astype(np.float32)
    if len(shape) == 1:
        weights = np.abs(weights) + 1
    return gguf.quants.quantize(weights, kind)


def _whole(shape: tuple[int, ...], tile: Any) -> Any:
    """The tile repeated until there are as many rows as the tensor has."""
    import numpy as np

    repeats = -(-shape[0] // len(tile)) if len(shape) > 1 else 1
    return np.tile(tile, (repeats, *[1] * (tile.ndim - 1)))[: shape[0]]
