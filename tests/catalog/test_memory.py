"""Estimates hold together: parts, ranges, what grows with what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assay.catalog.memory import estimate
from assay.catalog.shape import Layer, Shape
from assay.types import Estimate

MB = 1_000_000
GB = 1000 * MB
ENGINES = ["llamacpp", "onnxruntime_genai"]
LAYER = Layer(kv_heads=2, key_length=64, value_length=64)
QWEN = Shape(
    architecture="qwen2",
    layers=(LAYER,) * 24,
    embedding=896,
    heads=14,
    feed_forward=4864,
    vocabulary=151936,
    context_length=32768,
    repackable={"Q8_0": 500 * MB},
)

layers = st.builds(
    Layer,
    kv_heads=st.integers(0, 16),
    key_length=st.integers(0, 256),
    value_length=st.integers(0, 256),
    window=st.none() | st.integers(1, 8192),
    state=st.integers(0, 10 * MB),
)
shapes = st.builds(
    Shape,
    architecture=st.just("x"),
    layers=st.lists(layers, min_size=1, max_size=6).map(tuple),
    embedding=st.none() | st.integers(1, 8192),
    heads=st.none() | st.integers(1, 64),
    feed_forward=st.none() | st.integers(1, 30000),
    vocabulary=st.none() | st.integers(1, 260_000),
    context_length=st.none() | st.integers(1, 200_000),
    repackable=st.dictionaries(
        st.sampled_from(["Q4_0", "Q8_0", "int4", "int8", "f32"]), st.integers(0, GB), max_size=2
    ),
    unknown=st.lists(st.text("abc", min_size=1, max_size=2), max_size=2).map(tuple),
)
asked = {
    "shape": shapes | st.none(),
    "weights": st.integers(0, 100 * GB),
    "engine": st.sampled_from([*ENGINES, "other"]),
    "context": st.integers(1, 150_000),
    "slots": st.integers(1, 16),
}


def of(shape: Shape | None, weights: int, engine: str, context: int | None, slots: int = 1) -> Estimate:
    return estimate(shape, weights, engine=engine, context_length=context, slots=slots)


@given(**asked)
def test_the_parts_are_the_whole_and_the_range_holds_it(
    shape: Shape | None, weights: int, engine: str, context: int, slots: int
) -> None:
    found = of(shape, weights, engine, context, slots)
    assert found.weights + found.cache + found.buffers + found.base == found.likely
    assert 0 < found.low <= found.likely <= found.high
    assert (found.engine, found.context_length, found.slots) == (engine, context, slots)
    assert found.best == found.likely


@given(**asked, more=st.integers(1, 150_000))
def test_more_context_never_takes_less(
    shape: Shape | None, weights: int, engine: str, context: int, slots: int, more: int
) -> None:
    small, large = of(shape, weights, engine, context, slots), of(shape, weights, engine, context + more, slots)
    assert (small.low, small.likely, small.high) <= (large.low, large.likely, large.high)
    assert small.high <= large.high


@given(**asked, more=st.integers(1, 16))
def test_more_slots_or_weights_never_take_less(
    shape: Shape | None, weights: int, engine: str, context: int, slots: int, more: int
) -> None:
    small = of(shape, weights, engine, context, slots)
    for large in (
        of(shape, weights, engine, context, slots + more),
        of(shape, weights + more * MB, engine, context, slots),
    ):
        assert small.cache <= large.cache
        assert small.low <= large.low
        assert small.likely <= large.likely
        assert small.high <= large.high


def test_the_cache_is_that_of_the_models_own_heads() -> None:
    found = of(QWEN, 500 * MB, "llamacpp", 8192, 4)
    assert found.cache == 4 * 8192 * 24 * 2 * 2 * 64 * 2  # 384 MiB, as the engine reports
    assert of(QWEN, 500 * MB, "llamacpp", 8100, 4).cache == found.cache  # rounded up to 256 tokens


def test_a_window_bounds_the_cache() -> None:
    sliding = structs.replace(LAYER, kv_heads=1, key_length=256, value_length=256, window=512)
    full = structs.replace(sliding, window=None)
    gemma = Shape(architecture="gemma3", layers=((sliding,) * 5 + (full,)) * 3)
    # The engine reports 24 MiB for the layers that keep everything and 15 MiB for those with the window.
    assert of(gemma, 0, "llamacpp", 8192).cache == (24 + 15) << 20


def test_the_graph_is_as_large_as_the_engine_says() -> None:
    logits = 2 * 151936 * 4
    assert abs(of(QWEN, 0, "llamacpp", 2048).buffers - logits - 39.27 * 2**20) < MB
    assert abs(of(QWEN, 0, "llamacpp", 8192).buffers - logits - 45.27 * 2**20) < MB


def test_types_that_are_kept_in_another_order_count_twice() -> None:
    once = of(structs.replace(QWEN, repackable={"F32": 401 * MB}), 500 * MB, "llamacpp", 2048)
    twice = of(structs.replace(QWEN, repackable={"Q4_0": 400 * MB, "F32": MB}), 500 * MB, "llamacpp", 2048)
    assert twice.likely - once.likely == twice.weights - once.weights == 400 * MB
    assert twice.low == once.low  # a build without that order holds them once


@pytest.mark.parametrize(
    ("kind", "block", "held"),
    [("int4", None, 480), ("int4", 32, 480), ("int4", 128, 352.9), ("int8", 32, 333.3), ("f32", None, 300)],
)
def test_fewer_scales_take_less_when_packed(kind: str, block: int | None, held: float) -> None:
    packed = structs.replace(QWEN, repackable={kind: 300 * MB}, block=block, vocabulary=0)
    assert abs(of(packed, 300 * MB, "onnxruntime_genai", 4096).weights - held * MB) < MB


def test_prompts_that_come_together_take_more_within_bounds() -> None:
    packed = structs.replace(QWEN, repackable={"int4": 300 * MB})
    alone, together = (of(packed, 300 * MB, "onnxruntime_genai", 4096, slots) for slots in (1, 4))
    assert alone.high < 1.2 * alone.likely
    assert alone.buffers < together.buffers
    assert together.high < together.likely + GB


def test_the_engines_own_context_is_taken_where_none_is_asked() -> None:
    assert of(QWEN, 0, "llamacpp", None).context_length == 4096
    assert of(structs.replace(QWEN, context_length=2048), 0, "llamacpp", None).context_length == 2048
    assert of(None, 0, "llamacpp", None).context_length == 4096


def test_what_is_unknown_is_named_and_widens_the_range() -> None:
    known = of(QWEN, GB, "llamacpp", 2048)
    unsure = of(structs.replace(QWEN, unknown=("which layers have the sliding window",)), GB, "llamacpp", 2048)
    assert unsure.unknown == ("which layers have the sliding window",)
    assert unsure.high - unsure.likely > known.high - known.likely
    assert of(None, GB, "llamacpp", 2048).unknown == ("the model's shape",)
    assert of(QWEN, GB, "vllm", 2048).unknown == ("how vllm takes memory",)
    assert of(structs.replace(QWEN, repackable={}), GB, "onnxruntime_genai", 99).unknown == (
        "how the weights are packed",
    )


def test_an_observation_is_what_is_reckoned_with() -> None:
    found = estimate(QWEN, GB, engine="llamacpp", context_length=2048, observed=3 * GB)
    assert (found.best, found.observed) == (3 * GB, 3 * GB)
    assert found.likely < 2 * GB


def test_less_than_the_formulas_low_end_is_not_believed_of_a_full_context() -> None:
    found = estimate(QWEN, GB, engine="llamacpp", context_length=2048, observed=GB // 2)
    assert found.best == found.low > GB
