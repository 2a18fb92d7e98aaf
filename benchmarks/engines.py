"""What the worker process costs, and what sharing an engine gains, on a model of about 116M random parameters.

usage: python benchmarks/engines.py --work FOLDER [--engine llamacpp] [--threads N] [--repeats 24] [-o FILE]

For each engine, in pairs measured one right after the other, so that a noisy machine disturbs both alike:
(a) decode rate of one streamed request through the worker, over that of the engine's own interface called in a
plain loop in a process of its own, with the same threads;
(b) tokens per second of eight requests at once, over those of one.
Give ``--threads`` fewer than the cores on a machine that does other work: engines whose threads spin while they wait
for each other fall to a hundredth of their speed when one of them has to wait for a core.
The medians of the ratios are printed as a Markdown table. The model is made in FOLDER the first time
(``random_model.py``; needs the extra ``compile``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import random_model

from assay import engines
from assay.types import Endpoint, EngineOptions, Format, Variant

TOKENS = 64
TOGETHER = 8
CONTEXT = 512
LIMIT_S = 220.0
PROMPT = tuple(range(300, 332))
KEPT = 0.95
GAIN = {"llamacpp": 1.4, "onnxruntime_genai": 2.0}
FORMATS: dict[str, Format] = {"llamacpp": "gguf", "onnxruntime_genai": "onnx"}


@dataclass(frozen=True)
class Row:
    """One line of the table; rates in tokens per second, medians over the repeats."""

    engine: str
    version: str | None
    threads: int
    bare: float
    bare_defaults: float | None
    """ONNX Runtime's own thread settings, where the worker has others."""
    streamed: float
    kept: list[float]
    best_kept: float
    """The fastest streamed run over the fastest bare one: what remains where nothing else disturbs."""
    one: float
    together: float
    gain: list[float]

    def passes(self) -> bool:
        return median(self.kept) >= KEPT and median(self.gain) >= GAIN[self.engine]


