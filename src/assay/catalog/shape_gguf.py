"""A model's shape from the header of its GGUF file.

Keys are those of the GGUF specification; which layers have a sliding window where the file names no pattern, and which
architectures ignore the window they name, is as llama.cpp has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from assay.catalog.shape import STATE_BYTES, Layer, Shape, recurrent_state, slides
from assay.formats import GgufHeader, GgufTensor

PATTERNS = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2, "cohere2": 4, "exaone4": 4, "olmo2": 4, "llama4": 4,
}  # fmt: skip
"""All but each so-many-th layer have the window."""
WITHOUT_WINDOW = frozenset(
    {"llama", "mistral3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "phi3", "phimoe", "starcoder2", "minicpm"}
)
"""The window that these files may name is not used: every layer keeps everything."""
DEFAULT_WINDOW = {"gemma2": 4096}
BOTH = frozenset({"falcon-h1"})
"""Every layer has attention and a state."""
INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""Each so-many-th layer has attention, the others a state."""


def shape_of_gguf(header: GgufHeader, others: Sequence[GgufHeader] = ()) -> Shape | None:
    """The shape that a header tells, with those of a split model's ``others``; None where it tells none."""
    told = _Told(header)
    if header.architecture is None or told.count("block_count") is None:
        return None
    tensors = [tensor for part in (header, *others) for tensor in part.tensors]
    return Shape(
        architecture=header.architecture,
        layers=told.layers(),
        embedding=told.count("embedding_length"),
        heads=max(told.each("attention.head_count", 0), default=None),
        feed_forward=told.feed_forward(),
        vocabulary=header.vocabulary or told.count("vocab_size"),
        context_length=header.context_length,
        parameters=sum(tensor.elements for tensor in tensors) or None,
        repackable=repackable(tensors),
        unknown=tuple(told.unknown),
    )


def repackable(tensors: Sequence[GgufTensor]) -> dict[str, int]:
    """Bytes of the matrices that are multiplied with, by type; the table of embeddings is one where no other is."""
    alone = all(tensor.name != "output.weight" for tensor in tensors)
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        if len(tensor.shape) > 1 and tensor.size and (alone or tensor.name != "token_embd.weight"):
            sizes[tensor.type] += tensor.size
    return dict(sizes)


class _Told:
    """Reads one header's keys; ``unknown`` grows with what is missed."""

    def __init__(self, header: GgufHeader) -> None:
        self._header = header
        self._architecture = header.architecture or ""
        self.unknown: list[str] = []

    def count(self, key: str) -> int | None:
        value = self._header.metadata.get(f"{self._architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    @property
    def blocks(self) -> int:
        return self.count("block_count") or 0

    def each(self, key: str, default: int | None) -> list[int]:
        """One number a layer, whether the file has one for all or a list; a list that is too short is filled up."""
        numbers = [int(n) for n in self._header.arrays.get(f"{self._architecture}.{key}", ()) if n >= 0]
        if numbers:
            return (numbers + numbers[-1:] * self.blocks)[: self.blocks]
        one = self.count(key)
        return [] if one is None and default is None else [default or 0 if one is None else one] * self.blocks

    def feed_forward(self) -> int | None:
        """The widest layer's; with experts, that of all which one token goes through."""
        dense = max(self.each("feed_forward_length", 0), default=0)
        used, width = self.count("expert_used_count") or 0, self.count("expert_feed_forward_length") or dense
        shared = self.count("expert_shared_feed_forward_length") or width * (self.count("expert_shared_count") or 0)
        return max(dense if not used else 0, used * width + shared) or None

    def layers(self) -> tuple[Layer, ...]:
        heads = self.each("attention.head_count", None)
        if not heads and not self._state():
            self.unknown.append("attention heads")
        kv_heads = self.each("attention.head_count_kv", None) or heads or [0] * self.blocks
        windows, states = self._windows(), self._states(kv_heads)
        keys, values = self._lengths("key_length", heads), self._lengths("value_length", heads)
        if self.count("attention.key_length_mla"):
            values = [0] * self.blocks  # llama.cpp keeps one latent vector a token, of which the values are a part
        narrow = (self.count("attention.key_length_swa"), self.count("attention.value_length_swa"))
        kept = self.blocks - (self.count("attention.shared_kv_layers") or 0) - (self.count("nextn_predict_layers") or 0)
        layers = []
        for i in range(self.blocks):
            attends = i < kept and not (states[i] and self._recurs_alone(i, kv_heads[i]))
            layers.append(
                Layer(
                    kv_heads=kv_heads[i] if attends else 0,
                    key_length=(windows[i] and narrow[0]) or keys[i],
                    value_length=(windows[i] and narrow[1]) or values[i],
                    window=windows[i],
                    state=states[i],
                )
            )
        return tuple(layers)

    def _lengths(self, key: str, heads: list[int]) -> list[int]:
        told = self.count(f"attention.{key}")
        if told is not None:
            return [told] * self.blocks
        width = self.count("embedding_length")
        if width is None:
            self.unknown.append(key.replace("_", " "))
            return [0] * self.blocks
        widest = max(heads, default=0)
        return [width // widest if widest else 0] * self.blocks

    def _windows(self) -> list[int | None]:
        window = self.count("attention.sliding_window") or DEFAULT_WINDOW.get(self._architecture)
        none: list[int | None] = [None] * self.blocks
        if not window or self._architecture in WITHOUT_WINDOW:
            return none
        listed = self._header.arrays.get(f"{self._architecture}.attention.sliding_window_pattern")
        if listed and len(listed) >= self.blocks:
            return [window if listed[i] else None for i in range(self.blocks)]
        pattern = self.count("attention.sliding_window_pattern") or PATTERNS.get(self._architecture)
        if not pattern:
            self.unknown.append("which layers have the sliding window")
            return none
        return [window if slides(i, pattern) else None for i in range(self.blocks)]

    def _states(self, kv_heads: list[int]) -> list[int]:
        state = self._state()
        return [state if self._recurs(i, kv_heads[i]) else 0 for i in range(self.blocks)]

    def _state(self) -> int:
        """Bytes that one recurrent layer keeps of a sequence; 0 where the model has none."""
        width = self.count("embedding_length") or 0
        if head := self.count("wkv.head_size"):
            return STATE_BYTES * width * ((self.count("token_shift_count") or 2) + head)
        if kernel := self.count("shortconv.l_cache"):
            return STATE_BYTES * width * (kernel - 1)
        inner, size = self.count("ssm.inner_size"), self.count("ssm.state_size")
        if inner is None or size is None:
            return 0
        kernel, groups = self.count("ssm.conv_kernel") or 0, self.count("ssm.group_count") or 0
        return recurrent_state(inner=inner, state=size, convolution=kernel, groups=groups)

    def _recurs(self, layer: int, kv_heads: int) -> bool:
        return self._architecture in BOTH or self._recurs_alone(layer, kv_heads)

    def _recurs_alone(self, layer: int, kv_heads: int) -> bool:
        """Whether a layer of a model with states has no attention."""
        if self._architecture in BOTH:
            return False
        if self._architecture in INTERVALS:
            interval = self.count("full_attention_interval") or INTERVALS[self._architecture]
            return (layer + 1) % interval != 0
        return kv_heads == 0 or bool(self.count("wkv.head_size"))
