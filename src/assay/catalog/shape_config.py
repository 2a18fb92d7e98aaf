"""A model's shape from a Hugging Face ``config.json``, or from ONNX Runtime GenAI's ``genai_config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.catalog.shape import STATE_BYTES, Layer, Shape, recurrent_state, slides

PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4}
"""All but each so-many-th layer have the window, where the configuration does not list its layers."""
WITHOUT_WINDOW = frozenset({"mistral", "mixtral", "phi3", "phimoe", "starcoder2", "qwen2", "qwen2_moe", "qwen3"})
"""The window that these configurations may name is not used by the engines: every layer keeps everything."""
STATES = frozenset({"mamba", "mamba2", "linear_attention", "conv", "recurrent"})
"""Kinds of layers that have a state in place of attention."""
BOTH = frozenset({"falcon_h1"})
"""Every layer has attention and a state."""
ALONE = frozenset({"mamba", "mamba2", "falcon_mamba"})
"""No layer has attention."""


def shape_of_config(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a ``config.json`` tells, of its language part where it has several; None where it tells none."""
    inner = config.get("text_config")
    told = _Config({**config, **inner} if isinstance(inner, Mapping) else config)
    if told.first("num_hidden_layers", "n_layer", "n_layers", "num_layers") is None:
        return None
    return Shape(
        architecture=told.kind or "unknown",
        layers=told.layers(),
        embedding=told.first("hidden_size", "n_embd", "d_model"),
        heads=told.heads or None,
        feed_forward=told.feed_forward(),
        vocabulary=told.first("vocab_size"),
        context_length=told.first("max_position_embeddings", "n_positions", "seq_length"),
        unknown=tuple(told.unknown),
    )


