"""Which variant an alias runs here."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import Ranked, best, fit_of
from assay.catalog.best import bits_of
from assay.types import Estimate, File, Format, Variant

GB = 10**9
ENGINES: dict[Format, tuple[str, ...]] = {"gguf": ("llamacpp",), "onnx": ("onnxruntime_genai",)}


def one(
    name: str, size: int | None = GB, *, here: bool = False, parameters: int | None = 7 * GB, **more: Any
) -> Variant:
    form = "onnx" if name.startswith("onnx") else "safetensors" if name.startswith("safetensors") else "gguf"
    told = {"quantisation": name.removeprefix("onnx-"), "format": form, **more}
    return Variant(
        id=f"m:{name}",
        alias="m",
        source="hf:o/m",
        files=(File(path="m", size=size),),
        path="/m" if here else None,
        parameters=parameters,
        **told,
    )


def taking(low: int, high: int, observed: int | None = None) -> Estimate:
    return Estimate(
        low=low, likely=(low + high) // 2, high=high, weights=low, cache=0, buffers=0, base=0, engine="llamacpp",
        context_length=4096, slots=1, observed=observed,
    )  # fmt: skip


def order(*variants: Variant, budget: int | None = 100 * GB, **how: Any) -> Ranked:
    return best(variants, **{"budget": budget, "estimates": {}, "engines": ENGINES, **how})


def names(ranked: Ranked) -> list[str]:
    return [ranking.variant.id.partition(":")[2] for ranking in ranked.rankings]


ALL = ["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_0", "q4_k_m", "q4_k_s", "iq4_xs", "q4_0", "q3_k_m", "q2_k"]


def test_large_models_run_at_four_bits() -> None:
    assert names(order(*(one(name) for name in ALL))) == [
        "q4_k_m", "q4_k_s", "iq4_xs", "q4_0", "q5_k_m", "q5_0", "q6_k", "q8_0", "bf16", "f16", "f32", "q3_k_m", "q2_k",
    ]  # fmt: skip


def test_small_models_run_at_eight_bits() -> None:
    assert names(order(*(one(name, parameters=GB) for name in ALL))) == [
        "q8_0", "q6_k", "q5_k_m", "q5_0", "q4_k_m", "q4_k_s", "iq4_xs", "q4_0", "bf16", "f16", "f32", "q3_k_m", "q2_k",
    ]  # fmt: skip


def test_what_surely_fits_before_what_is_tight_before_what_does_not() -> None:
    estimates = {
        "m:q8_0": taking(20 * GB, 30 * GB), "m:q6_k": taking(5 * GB, 12 * GB), "m:q4_0": taking(3 * GB, 4 * GB),
        "m:q5_0": taking(9 * GB, 10 * GB, observed=2 * GB),
    }  # fmt: skip
    small = [one(name, None, parameters=GB) for name in ("q8_0", "q6_k", "q4_0", "q5_0", "q5_1")]
    ranked = order(*small, budget=10 * GB, estimates=estimates)
    assert names(ranked) == ["q5_0", "q4_0", "q6_k", "q5_1", "q8_0"]
    assert [ranking.fits for ranking in ranked.rankings] == ["yes", "yes", "tight", None, "no"]
    assert [ranking.ok for ranking in ranked.rankings] == [True, True, True, True, False]


def test_what_is_here_before_a_download_of_equal_worth() -> None:
    assert names(order(one("q8_0"), one("q4_k_m"), one("q6_k", here=True)))[0] == "q6_k"
    assert names(order(one("q4_k_m"), one("f16", here=True)))[0] == "q4_k_m"
    assert names(order(one("q4_k_m"), one("q2_k", here=True)))[0] == "q4_k_m"


def test_what_was_asked_for_before_what_is_usual() -> None:
    some = [one(name) for name in ("q4_k_m", "f16", "onnx-int4")]
    assert names(order(*some, prefer="f16"))[0] == "f16"
    assert names(order(*some, prefer="fp16"))[0] == "f16"
    assert names(order(*some, prefer="onnx"))[0] == "onnx-int4"
    assert names(order(*some, prefer="q5_k_m"))[0] == "q4_k_m"


def test_the_engines_own_order_decides_between_formats() -> None:
    some = [one("onnx-int4"), one("q4_k_m", GB)]
    assert names(order(*some)) == ["q4_k_m", "onnx-int4"]
    other: dict[Format, tuple[str, ...]] = {"onnx": ("a",), "gguf": ("b",)}
    assert names(order(one("onnx-int4", device="cpu"), one("q4_0"), engines=other))[0] == "onnx-int4"


def test_what_nothing_here_runs_has_its_reason() -> None:
    ranked = order(
        one("q4_k_m"), one("onnx-int4", device="gpu"), one("safetensors"), one("q8_0", engine="mine"),
        one("x", format="openvino"), budget=None,
    )  # fmt: skip
    reasons = {ranking.variant.id: ranking.reasons[0] for ranking in ranked.rankings if not ranking.ok}
    assert "made for GPU" in reasons["m:onnx-int4"]
    assert "assay model compile" in reasons["m:safetensors"]
    assert "its engine, mine, is not here" in reasons["m:q8_0"]
    assert "no engine here reads openvino" in reasons["m:x"]
    chosen = ranked.best
    assert chosen is not None
    assert (chosen.variant.id, chosen.engine) == ("m:q4_k_m", "llamacpp")
    assert chosen.reasons == (
        "llamacpp runs it", "this machine does not tell how much memory is free", "it has to be fetched (1.0 GB)",
    )  # fmt: skip


def test_a_gpu_is_used_where_engines_use_it() -> None:
    some = [one("onnx-int4", device="cpu"), one("onnx-int4b", device="gpu")]
    assert names(order(*some, devices=("cpu", "gpu")))[0] == "onnx-int4b"
    assert names(order(*some))[0] == "onnx-int4"


def test_nothing_can_be_run() -> None:
    assert order(one("safetensors")).best is None
    assert order().best is None
    assert order(one("q4_0", 2 * GB), budget=GB).best is None


def test_a_model_behind_an_address_takes_nothing_here() -> None:
    remote = Variant(id="r", alias="r", format="remote", source="http://h/v1")
    (ranking,) = order(remote, budget=1).rankings
    assert (ranking.ok, ranking.engine, ranking.fits) == (True, None, "yes")


@pytest.mark.parametrize(
    ("variant", "estimate", "fits", "said"),
    [
        (one("q4_0", 4 * GB), None, "yes", "its files are 4.0 GB and 10.0 GB are free"),
        (one("q4_0", 9 * GB), None, "tight", "less than a fifth"),
        (one("q4_0", 11 * GB), None, "no", "only 10.0 GB"),
        (one("q4_0", None), None, None, "before the Hub is asked"),
        (one("q4_0", None, min_memory=10 * GB), None, "yes", "asks for 10.0 GB"),
        (one("q4_0", 1, min_memory=11 * GB), None, "no", "asks for 11.0 GB"),
        (one("q4_0", 1), taking(11 * GB, 12 * GB), "no", "needed"),
        (one("q4_0", 99 * GB), taking(1 * GB, 2 * GB), "yes", "needed"),
    ],
)
def test_whether_it_fits(variant: Variant, estimate: Estimate | None, fits: str | None, said: str) -> None:
    told, reason = fit_of(variant, estimate, 10 * GB)
    assert told == fits
    assert said in reason


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("q4_k_m", 4), ("ud-iq1_s", 1), ("iq4_nl", 4), ("int8", 8), ("bf16", 16), ("f32", 32), ("mxfp4", 4),
        ("tq2_0", 2), ("awq", 4), (None, None), ("odd", None),
    ],
)  # fmt: skip
def test_bits(name: str | None, bits: int | None) -> None:
    assert bits_of(name) == bits


VARIANTS = st.lists(
    st.builds(
        one,
        st.sampled_from([*ALL, "onnx-int4", "onnx-f16", "safetensors", "odd"]),
        st.none() | st.integers(1, 20 * GB),
        here=st.booleans(),
        parameters=st.sampled_from([None, GB, 7 * GB]),
        device=st.sampled_from([None, "cpu", "gpu"]),
    ),
    unique_by=lambda variant: variant.id,
)
ESTIMATES = st.dictionaries(
    st.sampled_from([f"m:{name}" for name in ALL]),
    st.tuples(st.integers(1, 20 * GB), st.integers(0, 9 * GB)).map(lambda pair: taking(pair[0], pair[0] + pair[1])),
)


@given(VARIANTS, ESTIMATES, st.integers(0, 20 * GB), st.integers(0, 20 * GB), st.randoms())
def test_each_has_its_place_and_more_memory_takes_nothing_away(
    variants: list[Variant], estimates: dict[str, Estimate], budget: int, more: int, random: Any
) -> None:
    ranked = order(*variants, budget=budget, estimates=estimates)
    assert sorted(names(ranked)) == sorted(variant.id.partition(":")[2] for variant in variants)
    oks = [ranking.ok for ranking in ranked.rankings]
    assert oks == sorted(oks, reverse=True)
    for ranking in ranked.rankings:
        assert ranking.ok is (ranking.engine is not None and ranking.variant.device != "gpu" and ranking.fits != "no")
        assert all(ranking.reasons)
    shuffled = random.sample(variants, len(variants))
    assert names(order(*shuffled, budget=budget, estimates=estimates)) == names(ranked)
    richer = order(*variants, budget=budget + more, estimates=estimates)
    assert {r.variant.id for r in ranked.rankings if r.ok} <= {r.variant.id for r in richer.rankings if r.ok}
