"""What the door costs: the service against its own worker asked directly, in turns, on a model of random weights.

usage: python benchmarks/gateway.py --work DIR [--rounds 20]

For each engine, medians over pairs: (a) how much later the first text comes, (b) the decode rate of one stream over the
worker's own, (c) tokens per second of eight streams at once over the worker's own. The first is shown for the bundled
model too, which is so fast that nothing hides the door. The model, of 116M parameters, is made in DIR the first time
(``random_model.py``; needs the extra ``compile``).

Each way through one more process waits for a processor, so a host that gives this machine's to others is seen in all
three. Bars are held against rounds in which it took next to nothing; of others as many are made at most, and shown too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import chain
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
"""Pairs of short answers a round: a first text varies by more than the door costs, for other reasons."""
LATER_MS, KEPT, KEPT_TOGETHER = 2.0, 0.98, 0.97
QUIET = 0.01
"""A round counts where the host took no more of the processors' time."""
LEAST = 8
"""Rounds that a bar needs."""
PROMPT = "Tell me what the notes of the meeting of {} say about the plan, and who does what until when."


@dataclass
class Round:
    """Pairs taken one right after the other: milliseconds later, decode rate kept, throughput kept."""

    later: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    @property
    def quiet(self) -> bool:
        return self.taken.share is None or self.taken.share <= QUIET


class Sides(NamedTuple):
    """The addresses of the two."""

    direct: str
    door: str


async def compare(served: Served, model: str, rounds: int) -> list[Round]:
    """So many quiet rounds, and at most as many others."""
    sides = Sides(served.worker(), f"{served.address}/v1")
    made: list[Round] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=KNOWN) as session:
        for side in sides:
            await together(session, side, model, [PROMPT.format(i) for i in range(TOGETHER)], TOKENS)
        while sum(one.quiet for one in made) < rounds and sum(not one.quiet for one in made) < rounds:
            made.append(one := Round())
            with one.taken:
                await _measure(one, session, sides, model, len(made))
    return made


async def _measure(one: Round, session: aiohttp.ClientSession, sides: Sides, model: str, turn: int) -> None:
    prompts = [PROMPT.format(j) for j in range(TOGETHER)]
    for i in range(SHORT):
        order = sides if i % 2 else sides[::-1]
        first = {side: (await ask(session, side, model, PROMPT.format("May"), 2)).ttft for side in order}
        one.later.append((first[sides.door] - first[sides.direct]) * 1000)
    order = sides if turn % 2 else sides[::-1]
    rates = {side: (await ask(session, side, model, PROMPT.format("May"), TOKENS)).rate for side in order}
    if rates[sides.direct]:
        one.kept.append(rates[sides.door] / rates[sides.direct])
    rates = {side: await together(session, side, model, prompts, TOKENS) for side in order}
    one.shared.append(rates[sides.door] / rates[sides.direct])


def medians(rounds: list[Round]) -> tuple[float, float, float]:
    """Of ``later``, ``kept`` and ``shared``; not a number where there is none."""
    every = ([one.later for one in rounds], [one.kept for one in rounds], [one.shared for one in rounds])
    later, kept, shared = (median([*chain.from_iterable(some)] or [nan]) for some in every)
    return later, kept, shared


def main() -> int:
    """Measure and print; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    files = random_model.make(args.work)
    made = {"random-gguf-q8_0": files.gguf, "random-onnx-int4": files.onnx_int4}
    met = True
    bars = f"first text later, ms (<= {LATER_MS:g}) | decode kept (>= {KEPT}) | {TOGETHER} streams kept"
    print(f"| model | engine | rounds | host took | {bars} (>= {KEPT_TOGETHER}) | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        entries = [{"alias": name, "path": str(path)} for name, path in made.items()]
        (home / "models.json").write_text(json.dumps(entries))
        for alias in ("notes-4m", *made):
            with Served(home, "--parallel", str(TOGETHER), key_known=True) as served:
                loaded = served.post("/assay/load", {"model": alias})
                rounds = measure.run(compare(served, loaded["id"], args.rounds))
            quiet, others = [one for one in rounds if one.quiet], [one for one in rounds if not one.quiet]
            good = holds(quiet, alias == "notes-4m")
            met &= good is True
            verdict = {True: "held", False: "MISSED", None: "host too busy"}[good]
            for some, told in ((quiet, verdict), (others, "")):
                if some:
                    print(f"| {alias} | {loaded['engine']} | {figures(some)} | {told} |", flush=True)
            if not quiet:
                print(f"| {alias} | {loaded['engine']} | 0 | | | | | {verdict} |", flush=True)
    print(
        "\nThe bundled model (4M parameters, hundreds of tokens in a blink) is shown for the first column alone.\n"
        f"Bars are held against rounds in which the host took at most {QUIET:.0%} of the processors' time for others."
    )
    return 0 if met else 1


def holds(rounds: list[Round], first_text_alone: bool) -> bool | None:
    """Whether the bars are met; None where too few rounds tell."""
    if len(rounds) < LEAST:
        return None
    later, kept, shared = medians(rounds)
    return later <= LATER_MS and (first_text_alone or (kept >= KEPT and shared >= KEPT_TOGETHER))


def figures(rounds: list[Round]) -> str:
    """Cells of a line: rounds, the median of what the host took of each, and the three medians."""
    later, kept, shared = medians(rounds)
    taken = [one.taken.share for one in rounds if one.taken.share is not None]
    took = f"{median(taken):.1%}" if taken else "unknown"
    return f"{len(rounds)} | {took} | {later:.2f} | {kept:.3f} | {shared:.3f}"


if __name__ == "__main__":
    sys.exit(main())
