"""The shipped weights: complete, small enough, what the committed evaluation measured, and as good as it says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any

import gguf
import msgspec
import pytest
from tokenizers import Tokenizer

from assay.catalog.bundled import bundled_folder, bundled_prompts, bundled_variants
from assay.engines import for_variant
from assay.types import EngineOptions, Prompt, Variant
from training.evaluate import PROMPTS, answers, load_prompts, runnable_variants, score_answer
from training.notes import TASKS

TRAINING = Path(__file__).parents[2] / "training"
SAMPLE = 40
LARGEST_BAR = 0.85
"""Of the largest model on the sample, where the committed evaluation has 0.91 to 0.92."""
MAX_BYTES = 15_000_000
TEMPLATE_TEXT = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((TRAINING / "evaluation.json").read_text(encoding="utf-8"))
    return record


def named(variant: Variant) -> str:
    return variant.id


def test_the_manifest_describes_the_files_that_are_there() -> None:
    for variant in bundled_variants():
        entry = Path(variant.path or "")
        folder = entry if entry.is_dir() else entry.parent
        for file in variant.files:
            data = (folder / file.path).read_bytes()
            assert len(data) == file.size
            assert hashlib.sha256(data).hexdigest() == file.sha256


def test_everything_together_is_small_enough_and_nothing_is_unlisted() -> None:
    listed = set()
    for variant in bundled_variants():
        entry = Path(variant.path or "")
        folder = entry if entry.is_dir() else entry.parent
        listed |= {folder / file.path for file in variant.files}
    found = {path for path in bundled_folder().rglob("*") if path.is_file() and path.parent != bundled_folder()}
    assert found == listed
    assert sum(path.stat().st_size for path in bundled_folder().rglob("*") if path.is_file()) <= MAX_BYTES


def test_the_evaluation_is_of_these_very_files(evaluation: dict[str, Any]) -> None:
    assert evaluation["prompts"] == PROMPTS
    assert {name: found["digest"] for name, found in evaluation["variants"].items()} == {
        variant.id: variant.digest for variant in runnable_variants()
    }


def test_the_largest_reaches_its_mark_and_neighbours_differ(evaluation: dict[str, Any]) -> None:
    assert evaluation["variants"]["notes-4m:q8_0"]["mean"] >= 0.85
    sizes = [found for found in evaluation["differences"] if all(name.endswith("q8_0") for name in found["of"])]
    assert len(sizes) == 2
    assert all(found["interval"][0] > 0 for found in sizes)


def test_quickstart_prompts_are_balanced_and_not_those_of_the_evaluation() -> None:
    prompts = msgspec.json.decode(bundled_prompts().read_bytes(), type=list[Prompt])
    assert [sum(task in prompt.tags for prompt in prompts) for task in TASKS] == [8] * len(TASKS)
    assert all(prompt.expect is not None for prompt in prompts)
    assert not {prompt.prompt for prompt in prompts} & {prompt.prompt for prompt in load_prompts()}


@pytest.mark.parametrize("variant", [v for v in bundled_variants() if v.format == "gguf"], ids=named)
def test_gguf_metadata(variant: Variant) -> None:
    fields = gguf.GGUFReader(variant.path).fields
    assert fields["general.name"].contents() == variant.alias
    assert fields["general.architecture"].contents() == "qwen3"
    assert fields["general.license"].contents() == "apache-2.0"
    assert fields["qwen3.context_length"].contents() == variant.context_length
    assert "<|im_start|>" in fields["tokenizer.chat_template"].contents()


@pytest.mark.engines
@pytest.mark.parametrize("variant", runnable_variants(), ids=named)
def test_every_engine_counts_the_tokens_of_the_reference_tokenizer(variant: Variant) -> None:
    folder = bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = ["Ana will send 12 maps.", "Ünï ± 3,5 €\n\n\tnow!  it's", load_prompts(count=1)[0].prompt]
    expected = [len(tokenizer.encode(TEMPLATE_TEXT.format(prompt=text)).ids) for text in texts]
    assert prompt_tokens(variant, texts) == expected


def prompt_tokens(variant: Variant, texts: list[str]) -> list[int]:
    engine = for_variant(variant)
    endpoint = asyncio.run(engine.start(variant, EngineOptions(context_length=512)))
    counts = []
    try:
        for text in texts:
            body = {"model": endpoint.model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
            request = urllib.request.Request(
                f"{endpoint.url}/chat/completions",
                json.dumps(body).encode(),
                {"Content-Type": "application/json", **endpoint.headers},
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                counts.append(json.load(response)["usage"]["prompt_tokens"])
    finally:
        asyncio.run(engine.stop(endpoint))
    return counts


@pytest.fixture(scope="module")
def sampled() -> dict[str, list[float]]:
    prompts = load_prompts(count=SAMPLE)
    return {
        variant.id: [
            score_answer(text, prompt) for text, prompt in zip(answers(variant, prompts), prompts, strict=True)
        ]
        for variant in runnable_variants()
    }


@pytest.mark.engines
@pytest.mark.parametrize("name", ["notes-4m:q8_0", "notes-4m:q4_0", "notes-4m:onnx-int4"])
def test_the_largest_answers_held_out_prompts(name: str, sampled: dict[str, list[float]]) -> None:
    assert sum(sampled[name]) / SAMPLE >= LARGEST_BAR


@pytest.mark.engines
def test_the_largest_beats_the_smallest_on_the_sample(sampled: dict[str, list[float]]) -> None:
    assert sum(sampled["notes-4m:q8_0"]) > sum(sampled["notes-0.5m:q8_0"])


@pytest.mark.engines
def test_engines_reproduce_the_committed_scores(evaluation: dict[str, Any], sampled: dict[str, list[float]]) -> None:
    for name, scores in sampled.items():
        committed = evaluation["variants"][name]["scores"][:SAMPLE]
        assert sum(scores) / SAMPLE == pytest.approx(sum(committed) / SAMPLE, abs=0.05), name
