"""Assay's service beside Foundry Local's own web service, both with their defaults, on the same weights, in turns.

usage: python benchmarks/foundry.py --work DIR [--rounds 16] [--small]

A Qwen2 model of random weights (402M parameters; ``--small``: 116M) in DIR: for Foundry Local as int4 ONNX by ONNX
Runtime GenAI's model builder with its defaults, for Assay as those very files and as ``assay model compile`` makes it.
Medians over rounds in which every server is asked once: first text after a prompt of some 30 tokens, decode rate of one
stream, tokens per second of eight requests at once. Each request has words of its own, so that no prefix cache helps.
Beside each variant stands what it lost against the original weights (Kullback-Leibler divergence in nats, equal greedy
tokens), so that speed is not bought unseen. Needs the extra ``compile``; Foundry Local's SDK is installed into an
environment of its own in DIR.

Bars, against Foundry Local: the best variant's decode rate 1.5, eight at once 2, first text 0.6 of its time; on the
very same ONNX files 1.2, 1.5 and 0.7. The best variant is the one with the largest product of the three in the first
rounds, among those that lose no more than Foundry Local's files; it and those files go on to the end.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
import family_models
import msgspec
import random_model
from families import ENGINES, prompts
from families import ask as probe
from family_models import Shape, products
from msgspec import structs
from served import Served
from streams import ask, together
from taken import Taken

from assay import measure
from assay.catalog import variants_at
from assay.compile.onnx import BUILDER, OFFLINE
from assay.compile.passages import default_text
from assay.compile.proof import prove
from assay.compile.reference import ask_original
from assay.types import Proof, Variant

LARGE = Shape(hidden=896, layers=24, heads=14, kv_heads=2, head=64, ffn=4864, vocab=49152)
NAME = "random"
SAME = "builder's int4"
TOKENS = 64
TOGETHER = 8
PROMPTS, PASSAGES = 8, 2
FIRST = 4
"""Rounds in which every variant takes part."""
SDK = "foundry-local-sdk"
BEST, SAME_FILES = (1.5, 2.0, 0.6), (1.2, 1.5, 0.7)


@dataclass
class Side:
    """One server with one form of the model; what was measured of it."""

    label: str
    base: str
    model: str
    ttft: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)


def forms(work: Path, shape: Shape) -> tuple[Path, list[Variant]]:
    """The original's folder and its variants."""
    hf = family_models.make(work / "hf", "qwen2", shape)
    made = [*products(NAME, hf, "onnx", ["int4", "int8"], work), *products(NAME, hf, "gguf", ["q8_0", "q4_0"], work)]
    return hf, [built(hf, work), *made]


def built(hf: Path, work: Path) -> Variant:
    """The original as the model builder makes int4 for CPUs when it is told nothing else."""
    folder = work / "builder"
    if not folder.exists():
        making = work / "unfinished-builder"
        command = [sys.executable, "-m", BUILDER, "-i", str(hf), "-o", str(making), "-p", "int4", "-e", "cpu"]
        command += ["-c", str(work / "builder-cache")]
        subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, **OFFLINE})
        making.rename(folder)
    return structs.replace(variants_at(folder, NAME)[0], id=f"{NAME}:{SAME}")


def losses(hf: Path, variants: list[Variant], work: Path) -> dict[str, Proof]:
    """What each variant lost against the original in fp32; kept in DIR for files of the same size."""
    sizes = "-".join(str(variant.disk) for variant in variants)
    kept = work / f"losses-{hashlib.sha256(sizes.encode()).hexdigest()[:12]}.json"
    if not kept.exists():
        original = ask_original(hf, prompts()[:PROMPTS], work=work / "original", text=default_text()[:PASSAGES])
        found = {v.id: prove(original, v, engine=ENGINES[v.format], probe=probe, work=work / "probe") for v in variants}
        kept.write_bytes(msgspec.json.encode(found))
    return msgspec.json.decode(kept.read_bytes(), type=dict[str, Proof])