def shape_of_genai(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a ``genai_config.json`` tells; None where it describes no decoder."""
    model = config.get("model")
    decoder = model.get("decoder") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(decoder, Mapping):
        return None
    told = _Config(decoder)
    count = told.first("num_hidden_layers")
    if count is None:
        return None
    heads = told.first("num_attention_heads") or 0
    unknown = []
    width = told.first("head_size") or _share(told.first("hidden_size"), heads)
    if not width:
        unknown.append("head size")
    layer = Layer(kv_heads=told.first("num_key_value_heads") or heads, key_length=width, value_length=width)
    kinds = decoder.get("layer_types")
    attends = [not _is_state(kind) for kind in kinds] if isinstance(kinds, list) else [True] * count
    if not all(attends):
        unknown.append("what state-space layers keep")
    return Shape(
        architecture=str(model.get("type") or "unknown"),
        layers=tuple(layer if attends[i : i + 1] != [False] else Layer() for i in range(count)),
        embedding=told.first("hidden_size"),
        heads=heads or None,
        vocabulary=_Config(model).first("vocab_size"),
        context_length=_Config(model).first("context_length"),
        unknown=tuple(unknown),
    )


def _attends(kind: Any) -> bool:
    """Whether a layer of this kind has attention; where no kind is told, it has."""
    return kind is None or (isinstance(kind, str) and not _is_state(kind) and "attention" in kind)


def _is_state(kind: Any) -> bool:
    return isinstance(kind, str) and kind in STATES


def _share(whole: int | None, parts: int) -> int:
    return whole // parts if whole and parts else 0


class _Config:
    """Reads one configuration's keys; ``unknown`` grows with what is missed."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.unknown: list[str] = []

    def first(self, *keys: str) -> int | None:
        """The first of ``keys`` that holds a whole number above zero."""
        for key in keys:
            value = self._config.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
        return None

    @property
    def kind(self) -> str:
        return str(self._config.get("model_type") or "")

    @property
    def blocks(self) -> int:
        return self.first("num_hidden_layers", "n_layer", "n_layers", "num_layers") or 0

    @property
    def heads(self) -> int:
        return self.first("num_attention_heads", "n_head", "num_heads") or 0

    @property
    def width(self) -> int:
        return self.first("hidden_size", "n_embd", "d_model") or 0

    def feed_forward(self) -> int | None:
        """A layer's width; with experts, that of all which one token goes through."""
        dense = self.first("intermediate_size", "n_inner", "ffn_dim")
        used = self.first("num_experts_per_tok", "num_experts_per_token", "experts_per_token")
        if used is None:
            return dense
        width = self.first("moe_intermediate_size") or dense or 0
        shared = self.first("shared_expert_intermediate_size") or width * (self.first("n_shared_experts") or 0)
        return used * width + shared or None

    def layers(self) -> tuple[Layer, ...]:
        attention, state = self._attention(), self._state()
        windows = self._windows()
        layers = []
        for i, kind in enumerate(self._kinds()):
            attends = self.kind not in ALONE and (self.kind in BOTH or _attends(kind))
            recurs = self.kind in ALONE | BOTH or _is_state(kind)
            layers.append(
                Layer(
                    kv_heads=attention.kv_heads if attends else 0,
                    key_length=attention.key_length,
                    value_length=attention.value_length,
                    window=windows[i] if attends else None,
                    state=state if recurs else 0,
                )
            )
        if any(_is_state(kind) for kind in self._kinds()) and not state:
            self.unknown.append("what state-space layers keep")
        return tuple(layers)

    def _attention(self) -> Layer:
        """What a layer with full attention keeps."""
        if latent := self.first("kv_lora_rank"):
            return Layer(kv_heads=1, key_length=latent + (self.first("qk_rope_head_dim") or 0))
        length = self.first("head_dim") or _share(self.width, self.heads)
        if not length and self.kind not in ALONE:
            self.unknown.append("attention heads")
        one = 1 if self._config.get("multi_query") is True else None
        kv_heads = self.first("num_key_value_heads", "num_kv_heads", "n_head_kv") or one or self.heads
        return Layer(kv_heads=kv_heads, key_length=length, value_length=length)

    def _kinds(self) -> list[Any]:
        """The kind of each layer; None where the configuration does not say."""
        for key in ("layer_types", "layers_block_type"):
            listed = self._config.get(key)
            if isinstance(listed, list) and len(listed) >= self.blocks:
                return listed[: self.blocks]
        if period := self.first("attn_layer_period"):
            offset = self.first("attn_layer_offset") or 0
            return ["attention" if i % period == offset else "mamba" for i in range(self.blocks)]
        if interval := self.first("full_attention_interval"):
            return ["attention" if (i + 1) % interval == 0 else "linear_attention" for i in range(self.blocks)]
        return [None] * self.blocks

    def _windows(self) -> list[int | None]:
        none: list[int | None] = [None] * self.blocks
        window = self.first("sliding_window")
        if window is None or self.kind in WITHOUT_WINDOW or self._config.get("use_sliding_window") is False:
            return none
        kinds = self._kinds()
        if any(kind == "sliding_attention" for kind in kinds):
            return [window if kind == "sliding_attention" else None for kind in kinds]
        pattern = self.first("sliding_window_pattern") or PATTERNS.get(self.kind)
        if pattern:
            return [window if slides(i, pattern) else None for i in range(self.blocks)]
        if all(kind is None for kind in kinds):
            self.unknown.append("which layers have the sliding window")
        return none

    def _state(self) -> int:
        """Bytes that one layer with a state keeps of a sequence; 0 where the configuration tells none."""
        if kernel := self.first("conv_L_cache"):
            return STATE_BYTES * self.width * (kernel - 1)
        if self.first("linear_num_key_heads"):
            return recurrent_state(
                inner=self._product("linear_num_value_heads", "linear_value_head_dim"),
                state=self.first("linear_key_head_dim") or 0,
                convolution=self.first("linear_conv_kernel_dim") or 0,
                groups=self.first("linear_num_key_heads") or 0,
            )
        return recurrent_state(
            inner=self._inner(),
            state=self.first("mamba_d_state", "state_size", "ssm_state_size") or 0,
            convolution=self.first("mamba_d_conv", "conv_kernel") or 0,
            groups=self.first("mamba_n_groups", "n_groups") or 0,
        )

    def _inner(self) -> int:
        """The width of a Mamba layer's state."""
        told = self.first("mamba_d_ssm") or (
            self.first("intermediate_size") if self.kind in {"mamba", "falcon_mamba"} else None
        )
        heads = self._product("mamba_n_heads", "mamba_d_head") or self._product("mamba_num_heads", "mamba_head_dim")
        if self.kind in ALONE:
            heads = self._product("num_heads", "head_dim")
        return told or heads or self.width * (self.first("mamba_expand", "expand") or 2)

    def _product(self, one: str, other: str) -> int:
        return (self.first(one) or 0) * (self.first(other) or 0)
