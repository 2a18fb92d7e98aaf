"""Shapes of the families that people run, from GGUF headers and from configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog.shape import Layer, Shape, recurrent_state, slides
from assay.catalog.shape_config import shape_of_config, shape_of_genai
from assay.catalog.shape_gguf import shape_of_gguf
from assay.formats import read_gguf_header
from tests.formats.gguf_bytes import Ranges, TensorRow, flags, gguf, numbers, pair, words

GIB = 1 << 30
KEYS = {
    "layers": "block_count", "embd": "embedding_length", "ffn": "feed_forward_length", "ctx": "context_length",
    "heads": "attention.head_count", "kv": "attention.head_count_kv", "k": "attention.key_length",
    "v": "attention.value_length", "window": "attention.sliding_window", "pattern": "attention.sliding_window_pattern",
}  # fmt: skip


def from_gguf(architecture: str, *lists: bytes, tensors: tuple[TensorRow, ...] = (), **told: int) -> Shape:
    """The shape of a header with these keys, by their short names or their own (``__`` for a dot)."""
    rows = [pair("general.architecture", architecture)]
    rows += [pair(f"{architecture}.{KEYS.get(key, key.replace('__', '.'))}", value) for key, value in told.items()]
    shape = shape_of_gguf(read_gguf_header(Ranges(gguf([*rows, *lists], tensors, data=0))))
    assert shape is not None
    return shape


def from_config(**config: Any) -> Shape:
    shape = shape_of_config(config)
    assert shape is not None
    return shape


def kv(shape: Shape, context: int = 4096) -> int:
    """Bytes of an f16 cache, windows exact."""
    return shape.cache(context, key_bytes=2, value_bytes=2)


def test_llama_3_2_1b() -> None:
    shape = from_gguf("llama", layers=16, embd=2048, ffn=8192, ctx=131072, heads=32, kv=8)
    assert shape.layers == (Layer(kv_heads=8, key_length=64, value_length=64),) * 16
    assert (shape.embedding, shape.feed_forward, shape.heads, shape.context_length) == (2048, 8192, 32, 131072)
    assert kv(shape) == 16 * 4096 * 2 * 8 * 64 * 2
    config = from_config(
        model_type="llama", num_hidden_layers=16, hidden_size=2048, num_attention_heads=32, num_key_value_heads=8
    )
    assert config.layers == shape.layers
    assert shape.unknown == config.unknown == ()


def test_a_family_with_longer_heads_than_its_width_says() -> None:
    shape = from_gguf("qwen3", layers=28, embd=1024, heads=16, kv=8, k=128, v=128)
    assert shape.layers[0] == Layer(kv_heads=8, key_length=128, value_length=128)
    config = from_config(
        model_type="qwen3",
        num_hidden_layers=28,
        hidden_size=1024,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        sliding_window=None,
    )
    assert config.layers == shape.layers


def test_without_grouped_heads_every_head_has_its_own_keys() -> None:
    shape = from_gguf("phi2", layers=2, embd=2560, heads=32)
    assert shape.layers[0] == Layer(kv_heads=32, key_length=80, value_length=80)
    assert from_config(model_type="phi", n_layer=2, n_embd=2560, n_head=32).layers == shape.layers
    assert from_config(model_type="gpt_bigcode", n_layer=1, n_embd=64, n_head=4, multi_query=True).layers == (
        Layer(kv_heads=1, key_length=16, value_length=16),
    )


def test_heads_by_layer() -> None:
    shape = from_gguf(
        "openelm", numbers("openelm.attention.head_count_kv", [3, 4]), layers=3, embd=1280, heads=12, k=64, v=64
    )
    assert [layer.kv_heads for layer in shape.layers] == [3, 4, 4]


@pytest.mark.parametrize(
    ("architecture", "full"),
    [("gemma2", [1, 3, 5]), ("gemma3", [5]), ("gpt-oss", [1, 3, 5]), ("cohere2", [3])],
)
def test_windows_that_the_architecture_implies(architecture: str, full: list[int]) -> None:
    shape = from_gguf(architecture, layers=6, embd=512, heads=4, kv=1, k=256, v=256, window=512)
    assert [i for i, layer in enumerate(shape.layers) if layer.window is None] == full
    assert {layer.window for layer in shape.layers} == {None, 512}
    assert shape.unknown == ()


def test_windows_that_the_file_lists() -> None:
    listed = flags("gemma4.attention.sliding_window_pattern", [True, True, False])
    shape = from_gguf("gemma4", listed, layers=3, embd=512, heads=4, kv=1, k=512, v=512, window=128)
    assert [layer.window for layer in shape.layers] == [128, 128, None]
    narrow = from_gguf(
        "gemma4", listed, layers=3, embd=8, heads=4, kv=1, k=512, v=512, window=128,
        attention__key_length_swa=256, attention__value_length_swa=256, attention__shared_kv_layers=1,
    )  # fmt: skip
    assert [(layer.key_length, layer.kv_heads) for layer in narrow.layers] == [(256, 1), (256, 1), (512, 0)]
    every = from_gguf("gemma3", layers=6, embd=8, heads=2, window=128, pattern=3)
    assert [layer.window for layer in every.layers] == [128, 128, None] * 2


@pytest.mark.parametrize("architecture", ["phi3", "qwen2", "llama"])
def test_windows_that_engines_do_not_use(architecture: str) -> None:
    shape = from_gguf(architecture, layers=2, embd=64, heads=2, window=128)
    assert [layer.window for layer in shape.layers] == [None, None]
    assert shape.unknown == ()


def test_a_window_whose_layers_nobody_names_is_told() -> None:
    shape = from_gguf("new", layers=2, embd=64, heads=2, window=128)
    assert [layer.window for layer in shape.layers] == [None, None]
    assert shape.unknown == ("which layers have the sliding window",)
    config = from_config(model_type="new", num_hidden_layers=2, hidden_size=64, num_attention_heads=2, sliding_window=9)
    assert config.unknown == shape.unknown


def test_gemma_2_without_a_window_in_its_file_has_that_of_the_family() -> None:
    assert from_gguf("gemma2", layers=2, embd=64, heads=2).layers[0].window == 4096


def test_latent_attention() -> None:
    now = from_gguf("deepseek2", layers=27, embd=2048, heads=16, kv=1, k=576, v=512, attention__key_length_mla=192)
    assert now.layers[0] == Layer(kv_heads=1, key_length=576, value_length=0)
    before = from_gguf("deepseek2", layers=27, embd=2048, heads=16, kv=16, k=192, v=128)
    assert before.layers[0] == Layer(kv_heads=16, key_length=192, value_length=128)
    config = from_config(
        model_type="deepseek_v2",
        num_hidden_layers=27,
        hidden_size=2048,
        num_attention_heads=16,
        kv_lora_rank=512,
        qk_rope_head_dim=64,
    )
    assert config.layers[0] == now.layers[0]


def test_mamba() -> None:
    shape = from_gguf(
        "mamba", layers=2, embd=768, heads=0, ssm__inner_size=1536, ssm__state_size=16, ssm__conv_kernel=4
    )
    # llama.cpp reports 2 x (3 x 1536 + 16 x 1536) x 4 bytes
    assert kv(shape, 8192) == kv(shape, 1) == 2 * (3 + 16) * 1536 * 4
    config = from_config(
        model_type="mamba", num_hidden_layers=2, hidden_size=768, intermediate_size=1536, state_size=16, conv_kernel=4
    )
    assert config.layers == tuple(Layer(state=layer.state) for layer in shape.layers)


def test_falcon_h1_has_attention_and_a_state_in_every_layer() -> None:
    shape = from_gguf(
        "falcon-h1", layers=36, embd=1024, heads=8, kv=2, k=64, v=64,
        ssm__inner_size=1536, ssm__state_size=128, ssm__conv_kernel=4, ssm__group_count=1,
    )  # fmt: skip
    assert 36 * shape.layers[0].state == 29_085_696  # 27.74 MiB, as the engine reports for these sizes
    assert shape.cache(2048, key_bytes=2, value_bytes=2) - 29_085_696 == 36 << 20
    config = from_config(
        model_type="falcon_h1", num_hidden_layers=36, hidden_size=1024, num_attention_heads=8, num_key_value_heads=2,
        head_dim=64, mamba_d_ssm=1536, mamba_d_state=128, mamba_d_conv=4, mamba_n_groups=1,
    )  # fmt: skip
    assert config.layers == shape.layers


def test_hybrids_keep_a_state_where_they_have_no_attention() -> None:
    listed = numbers("granitehybrid.attention.head_count_kv", [0, 0, 4, 0])
    shape = from_gguf(
        "granitehybrid", listed, layers=4, embd=1536, heads=12, k=128, v=128,
        ssm__inner_size=3072, ssm__state_size=128, ssm__conv_kernel=4, ssm__group_count=1,
    )  # fmt: skip
    state = recurrent_state(inner=3072, state=128, convolution=4, groups=1)
    assert [(layer.kv_heads, layer.state) for layer in shape.layers] == [(0, state), (0, state), (4, 0), (0, state)]
    common: dict[str, Any] = {
        "hidden_size": 1536, "num_attention_heads": 12, "num_key_value_heads": 4, "mamba_d_state": 128,
        "mamba_d_conv": 4, "mamba_n_groups": 1, "num_hidden_layers": 4,
    }  # fmt: skip
    kinds = ["mamba", "mamba", "attention", "mamba"]
    granite = from_config(model_type="granitemoehybrid", layer_types=kinds, mamba_n_heads=48, mamba_d_head=64, **common)
    assert granite.layers == shape.layers
    jamba = from_config(model_type="jamba", attn_layer_period=4, attn_layer_offset=2, mamba_expand=2, **common)
    assert jamba.layers == shape.layers


def test_linear_attention() -> None:
    shape = from_gguf(
        "qwen3next", layers=4, embd=2048, heads=16, kv=2, k=256, v=256, full_attention_interval=4,
        ssm__inner_size=4096, ssm__state_size=128, ssm__conv_kernel=4, ssm__group_count=16,
    )  # fmt: skip
    assert [layer.kv_heads for layer in shape.layers] == [0, 0, 0, 2]
    assert [layer.state > 0 for layer in shape.layers] == [True, True, True, False]
    config = from_config(
        model_type="qwen3_next", num_hidden_layers=4, hidden_size=2048, num_attention_heads=16, num_key_value_heads=2,
        head_dim=256, full_attention_interval=4, linear_num_key_heads=16, linear_key_head_dim=128,
        linear_num_value_heads=32, linear_value_head_dim=128, linear_conv_kernel_dim=4,
    )  # fmt: skip
    assert config.layers == shape.layers


def test_short_convolutions() -> None:
    listed = numbers("lfm2.attention.head_count_kv", [0, 8])
    shape = from_gguf("lfm2", listed, layers=2, embd=1024, heads=16, k=64, v=64, shortconv__l_cache=3)
    assert shape.layers[0].state == 1024 * 2 * 4
    config = from_config(
        model_type="lfm2", num_hidden_layers=2, hidden_size=1024, num_attention_heads=16, num_key_value_heads=8,
        conv_L_cache=3, layer_types=["conv", "full_attention"],
    )  # fmt: skip
    assert [layer.state for layer in config.layers] == [8192, 0]
    assert [layer.kv_heads for layer in config.layers] == [0, 8]


def test_a_state_that_is_not_described_is_told() -> None:
    config = from_config(
        model_type="new", num_hidden_layers=1, hidden_size=64, num_attention_heads=1, layer_types=["linear_attention"]
    )
    assert (config.layers[0], config.unknown) == (
        Layer(key_length=64, value_length=64),
        ("what state-space layers keep",),
    )


def test_experts_count_as_many_as_a_token_goes_through() -> None:
    shape = from_gguf(
        "qwen3moe", layers=1, embd=64, heads=1, ffn=6144, expert_used_count=8, expert_feed_forward_length=768
    )
    assert shape.feed_forward == 8 * 768
    config = from_config(
        model_type="qwen3_moe", num_hidden_layers=1, hidden_size=64, num_attention_heads=1, num_experts_per_tok=8,
        intermediate_size=6144, moe_intermediate_size=768,
    )  # fmt: skip
    assert config.feed_forward == 8 * 768


def test_layers_that_predict_ahead_are_not_run() -> None:
    shape = from_gguf("glm4moe", layers=3, embd=64, heads=2, nextn_predict_layers=1)
    assert [layer.kv_heads for layer in shape.layers] == [2, 2, 0]


def test_what_a_gguf_file_does_not_tell_is_named() -> None:
    assert set(from_gguf("new", layers=2).unknown) == {"attention heads", "key length", "value length"}
    assert shape_of_gguf(read_gguf_header(Ranges(gguf([pair("general.architecture", "clip")])))) is None


def test_matrices_by_type() -> None:
    tensors: tuple[TensorRow, ...] = (
        ("token_embd.weight", (32, 8), 8, 0),
        ("blk.0.attn_q.weight", (32, 4), 2, 0),
        ("blk.0.attn_norm.weight", (32,), 0, 0),
    )
    one = from_gguf("llama", words("tokenizer.ggml.tokens", ["a"] * 8), layers=1, embd=32, heads=1, tensors=())
    assert one.vocabulary == 8
    header = read_gguf_header(
        Ranges(gguf([pair("general.architecture", "llama"), pair("llama.block_count", 1)], tensors))
    )
    tied = shape_of_gguf(header)
    assert tied is not None
    assert tied.repackable == {"Q8_0": 8 * 34, "Q4_0": 4 * 18}
    apart = (*tensors, ("output.weight", (32, 8), 2, 0))
    header = read_gguf_header(
        Ranges(gguf([pair("general.architecture", "llama"), pair("llama.block_count", 1)], apart))
    )
    untied = shape_of_gguf(header)
    assert untied is not None
    assert untied.repackable == {"Q4_0": (8 + 4) * 18}
    assert untied.parameters == 32 * (8 + 4 + 1 + 8)


def test_the_language_part_of_a_configuration() -> None:
    inner = {
        "num_hidden_layers": 6,
        "hidden_size": 64,
        "num_attention_heads": 2,
        "sliding_window": 8,
        "model_type": "gemma3_text",
    }
    shape = from_config(model_type="gemma3", text_config=inner, vision_config={"num_hidden_layers": 99})
    assert [layer.window for layer in shape.layers] == [8] * 5 + [None]


def test_listed_windows_and_a_window_switched_off() -> None:
    common: dict[str, Any] = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 2, "sliding_window": 8}
    listed = from_config(model_type="gpt_oss", layer_types=["sliding_attention", "full_attention"], **common)
    assert [layer.window for layer in listed.layers] == [8, None]
    off = from_config(model_type="new", use_sliding_window=False, **common)
    assert ([layer.window for layer in off.layers], off.unknown) == ([None, None], ())


def test_genai() -> None:
    decoder = {
        "head_size": 64,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "num_key_value_heads": 4,
    }
    shape = shape_of_genai(
        {"model": {"type": "qwen2", "decoder": decoder, "vocab_size": 16384, "context_length": 4096}}
    )
    assert shape is not None
    assert shape.layers == (Layer(kv_heads=4, key_length=64, value_length=64),) * 12
    assert (shape.architecture, shape.vocabulary, shape.context_length) == ("qwen2", 16384, 4096)
    mixed = shape_of_genai({"model": {"decoder": {**decoder, "layer_types": ["conv"] * 11 + ["full_attention"]}}})
    assert mixed is not None
    assert [layer.kv_heads for layer in mixed.layers] == [0] * 11 + [4]
    assert mixed.unknown == ("what state-space layers keep",)


@pytest.mark.parametrize("config", [{}, {"model": 1}, {"model": {}}, {"model": {"decoder": {"num_hidden_layers": 0}}}])
def test_configurations_that_tell_nothing(config: Mapping[str, Any]) -> None:
    assert shape_of_genai(config) is None
    assert shape_of_config(config) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200) | st.text("abc_", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([
    "model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim",
    "sliding_window", "sliding_window_pattern", "layer_types", "layers_block_type", "kv_lora_rank", "mamba_d_state",
    "attn_layer_period", "full_attention_interval", "text_config", "num_experts_per_tok", "conv_L_cache",
])  # fmt: skip


@given(st.dictionaries(NAMES, JSON, max_size=10), st.integers(1, 9))
def test_any_configuration_gives_a_shape_with_a_cache_that_grows(config: dict[str, Any], layers: int) -> None:
    shape = shape_of_config({**config, "num_hidden_layers": layers})
    assert shape is not None
    sizes = [kv(shape, context) for context in (1, 100, 5000)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 0


@given(st.integers(1, 1 << 17), st.integers(1, 1 << 15), st.integers(0, 1024), st.sampled_from([1, 32, 256]))
def test_a_window_never_takes_more_than_the_whole_context(context: int, window: int, ahead: int, pad: int) -> None:
    layer = Layer(kv_heads=1, key_length=1, value_length=1)
    full = Shape(architecture="x", layers=(layer,))
    sliding = Shape(architecture="x", layers=(Layer(kv_heads=1, key_length=1, value_length=1, window=window),))
    room = {"key_bytes": 2, "value_bytes": 2, "ahead": ahead, "pad": pad}
    assert sliding.cache(context, **room) <= full.cache(context, **room)
    assert sliding.cells(context, ahead=ahead, pad=pad)[0] >= min(context, window)


def test_which_layers_slide() -> None:
    assert [slides(i, 3) for i in range(6)] == [True, True, False, True, True, False]
    assert not slides(5, 1)
