"""What the door costs: the service against its own worker asked directly, in turns, on a model of random weights.

usage: python benchmarks/gateway.py --work DIR [--pairs 40]

For each engine, medians over pairs: (a) how much later the first text comes, (b) the decode rate of one stream over the
worker's own, (c) tokens per second of eight streams at once over the worker's own. The first is shown for the bundled
model too, which is so fast that nothing hides the door. The model, of 116M parameters, is made in DIR the first time
(``random_model.py``; needs the extra ``compile``).

Each way through one more process waits for a processor, so a host that gives this machine's to others is seen in all
three. Bars are held against pairs in which it took next to nothing; of others as many are made at most, and shown too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp
import random_model
from served import KNOWN, Served
from streams import ask, together
from taken import Taken

from assay import measure

TOKENS = 96
TOGETHER = 8
SHORT = 8
"""Pairs of short answers for one of the others: a first text varies by more than the door costs, for other reasons."""
LATER_MS, KEPT, KEPT_TOGETHER = 2.0, 0.98, 0.97
QUIET = 0.01
"""A pair counts where the host took no more of the processors' time."""
LEAST = 20
"""Pairs that a bar needs: the figures of two that follow each other differ by a tenth."""
FAST = "notes-4m"
PROMPT = "Tell me what the notes of the meeting of {} say about the plan, and who does what until when."


class Sides(NamedTuple):
    """The addresses of the two."""

    direct: str
    door: str


@dataclass
class Pairs:
    """What pairs taken one right after the other gave: a figure of each that was quiet, and of each that was not."""

    quiet: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def add(self, taken: Taken, *figures: float) -> None:
        quiet = taken.share is None or taken.share <= QUIET
        (self.quiet if quiet else self.others).extend(figures)


@dataclass
class Compared:
    """Milliseconds later, decode rate kept, throughput kept."""

    later: Pairs = field(default_factory=Pairs)
    kept: Pairs = field(default_factory=Pairs)
    shared: Pairs = field(default_factory=Pairs)


async def compare(served: Served, model: str, pairs: int) -> Compared:
    """So many quiet pairs of each kind, unless as many of one were not."""
    sides = Sides(served.worker(), f"{served.address}/v1")
    found, turn = Compared(), 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=KNOWN) as session:
        for side in sides:
            await together(session, side, model, [PROMPT.format(i) for i in range(TOGETHER)], TOKENS)
        while min(len(found.kept.quiet), len(found.shared.quiet)) < pairs and turn < 2 * pairs:
            turn += 1
            await _measure(found, session, sides, model, turn)
    return found


async def _measure(found: Compared, session: aiohttp.ClientSession, sides: Sides, model: str, turn: int) -> None:
    prompts = [PROMPT.format(j) for j in range(TOGETHER)]
    later: list[float] = []
    with Taken() as taken:
        for i in range(SHORT):
            order = sides if i % 2 else sides[::-1]
            first = {side: (await ask(session, side, model, PROMPT.format("May"), 2)).ttft for side in order}
            later.append((first[sides.door] - first[sides.direct]) * 1000)
    found.later.add(taken, *later)
    order = sides if turn % 2 else sides[::-1]
    with Taken() as taken:
        rates = {side: (await ask(session, side, model, PROMPT.format("May"), TOKENS)).rate for side in order}
    if rates[sides.direct]:
        found.kept.add(taken, rates[sides.door] / rates[sides.direct])
    with Taken() as taken:
        rates = {side: await together(session, side, model, prompts, TOKENS) for side in order}
    found.shared.add(taken, rates[sides.door] / rates[sides.direct])


def main() -> int:
    """Measure and print; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=40)
    args = parser.parse_args()
    files = random_model.make(args.work)
    made = {"random-gguf-q8_0": files.gguf, "random-onnx-int4": files.onnx_int4}
    met = True
    bars = f"first text later, ms (<= {LATER_MS:g}) | decode kept (>= {KEPT}) | {TOGETHER} streams kept"
    print(f"| model | engine | pairs | {bars} (>= {KEPT_TOGETHER}) | |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        entries = [{"alias": name, "path": str(path)} for name, path in made.items()]
        (home / "models.json").write_text(json.dumps(entries))
        for alias in (FAST, *made):
            with Served(home, "--parallel", str(TOGETHER), key_known=True) as served:
                loaded = served.post("/assay/load", {"model": alias})
                found = measure.run(compare(served, loaded["id"], args.pairs))
            good = holds(found, first_text_alone=alias == FAST)
            met &= good is True
            verdict = {True: "held", False: "MISSED", None: "host too busy"}[good]
            three = (found.later, found.kept, found.shared)
            quiet, others = cells([one.quiet for one in three]), cells([one.others for one in three])
            print(f"| {alias} | {loaded['engine']} | quiet | {quiet} | {verdict} |")
            print(f"| | | others | {others} | |", flush=True)
    print(
        "\nMedians, each with the number of its pairs. The bundled model (4M parameters, hundreds of tokens in a blink)"
        " is shown for the first text alone.\n"
        f"Bars are held against quiet pairs: the host took at most {QUIET:.0%} of the processors' time for others "
        "meanwhile."
    )
    return 0 if met else 1


def holds(found: Compared, *, first_text_alone: bool) -> bool | None:
    """Whether the bars are met by the quiet pairs; None where there are too few."""
    later, kept, shared = found.later.quiet, found.kept.quiet, found.shared.quiet
    judged = [later] if first_text_alone else [later, kept, shared]
    if min(map(len, judged)) < LEAST:
        return None
    good = median(later) <= LATER_MS
    return good if first_text_alone else good and median(kept) >= KEPT and median(shared) >= KEPT_TOGETHER


def cells(figures: list[list[float]]) -> str:
    """The medians of the three, each with how many figures it is of."""
    return " | ".join(f"{median(some or [nan]):.3f} ({len(some)})" for some in figures)


if __name__ == "__main__":
    sys.exit(main())
