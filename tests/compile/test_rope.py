"""Rotary scalings as they are compiled: a product says what transformers says, within the first context and past it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from assay.compile import read_checkpoint
from assay.compile.gguf_file import describe, write_gguf
from assay.compile.onnx import build_onnx
from assay.compile.rope import Rope, longrope_scale, rope_of
from assay.errors import BadInput
from tests.compile.models import MISSING, SKIP, family_models, greedy, prompts

needs_extra = pytest.mark.skipif(bool(MISSING), reason=SKIP)
ORIGINAL = 512
"""llama.cpp makes no context smaller than 256, so this one must be larger for short factors to be used at all."""
SHAPE = dataclasses.replace(family_models.TINY, context=2 * ORIGINAL)
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": ORIGINAL}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1 + i / 16 for i in range(16)],
    "long_factor": [1 + i / 2 for i in range(16)],
}
WITHIN = prompts(4, longest=100)
PAST = [ids for ids in prompts(8, longest=700) if len(ids) > ORIGINAL]
TOKENS = 16
NEAR_TIE = 0.01


def scaled(folder: Path, family: str, scaling: Mapping[str, Any], **settings: Any) -> Path:
    return family_models.make(folder, family, SHAPE, rope_parameters=dict(scaling), **settings)


def parted(source: Path, asked: Sequence[list[int]], said: Sequence[Sequence[int]]) -> float:
    """The largest lead at which a product said something else."""
    return max(greedy.compare(greedy.by_transformers(source, asked, TOKENS), said).parted, default=0.0)


@needs_extra
@pytest.mark.parametrize(("family", "scaling"), [("llama", LINEAR), ("mistral", YARN), ("qwen3", YARN)])
def test_linear_and_yarn_scalings_in_gguf(family: str, scaling: Mapping[str, Any], tmp_path: Path) -> None:
    source = scaled(tmp_path / "m", family, scaling)
    write_gguf(read_checkpoint(source), "f32", tmp_path / "m.gguf", lambda *_told: None)
    engine = greedy.LlamaCpp(tmp_path / "m.gguf", 2 * ORIGINAL)
    for asked in (WITHIN, PAST):
        assert parted(source, asked, engine.greedy(asked, TOKENS)) < NEAR_TIE
    plain = family_models.make(tmp_path / "plain", family, SHAPE, rope_parameters={"rope_theta": 10000.0})
    assert greedy.by_transformers(plain, PAST, TOKENS).tokens != greedy.by_transformers(source, PAST, TOKENS).tokens


@needs_extra
def test_phi_3s_two_sets_of_factors_in_gguf(tmp_path: Path) -> None:
    """llama.cpp takes the long ones where the whole context is long, transformers where the text is."""
    source = scaled(tmp_path / "m", "phi3", LONGROPE, original_max_position_embeddings=ORIGINAL)
    read = read_checkpoint(source)
    write_gguf(read, "f32", tmp_path / "m.gguf", lambda *_told: None)
    short = greedy.LlamaCpp(tmp_path / "m.gguf", ORIGINAL)
    assert parted(source, WITHIN, short.greedy(WITHIN, TOKENS)) < NEAR_TIE
    long = greedy.LlamaCpp(tmp_path / "m.gguf", 2 * ORIGINAL)
    assert parted(source, PAST, long.greedy(PAST, TOKENS)) < NEAR_TIE
    assert parted(source, WITHIN, long.greedy(WITHIN, TOKENS)) > NEAR_TIE
    assert any(f"more than {ORIGINAL} tokens" in note for note in describe(read, "f32").notes)


@needs_extra
@pytest.mark.parametrize(
    ("family", "scaling", "settings"),
    [("qwen2", LINEAR, {}), ("phi3", LONGROPE, {"original_max_position_embeddings": ORIGINAL})],
)
def test_scalings_that_the_builder_knows_in_onnx(
    family: str, scaling: Mapping[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    source = scaled(tmp_path / "m", family, scaling, **settings)
    build_onnx(read_checkpoint(source), "fp32", tmp_path / "onnx", tmp_path / "cache")
    for asked in (WITHIN, PAST):
        assert parted(source, asked, greedy.by_onnx(tmp_path / "onnx", asked, TOKENS)) == 0


@needs_extra
def test_what_yarn_adds_besides_its_factor_is_refused(tmp_path: Path) -> None:
    source = scaled(tmp_path / "m", "qwen2", {**YARN, "beta_fast": 16.0})
    with pytest.raises(BadInput, match="sets beta_fast"):
        describe(read_checkpoint(source), "f32")


def test_older_and_newer_configurations_say_the_same() -> None:
    newer = {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5}}
    older = {"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 5e5}
    assert [rope_of("llama", c)[:3] for c in (newer, older)] == [(5e5, None, "linear")] * 2
    assert rope_of("phi3", {"rope_scaling": {"type": "su"}}).kind == "longrope"
    assert rope_of("gemma3", {}) == Rope(1e6, 1e4, "default", {})


def test_the_scale_of_long_contexts() -> None:
    """Phi-3's published scaling: 131,072 tokens over 4,096 give the root of 1 + ln 32 / ln 4096."""
    assert longrope_scale(Rope(1e4, None, "longrope", {}), 131072, 4096) == pytest.approx(1.190238)
    assert longrope_scale(Rope(1e4, None, "longrope", {}), 4096, 4096) == 1
    assert longrope_scale(Rope(1e4, None, "longrope", {"attention_factor": 1.5}), 131072, 4096) == 1.5
    assert math.isclose(longrope_scale(Rope(1e4, None, "longrope", {"factor": 32.0}), 1, 4096), 1.1902380714)
