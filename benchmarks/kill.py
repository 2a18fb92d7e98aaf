"""Kills ``assay bench`` at random moments and resumes it: nothing that had ended may be lost or doubled.

A bench of a bundled model on a real engine and of a counting server is killed (SIGKILL) again and again, each time at
a moment drawn by a seed, and resumed. Held after each kill: every answer that the server finished is in the run, less
the one that was in flight at each kill; no engine process is left. At the end: every planned request exactly once.

usage: python benchmarks/kill.py [--kills 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent
PROMPTS = 40
ROUNDS_A_KILL = 2
"""A bench between two kills gets through about one round; twice as many are planned, so that it does not end early."""
ORPHAN_S = 10.0


class Broken(Exception):
    """Something was lost, doubled or left behind."""


def start(home: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """``assay`` with ``arguments`` in a process of its own."""
    env = {**os.environ, "ASSAY_HOME": str(home)}
    with (home / "log.txt").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "assay", *arguments], env=env, stdout=log, stderr=log)


def run_folder(home: Path) -> Path | None:
    """The one run there is."""
    return next(iter(sorted((home / "runs").glob("*/run.json"))), home).parent if (home / "runs").is_dir() else None


def samples(folder: Path) -> list[dict[str, object]]:
    """The whole lines of ``samples.jsonl``; the last one may have been cut."""
    path = folder / "samples.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def remote(found: list[dict[str, object]]) -> int:
    """How many of the counting server's answers are in the run."""
    return sum(1 for sample in found if sample["engine"] == "endpoint" and not sample["error"])


def kill_once(process: subprocess.Popen[bytes], home: Path, log: Path, moment: float, kills: int) -> bool:
    """Kill after ``moment`` seconds and hold what must be held; False where the bench had ended by itself.

    ``kills`` counts this one: each may lose the answer in flight, and the server may write that one down later.
    """
    try:
        process.wait(timeout=moment)
        return False
    except subprocess.TimeoutExpired:
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=ORPHAN_S)
    if alive:
        raise Broken(f"left behind {ORPHAN_S:g} s after the kill: {[child.cmdline() for child in alive]}")
    folder = run_folder(home)
    finished = len(log.read_text().splitlines()) if log.is_file() else 0
    held = remote(samples(folder)) if folder else 0
    if finished - held > kills:
        raise Broken(f"the server finished {finished} answers, the run holds {held} after {kills} kills")
    return True


def check_whole(folder: Path, rounds: int) -> int:
    """Every planned request exactly once; gives their number."""
    record = json.loads((folder / "run.json").read_text())
    if record["status"] != "complete":
        raise Broken(f"the run is {record['status']}")
    keys = [
        (s["variant"], s["engine"], s["concurrency"], s["round"], s["prompt"])
        for s in samples(folder)
        if s["phase"] == "measure"
    ]
    expected = len(record["candidates"]) * PROMPTS * rounds
    if len(keys) != expected or len(set(keys)) != expected:
        raise Broken(f"{len(keys)} requests, {len(set(keys))} different ones, {expected} planned")
    numbers = [s["i"] for s in samples(folder)]
    if len(set(numbers)) != len(numbers):
        raise Broken("a sample number is there twice")
    return expected


def main() -> int:
    """Kill, resume, kill ... and finish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dice, rounds = random.Random(args.seed), ROUNDS_A_KILL * args.kills + 4
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder), Path(folder) / "finished.txt"
        server = subprocess.Popen(
            [sys.executable, str(HERE / "counting_server.py"), str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        port = int(server.stdout.readline())
        models = [
            {"alias": "counted", "endpoint": f"http://127.0.0.1:{port}/v1", "model": "counted"},
            {"alias": "notes-0.5m"},
        ]
        prompts = [f"Note: prompt number {i}. List the action items." for i in range(PROMPTS)]
        config = home / "models.json"
        config.write_text(json.dumps({"models": models, "prompts": prompts}))
        first = ["bench", "--config", str(config), "--rounds", str(rounds), "--max-tokens", "8", "--interleave", "off"]
        began, kills = time.monotonic(), 0
        try:
            process = start(home, first)
            while kills < args.kills:
                if not kill_once(process, home, log, dice.uniform(0.3, 5.0), kills + 1):
                    break
                kills += 1
                process = start(home, ["bench", "--resume"] if run_folder(home) else first)
            process.wait(timeout=300)
            found = run_folder(home)
            if found is None:
                raise Broken("there is no run")
            requests = check_whole(found, rounds)
        except Broken as broken:
            print(f"broken after {kills} kills: {broken}\n{(home / 'log.txt').read_text()[-2000:]}", file=sys.stderr)
            return 1
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait()
    took = time.monotonic() - began
    print(f"{kills} kills, {requests} requests each exactly once, none lost, no engine left behind ({took:.0f} s)")
    return 0 if kills == args.kills else 1


if __name__ == "__main__":
    sys.exit(main())
