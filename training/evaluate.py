"""Evaluate the shipped weights on held-out prompts through the real engines.

    python -m training.evaluate

Writes `training/evaluation.json` and `training/evaluation.md`. The score of an answer is the product of its checks
(for a summary: the share of the aspects mentioned, and nothing if it has more than one sentence); intervals are
bootstrap intervals over prompts, and differences are paired by prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from assay.catalog.bundled import bundled_variants
from assay.engines import for_variant
from assay.judge.checks import check
from assay.types import Endpoint, EngineOptions, Prompt, Variant
from training.notes import TASKS, held_out_prompts

SEED, PROMPTS = 1001, 300
MAX_TOKENS = 256
RESAMPLES, CONFIDENCE = 10_000, 0.95
RUNNABLE = ("gguf", "onnx")
NEIGHBOURS = (
    ("notes-4m:q8_0", "notes-1.5m:q8_0"),
    ("notes-1.5m:q8_0", "notes-0.5m:q8_0"),
    ("notes-4m:q8_0", "notes-4m:q4_0"),
    ("notes-4m:q8_0", "notes-4m:onnx-int4"),
)

Scores = NDArray[np.float64]


def runnable_variants() -> list[Variant]:
    """The bundled models that an engine runs as they are; safetensors are for compiling."""
    return [variant for variant in bundled_variants() if variant.format in RUNNABLE]


def load_prompts(seed: int = SEED, count: int = PROMPTS) -> list[Prompt]:
    """Held-out prompts, balanced over the tasks."""
    return msgspec.convert(held_out_prompts(seed, count), list[Prompt])


def score_answer(text: str, prompt: Prompt) -> float:
    """The product of the prompt's checks, 0..1."""
    assert prompt.expect is not None
    return math.prod(finding.value for finding in check(text, prompt.expect))


def ask(endpoint: Endpoint, prompt: Prompt) -> str:
    """One greedy chat completion."""
    body = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": prompt.prompt}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
    }
    request = urllib.request.Request(  # noqa: S310 - the address is our own worker's
        f"{endpoint.url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **endpoint.headers},
    )
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
        return str(json.load(response)["choices"][0]["message"]["content"] or "")


def answers(variant: Variant, prompts: list[Prompt], threads: int | None = None) -> list[str]:
    """What the variant answers, on the engine of its format."""
    engine = for_variant(variant)
    endpoint = asyncio.run(engine.start(variant, EngineOptions(context_length=1024, threads=threads)))
    try:
        return [ask(endpoint, prompt) for prompt in prompts]
    finally:
        asyncio.run(engine.stop(endpoint))


def interval(values: Scores, seed: int = 0) -> tuple[float, float]:
    """The bootstrap interval of a mean, by resampling prompts."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def figure(values: Scores) -> dict[str, Any]:
    """Mean and interval, rounded for the record."""
    return {"mean": round(float(values.mean()), 4), "interval": [round(end, 4) for end in interval(values)]}


def evaluate(variants: list[Variant], prompts: list[Prompt], threads: int | None) -> dict[str, Any]:
    """Ask every runnable variant every prompt; gives the whole record."""
    scores: dict[str, Scores] = {}
    report: dict[str, Any] = {"seed": SEED, "prompts": len(prompts), "confidence": CONFIDENCE, "variants": {}}
    for variant in variants:
        began = time.monotonic()
        texts = answers(variant, prompts, threads)
        scored = [score_answer(text, prompt) for text, prompt in zip(texts, prompts, strict=True)]
        scores[variant.id] = np.array(scored)
        report["variants"][variant.id] = {
            "parameters": variant.parameters,
            "bytes": variant.disk,
            "digest": variant.digest,
            **figure(scores[variant.id]),
            "scores": [round(value, 4) for value in scored],
            "tasks": {
                task: round(float(np.mean([s for s, p in zip(scored, prompts, strict=True) if task in p.tags])), 4)
                for task in TASKS
            },
        }
        print(variant.id, figure(scores[variant.id]), f"{time.monotonic() - began:.0f} s", flush=True)
    report["differences"] = [
        {"of": [first, second], **figure(scores[first] - scores[second])} for first, second in NEIGHBOURS
    ]
    return report


def markdown(report: dict[str, Any]) -> str:
    """The record as two tables."""
    lines = [
        f"Mean score over {report['prompts']} held-out prompts (seed {report['seed']}), with 95 % intervals.",
        "",
        f"| variant | parameters | MB | score | interval | {' | '.join(TASKS)} |",
        "| --- | --: | --: | --: | --- |" + " --: |" * len(TASKS),
    ]
    for name, found in report["variants"].items():
        low, high = found["interval"]
        tasks = " | ".join(f"{found['tasks'][task]:.3f}" for task in TASKS)
        size = f"{found['parameters']:,} | {found['bytes'] / 1e6:.2f}"
        lines.append(f"| {name} | {size} | {found['mean']:.3f} | {low:.3f} to {high:.3f} | {tasks} |")
    lines += ["", "| difference, paired by prompt | mean | interval |", "| --- | --: | --- |"]
    for found in report["differences"]:
        low, high = found["interval"]
        lines.append(f"| {found['of'][0]} less {found['of'][1]} | {found['mean']:+.3f} | {low:+.3f} to {high:+.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Evaluate and write both files."""
    parser = argparse.ArgumentParser(description="Evaluate the bundled models through the real engines.")
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--threads", type=int, help="threads of each engine")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the two files written")
    given = parser.parse_args()
    report = evaluate(runnable_variants(), load_prompts(count=given.prompts), given.threads)
    (given.out / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (given.out / "evaluation.md").write_text(markdown(report), encoding="utf-8")


if __name__ == "__main__":
    main()
