"""``assay model list`` over a catalog of 5,000 entries and a store of 200 variants: bar 0.5 s for the whole command.

usage: python benchmarks/listing.py [--entries 5000] [--stored 200] [--runs 9] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay import catalog, store
from assay.errors import UnknownModel
from assay.store.records import write_record
from assay.types import File, Format, Stored, Variant

BAR_S = 0.5
FAMILIES = ("qwen", "phi", "llama", "gemma", "mistral", "smol", "granite", "olmo")
TASKS = ("chat", "code", "embeddings", "summary")
QUANTISATIONS = ("q4_k_m", "q8_0", "q6_k", "q5_k_m")


def entry(number: int) -> dict[str, Any]:
    """One entry of a registry; every third names a repository, every fifth nothing but itself."""
    name = f"{FAMILIES[number % len(FAMILIES)]}-{number // len(FAMILIES)}b-instruct"
    told: dict[str, Any] = {"alias": name, "task": TASKS[number % len(TASKS)]}
    if number % 5:
        told |= {"size_mb": 100 + number, "min_ram_gb": 1 + number % 30, "license": "apache-2.0", "notes": "made up"}
    if number % 3 == 0:
        told["source"] = f"hf:made-up/{name}-GGUF"
    return told


def stored(number: int) -> Stored:
    """One variant of the store; half of them belong to entries of the registry."""
    family = FAMILIES[number % len(FAMILIES)]
    alias = f"{family}-{number // len(FAMILIES)}b-instruct" if number % 2 else f"own-{number}"
    quantisation = QUANTISATIONS[number % len(QUANTISATIONS)]
    return Stored(
        variant=Variant(
            id=f"{alias}:{quantisation}",
            alias=alias,
            format="gguf",
            source=f"hf:made-up/{alias}-GGUF",
            revision="0" * 40,
            quantisation=quantisation,
            files=(File(path=f"{alias}-{quantisation}.gguf", size=4, sha256="0" * 64),),
            parameters=500_000_000,
            context_length=4096,
            licence="mit",
            tasks=("chat",),
            capabilities=("chat",),
        ),
        added="2026-01-01T00:00:00Z",
        origin="download",
    )


def build(home: Path, entries: int, variants: int) -> None:
    """A home with a registry and a store, as the commands would leave them."""
    home.mkdir(parents=True)
    (home / "models.json").write_text(json.dumps([entry(number) for number in range(entries)]), encoding="utf-8")
    layout = store.Layout(home / "models")
    for number in range(variants):
        record = stored(number)
        name = store.slug(record.variant.id)
        folder = layout.files / name
        folder.mkdir(parents=True)
        (folder / record.variant.files[0].path).write_bytes(b"GGUF")
        write_record(layout.record(name), record)


def timed(action: Callable[[], object], runs: int) -> float:
    """Median seconds of ``runs`` calls, after one that is not counted."""
    action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_process(home: Path, runs: int) -> dict[str, float]:
    """The parts of the command that read and decide, without estimates, which the app looks up by itself."""
    bundled, curated = catalog.bundled_variants(), catalog.curated()
    registry = catalog.read_registry(home / "models.json", bundled=bundled)
    kept = store.Store(home / "models")
    whole = catalog.Catalog(registries=(registry,), stored=tuple(kept.list()), bundled=bundled, curated=curated)

    def listed(**how: Any) -> list[catalog.Row]:
        engines: dict[Format, tuple[str, ...]] = {"gguf": ("llamacpp",), "onnx": ("onnxruntime-genai",)}
        return catalog.listing(whole, estimate_of=lambda _: None, budget=8 * 10**9, engines=engines, **how)

    def mistyped() -> None:
        try:
            whole.find("qwen-77b-instrukt")
        except UnknownModel:
            return

    return {
        "read the registry": timed(lambda: catalog.read_registry(home / "models.json", bundled=bundled), runs),
        "read the store": timed(kept.list, runs),
        "list": timed(listed, runs),
        "list every variant, searched": timed(lambda: listed(variants=True, search="chat qwen"), runs),
        "find a name": timed(lambda: whole.find("qwen-78b-instruct"), runs),
        "name those near to a wrong one": timed(mistyped, runs),
    }


def command(home: Path, runs: int) -> float:
    """The whole command in a process of its own."""
    arguments = [sys.executable, "-m", "assay", "model", "list"]
    env = {**os.environ, "ASSAY_HOME": str(home), "HF_HUB_OFFLINE": "1"}

    def once() -> None:
        subprocess.run(arguments, check=True, env=env, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return timed(once, runs)


def main() -> int:
    """Build the home, time, print; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--stored", type=int, default=200)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        build(home, args.entries, args.stored)
        rows = in_process(home, args.runs)
        rows["the whole command: assay model list"] = whole = command(home, args.runs)
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        print(f"{args.entries} entries, {args.stored} stored variants; medians of {args.runs}.\n")
        print("| what | seconds | bar |\n| --- | --- | --- |")
        for what, seconds in rows.items():
            print(f"| {what} | {seconds:.3f} | {BAR_S if what.startswith('the whole') else ''} |")
    return 0 if whole <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
