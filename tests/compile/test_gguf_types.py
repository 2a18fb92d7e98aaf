"""Which type a tensor gets, and how large it is: pure decisions over shapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.compile.gguf_names import Named
from assay.compile.gguf_types import BASE, K_QUANTS, TYPES, bytes_of, type_of
from assay.compile.quantiser import ggml, quantise

quantisations = st.sampled_from(sorted(BASE))


def tensor(part: str, shape: tuple[int, ...], layer: int | None = 0) -> Named:
    name = f"{part}.weight" if layer is None else f"blk.{layer}.{part}.weight"
    return Named(name, "source", shape, "none", layer)


@given(quantisations, st.integers(1, 40), st.integers(1, 4096), st.booleans(), st.sampled_from(["ffn_down", "attn_v"]))
def test_a_type_always_fits_its_rows(quantisation: str, layers: int, width: int, tied: bool, part: str) -> None:
    for layer in range(layers):
        kind = type_of(tensor(part, (8, width), layer), quantisation, layers, tied)
        assert width % TYPES[kind].block == 0
        assert bytes_of((8, width), kind) * TYPES[kind].block == 8 * width * TYPES[kind].bytes


@given(quantisations, st.integers(1, 4096))
def test_vectors_stay_exact(quantisation: str, width: int) -> None:
    assert type_of(tensor("attn_norm", (width,)), quantisation, 4, tied=False) == "F32"


@given(st.sampled_from(sorted(set(BASE) - {"f32", "f16", "bf16", "q8_0"})))
def test_the_layer_that_chooses_tokens_gets_more_bits(quantisation: str) -> None:
    more = "Q6_K" if quantisation in K_QUANTS else "Q8_0"
    output, embedding = (tensor(part, (512, 512), None) for part in ("output", "token_embd"))
    assert type_of(output, quantisation, 4, tied=False) == more
    assert type_of(embedding, quantisation, 4, tied=True) == more
    assert type_of(embedding, quantisation, 4, tied=False) == BASE[quantisation]


def test_the_mixture_of_q4_k_m() -> None:
    kinds = [type_of(tensor("ffn_down", (256, 256), layer), "q4_k_m", 16, tied=False) for layer in range(16)]
    more = {0, 1, 4, 7, 10, 13, 14, 15}
    assert [kind == "Q6_K" for kind in kinds] == [layer in more for layer in range(16)]
    assert type_of(tensor("attn_qkv", (256, 256)), "q4_k_m", 16, tied=False) == "Q5_K"
    assert type_of(tensor("attn_q", (256, 256)), "q4_k_m", 16, tied=False) == "Q4_K"


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 64])
def test_the_library_quantises_any_number_of_rows(rows: int) -> None:
    gguf, np = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    if ggml() is None:
        pytest.skip("this system's xllamacpp does not offer llama.cpp's quantiser")
    weights = np.random.default_rng(rows).standard_normal((rows, 512), dtype=np.float32)
    packed = quantise(weights, "Q6_K")
    assert packed.shape == (rows, bytes_of((512,), "Q6_K"))
    back = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q6_K)
    assert float(np.abs(back - weights).max()) < 0.2
