"""Estimated against observed memory, for models of random weights between 100M and 1.5B parameters.

usage: python benchmarks/memory.py [--work FOLDER] [--model NAME]... [--onnx FOLDER]... [--threads N]
       [-o FILE]

Each model (``shapes.py``) is written to FOLDER (else a temporary one), removed after use, loaded by the embedded
llama.cpp at several contexts and slots, and given prompts in every slot at once, of more than one batch together.
Observed is the peak of the worker's process tree (PSS where the system has it). ``--onnx`` adds folders of ONNX Runtime
GenAI; there requests ask for the whole context, for that engine takes memory for each request by itself. Exit code 1
where an estimate is off by more than 15 % and more than 150 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import aiohttp
import shapes
from engines import machine

from assay import engines
from assay.catalog import variants_at
from assay.catalog.memory import estimate
from assay.catalog.weigh import measure_of
from assay.formats import FileReader, Reader
from assay.measure.meters import Meter
from assay.types import Endpoint, EngineOptions, Estimate, File, Variant

SHARE, SLACK = 0.15, 150_000_000
SETTINGS = ((2048, 1), (8192, 1), (4096, 4))
PROMPT_TOKENS = 768
"""Of all slots together, for llama.cpp: more than one batch. It takes its cache whether or not that is filled."""
TOGETHER = 512
"""Prompt tokens of each of several slots for ONNX Runtime GenAI, which takes its cache for the answer asked for too."""
ANSWER = 16
"""Tokens that are waited for."""
LOWEST_ID = 300
PERIOD_S = 0.05
LIMIT_S = 300.0


@dataclass(frozen=True)
class Row:
    """One load; bytes."""

    model: str
    engine: str
    weights: int
    context: int
    slots: int
    estimate: Estimate
    observed: int
    kind: str | None

    @property
    def ratio(self) -> float:
        return self.estimate.likely / self.observed

    @property
    def passes(self) -> bool:
        error = abs(self.estimate.likely - self.observed)
        return error <= SHARE * self.observed or error <= SLACK


def opened(variant: Variant, file: File) -> Reader:
    folder = Path(variant.path or "")
    return FileReader((folder if folder.is_dir() else folder.parent) / file.path)


async def observe(name: str, variant: Variant, context: int, slots: int, threads: int | None) -> tuple[int, str | None]:
    """Load, fill every slot at once, and give the peak of what the worker took."""
    engine = engines.load(name)
    endpoint = await engine.start(variant, EngineOptions(context_length=context, slots=slots, threads=threads))
    meter = None
    try:
        assert endpoint.pid is not None
        meter = Meter(variant.id, name, endpoint.pid, period_s=PERIOD_S)
        meter.start()
        length = prompt_length(name, context, slots)
        most = ANSWER if name == "llamacpp" else context - length
        await asyncio.gather(*(ask(endpoint, length, slot, most) for slot in range(slots)))
    finally:
        readings = meter.stop() if meter else []
        await engine.stop(endpoint)
    peak = max(readings, key=lambda reading: reading.memory or 0)
    return peak.memory or 0, peak.memory_kind


def prompt_length(name: str, context: int, slots: int) -> int:
    """Tokens of the prompt of one slot."""
    if name == "llamacpp":
        return PROMPT_TOKENS // slots
    return context - ANSWER if slots == 1 else min(TOGETHER, context - ANSWER)


async def ask(endpoint: Endpoint, length: int, slot: int, most: int) -> None:
    """One greedy completion of at most ``most`` tokens, left after a few; slots share no prompt."""
    prompt = [LOWEST_ID + (slot * 131 + i * 7) % 5000 for i in range(length)]
    body = {"model": endpoint.model, "prompt": prompt, "max_tokens": most, "temperature": 0, "stream": True}
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=endpoint.headers) as session,
        session.post(f"{endpoint.url}/completions", json=body) as answer,
    ):
        answer.raise_for_status()
        events = 0
        async for line in answer.content:
            events += line.startswith(b"data: ")
            if events > ANSWER:
                break


def rows_of(name: str, variant: Variant, label: str, threads: int | None) -> Iterator[Row]:
    """All settings of one model."""
    shape, weights = measure_of(variant, opened)
    for context, slots in SETTINGS:
        if shape and shape.context_length and context > shape.context_length:
            continue
        observed, kind = asyncio.run(observe(name, variant, context, slots, threads))
        guess = estimate(shape, weights, engine=name, context_length=context, slots=slots)
        row = Row(label, name, weights, context, slots, guess, observed, kind)
        print(f"{label} {context} x {slots}: {row.ratio:.3f}", file=sys.stderr)
        yield row


def llamacpp_rows(work: Path, names: list[str], threads: int | None) -> Iterator[Row]:
    """The random models, each written, measured and removed."""
    for model in shapes.MODELS:
        if names and model.name not in names:
            continue
        path = shapes.write(model, work)
        try:
            yield from rows_of("llamacpp", variants_at(path)[0], f"{model.name} {model.type}", threads)
        finally:
            path.unlink()


def table(rows: list[Row]) -> str:
    """Markdown; sizes in MB."""
    head = [
        "model", "engine", "weights", "context x slots", "cache", "low", "likely", "high", "observed",
        "likely / observed", "bar (15 % or 150 MB)",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        sizes = [row.estimate.cache, row.estimate.low, row.estimate.likely, row.estimate.high, row.observed]
        cells = [row.model, row.engine, f"{row.weights / 1e6:.0f}", f"{row.context} x {row.slots}"]
        cells += [f"{size / 1e6:.0f}" for size in sizes]
        cells += [f"{row.ratio:.3f}", "held" if row.passes else "MISSED"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    errors = [abs(row.ratio - 1) for row in rows]
    inside = sum(row.estimate.low <= row.observed <= row.estimate.high for row in rows)
    held = sum(row.passes for row in rows)
    return (
        f"{len(rows)} loads of {len({row.model for row in rows})} models: median error {median(errors):.1%}, "
        f"largest {max(errors):.1%}; bar held by {held}, range held by {inside} of {len(rows)}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for the models while they are measured")
    parser.add_argument("--model", action="append", default=[], choices=[model.name for model in shapes.MODELS])
    parser.add_argument("--onnx", type=Path, action="append", default=[], help="a folder of ONNX Runtime GenAI")
    parser.add_argument("--threads", type=int, help="of the engines; fewer than the cores on a machine with other work")
    parser.add_argument("--only-onnx", action="store_true", help="leave the GGUF models out")
    parser.add_argument("-o", "--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        rows = [] if options.only_onnx else list(llamacpp_rows(Path(work), options.model, options.threads))
    for folder in options.onnx:
        rows += rows_of(
            "onnxruntime_genai", variants_at(folder)[0], "/".join(folder.absolute().parts[-2:]), options.threads
        )
    print(f"{about}\n\n{table(rows)}\n\nMB of 10^6 bytes. {summary(rows)}")
    if options.json:
        record = {"machine": about, "rows": [asdict(row) | {"estimate": str(row.estimate)} for row in rows]}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(row.passes for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