class Bare:
    """The engine's own interface in a process of its own; each ``rate`` is one run of ``TOKENS`` tokens."""

    def __init__(self, engine: str, path: Path, threads: int) -> None:
        command = [sys.executable, __file__, "--bare", engine, str(path), str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rate(self) -> float:
        """Decoded tokens per second, the first token left out."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def serve_bare(engine: str, path: str, threads: int) -> None:
    """Body of the process behind ``Bare``."""
    real = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    decode = {"llamacpp": bare_llamacpp, "onnxruntime_genai": bare_onnxruntime_genai}[engine](path, threads)
    for _ in sys.stdin:
        times = list(next(decode))
        print((len(times) - 1) / (times[-1] - times[0]), file=real, flush=True)


def bare_llamacpp(path: str, threads: int) -> Iterator[list[float]]:
    """Arrival of each token in the stream callback of xllamacpp's server object."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = 0
    params.verbosity = 0
    server = xllamacpp.Server(params)
    body = {"prompt": PROMPT, "n_predict": TOKENS, "stream": True, "cache_prompt": False, "temperature": 0.0}
    body |= {"samplers": ["top_k"], "top_k": 1}
    while True:
        times: list[float] = []
        server.handle_completions(json.dumps(body), lambda _chunk, times=times: bool(times.append(time.perf_counter())))
        yield times[:TOKENS]


def bare_onnxruntime_genai(path: str, threads: int) -> Iterator[list[float]]:
    """The package's own token loop; ``threads`` 0: its own defaults."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime_genai as og

    config = og.Config(path)
    if threads:
        options = {"intra_op_num_threads": threads, "session.intra_op.spin_duration_us": "50"}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
    model = og.Model(config)
    while True:
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=len(PROMPT) + TOKENS, do_sample=False)
        generator = og.Generator(model, params)
        generator.append_tokens(list(PROMPT))
        times = []
        for _ in range(TOKENS):
            generator.generate_next_token()
            generator.get_next_tokens()
            times.append(time.perf_counter())
        yield times


@dataclass(frozen=True)
class Answer:
    """Arrival of the first and the last text with the token counts at those moments, and the end; seconds."""

    first: tuple[int, float]
    last: tuple[int, float]
    done: float

    @property
    def rate(self) -> float:
        return (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])


async def ask(session: aiohttp.ClientSession, endpoint: Endpoint, prompt: tuple[int, ...]) -> Answer:
    """One streamed greedy completion of ``TOKENS`` tokens."""
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {"model": endpoint.model, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "stream": True}
    marks: list[tuple[int, float]] = []
    body = {**body, "stream_options": options}
    async with session.post(f"{endpoint.url}/completions", json=body, headers=endpoint.headers) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            now = time.perf_counter()
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if event["choices"] and event["choices"][0]["text"]:
                    marks.append((event["usage"]["completion_tokens"], now))
    assert event["usage"]["completion_tokens"] == TOKENS
    return Answer(marks[0], marks[-1], time.perf_counter())


async def throughput(session: aiohttp.ClientSession, endpoint: Endpoint, requests: int) -> float:
    """Tokens per second of so many requests sent at once, over the time until the last has ended."""
    begun = time.perf_counter()
    prompts = [tuple(token + 50 * i for token in PROMPT) for i in range(requests)]
    answers = await asyncio.gather(*(ask(session, endpoint, prompt) for prompt in prompts))
    return requests * TOKENS / (max(answer.done for answer in answers) - begun)


async def measure(name: str, path: Path, threads: int | None, repeats: int) -> Row:
    """All figures of one engine."""
    engine = engines.load(name)
    variant = Variant(id=f"random:{name}", alias="random", format=FORMATS[name], source="random", path=str(path))
    endpoints: list[Endpoint] = []
    bares: list[Bare] = []
    try:
        for slots in (1, TOGETHER):
            options = EngineOptions(slots=slots, context_length=CONTEXT, threads=threads)
            endpoints.append(await engine.start(variant, options))
        used = int(endpoints[0].arguments["threads"])
        bares += [Bare(name, path, count) for count in ((used, 0) if name == "onnxruntime_genai" else (used,))]
        rates = await repeat(endpoints[0], endpoints[1], bares, repeats)
    finally:
        for bare in bares:
            bare.close()
        for endpoint in endpoints:
            await engine.stop(endpoint)
    return Row(
        engine=name,
        version=endpoints[0].engine_version,
        threads=used,
        bare=median(rates["bare"]),
        bare_defaults=median(rates["defaults"]) if rates["defaults"] else None,
        streamed=median(rates["streamed"]),
        kept=ratios(rates["streamed"], rates["bare"]),
        best_kept=max(rates["streamed"]) / max(rates["bare"]),
        one=median(rates["one"]),
        together=median(rates["together"]),
        gain=ratios(rates["together"], rates["one"]),
    )


async def repeat(single: Endpoint, shared: Endpoint, bares: list[Bare], repeats: int) -> dict[str, list[float]]:
    """Alternate what is compared, after one request to warm up each side."""
    rates: dict[str, list[float]] = {key: [] for key in ("bare", "defaults", "streamed", "one", "together")}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for endpoint in (single, shared):
            await ask(session, endpoint, PROMPT)
        for bare in bares:
            await asyncio.to_thread(bare.rate)
        for i in range(repeats):
            rates["bare"].append(await asyncio.to_thread(bares[0].rate))
            rates["streamed"].append((await ask(session, single, PROMPT)).rate)
            for defaults in bares[1:]:
                rates["defaults"].append(await asyncio.to_thread(defaults.rate))
            if i % 3 == 0:
                rates["one"].append(await throughput(session, shared, 1))
                rates["together"].append(await throughput(session, shared, TOGETHER))
    return rates


def ratios(upper: list[float], lower: list[float]) -> list[float]:
    return [a / b for a, b in zip(upper, lower, strict=True)]


def machine() -> str:
    """One line: processor, cores, load."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    load = f", load average {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {os.cpu_count()} cores{load}; {platform.system()}, Python {platform.python_version()}"


def table(rows: list[Row]) -> str:
    """Markdown; ratios as median (lowest to highest of the repeats)."""
    head = [
        "engine", "threads", "bare tok/s", "bare, library defaults", "streamed tok/s", f"streamed / bare (>= {KEPT})",
        "best / best",
        "1 request tok/s", f"{TOGETHER} requests tok/s", "8 / 1", "bar", "",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [
            f"{row.engine} {row.version}",
            str(row.threads),
            f"{row.bare:.1f}",
            f"{row.bare_defaults:.1f}" if row.bare_defaults else "same",
            f"{row.streamed:.1f}",
            spread(row.kept),
            f"{row.best_kept:.3f}",
            f"{row.one:.1f}",
            f"{row.together:.1f}",
            spread(row.gain),
            f">= {GAIN[row.engine]}",
            "held" if row.passes() else "MISSED",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


async def run(options: argparse.Namespace) -> list[Row]:
    made = random_model.make(options.work)
    paths = {"llamacpp": made.gguf, "onnxruntime_genai": made.onnx_int4}
    chosen = options.engine or list(paths)
    try:
        async with asyncio.timeout(LIMIT_S):
            return [await measure(name, paths[name], options.threads, options.repeats) for name in chosen]
    except TimeoutError:
        raise SystemExit(f"not done within {LIMIT_S:g} s: the machine is too busy; try --threads 2") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder that keeps the model")
    parser.add_argument("--engine", action="append", choices=list(GAIN))
    parser.add_argument("--threads", type=int, help="instead of the engines' own choice")
    parser.add_argument("--repeats", type=int, default=24)
    parser.add_argument("-o", "--json", type=Path, help="write all ratios there")
    parser.add_argument("--bare", nargs=3, metavar=("ENGINE", "PATH", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve_bare(options.bare[0], options.bare[1], int(options.bare[2]))
        return 0
    if options.work is None:
        parser.error("--work FOLDER is needed")
    about = machine()
    rows = asyncio.run(run(options))
    print(f"{about}\n\n{table(rows)}")
    if options.json:
        record: dict[str, Any] = {"machine": about, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(row.passes() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