@contextlib.contextmanager
def foundry(work: Path, files: Path) -> Iterator[Side]:
    """Foundry Local's service over ``files``."""
    python = work / "foundry" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(work / "foundry")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", SDK], check=True)
    cache = work / "foundry-cache"
    place = cache / "local" / NAME
    if not place.exists():
        shutil.copytree(files, place)
        (place / "inference_model.json").write_text(json.dumps({"Name": f"{NAME}:1"}))
    port = two_ports()
    command = [str(python), str(Path(__file__).parent / "foundry_service.py"), str(port), str(cache), NAME]
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    with (work / "foundry.log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        )
    try:
        assert process.stdout is not None
        if not any(line.startswith("ready") for line in process.stdout):
            raise RuntimeError((work / "foundry.log").read_text()[-2000:])
        yield Side("Foundry Local", f"http://127.0.0.1:{port}/v1", f"{NAME}:1")
    finally:
        process.kill()
        process.communicate()


def two_ports() -> int:
    """A free port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError, OverflowError):
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            other.bind(("127.0.0.1", port + 1))
            return port


async def take_turns(sides: list[Side], rounds: int, number: int = 0) -> None:
    """Ask every side once a round, each time with words behind ``number`` that none has read before."""

    def words() -> str:
        nonlocal number
        number += 1
        return f"Number {number}: tell me what the notes of the meeting say about plan {number * 7} and who does what."

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for side in sides:
            await ask(session, side.base, side.model, words(), TOKENS)
            await together(session, side.base, side.model, [words() for _ in range(TOGETHER)], TOKENS)
        for i in range(rounds):
            for side in sides if i % 2 else reversed(sides):
                answer = await ask(session, side.base, side.model, words(), TOKENS)
                side.ttft.append(answer.ttft)
                side.rate.append(answer.rate)
                texts = [words() for _ in range(TOGETHER)]
                side.shared.append(await together(session, side.base, side.model, texts, TOKENS))
                print(f"round {i + 1}: {side.label} {answer.rate:.0f} tok/s", file=sys.stderr)


def ratios(side: Side, peer: Side) -> tuple[float, float, float]:
    """Decode rate, throughput and first text of ``side`` over those of ``peer``, each round's own."""
    pairs = [(side.rate, peer.rate), (side.shared, peer.shared), (side.ttft, peer.ttft)]
    decode, shared, first = (median(a / b for a, b in zip(own, other, strict=False)) for own, other in pairs)
    return decode, shared, first


def meets(found: tuple[float, float, float], bar: tuple[float, float, float]) -> bool:
    """More tokens per second, alone and together, and an earlier first one."""
    return found[0] >= bar[0] and found[1] >= bar[1] and found[2] <= bar[2]


def best_of(sides: list[Side], peer: Side, proofs: dict[str, Proof]) -> Side:
    """The fastest in all three among variants that lose no more than the files that Foundry Local runs."""

    def kl(side: Side) -> float:
        found = proofs[side.label].kl
        return found.value if found is not None else float("inf")

    def speed(side: Side) -> float:
        decode, shared, first = ratios(side, peer)
        return decode * shared / first

    most = next(kl(side) for side in sides if side.label.endswith(SAME))
    return max((side for side in sides if kl(side) <= most), key=speed)


def table(sides: list[Side], peer: Side, proofs: dict[str, Proof]) -> None:
    """Print what was measured."""
    print("| server | files | KL, nats | equal tokens | first text, ms | tok/s | 8 at once, tok/s | ratios |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for side in (peer, *sides):
        proof = proofs[f"{NAME}:{SAME}" if side is peer else side.label]
        kl = f"{proof.kl.value:.3f}" if proof.kl is not None else "unknown"
        figures = f"{median(side.ttft) * 1000:.0f} | {median(side.rate):.0f} | {median(side.shared):.0f}"
        against = " / ".join(f"{one:.2f}" for one in ratios(side, peer)) if side is not peer else ""
        who = "Foundry Local" if side is peer else "Assay"
        files = SAME if side is peer else side.label.partition(":")[2]
        print(f"| {who} | {files} | {kl} | {proof.agreement.value:.1%} | {figures} | {against} |")


def main() -> int:
    """Measure and print; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    work = args.work / ("foundry-116m" if args.small else "foundry-402m")
    work.mkdir(parents=True, exist_ok=True)
    hf, variants = forms(work, random_model.SHAPE if args.small else LARGE)
    proofs = losses(hf, variants, work)
    same = next(variant for variant in variants if variant.id.endswith(SAME))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as servers:
        peer = servers.enter_context(foundry(work, Path(same.path or "")))
        sides = []
        for variant in variants:
            home = Path(folder) / variant.id.replace(":", "-")
            home.mkdir()
            entry = {"alias": "model", "path": variant.path}
            (home / "models.json").write_text(json.dumps([entry]))
            served = servers.enter_context(Served(home))
            model = served.post("/assay/load", {"model": "model"})["id"]
            sides.append(Side(variant.id, f"{served.address}/v1", model))
        taken = servers.enter_context(Taken())
        measure.run(take_turns([peer, *sides], FIRST))
        best, on_same = best_of(sides, peer, proofs), next(side for side in sides if side.label.endswith(SAME))
        going_on = [peer, on_same, *([best] if best is not on_same else [])]
        measure.run(take_turns(going_on, args.rounds - FIRST, 1000))
    table(sides, peer, proofs)
    print(
        f"\n{args.rounds} rounds, {FIRST} of them with all variants. The host gave {taken} of the processors' time "
        "to others.\nRatios are decode rate, eight at once and time to the first text, over Foundry Local's.\n"
        "Random weights have no margins, so that four bits change most of their greedy tokens; losses serve to compare."
    )
    met = True
    for what, side, bar in (("best variant", best, BEST), ("the same ONNX files", on_same, SAME_FILES)):
        found = ratios(side, peer)
        good = meets(found, bar)
        met &= good
        shown = " / ".join(f"{one:.2f}" for one in found)
        wanted = f">= {bar[0]} / >= {bar[1]} / <= {bar[2]}"
        verdict = "held" if good else "MISSED"
        print(f"\n{what} ({side.label}): decode, 8 at once, first text {shown} (bars {wanted}): {verdict}.")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
