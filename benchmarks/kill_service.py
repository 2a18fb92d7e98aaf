"""Kills the service (SIGKILL) at random moments under load: it starts again at once, and nothing is left behind.

usage: python benchmarks/kill_service.py [--kills 100] [--seed 0]

The moments are drawn by a seed: in the first moments of a start, while models load, while answers stream. Held after
each kill: no process of it is left within two seconds, its home's files can be read, the next start is not kept from
coming up and gets the same port, and it answers. At the end it is stopped in good order.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median

import psutil
from served import Broken, Served, left_of

MODELS = ("notes-0.5m", "notes-1.5m", "notes-4m")
GONE_S = 2.0
FLAGS = ("notes-0.5m", "--parallel", "2", "--memory", "1GB")


def load(address: str, ended: threading.Event, answered: list[float], seed: int) -> None:
    """Ask for streams until told to end; what a kill breaks is no matter here."""
    dice = random.Random(seed)
    while not ended.is_set():
        words = f"Notes: Anna sends item {dice.randrange(1000)}. List the action items."
        messages = [{"role": "user", "content": words}]
        body = {"model": dice.choice(MODELS), "messages": messages, "stream": True, "max_tokens": 24}
        head = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode(), head)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(asked, timeout=10) as answer,
        ):
            if b"[DONE]" in answer.read():
                answered.append(time.monotonic())


def kill(served: Served, moment: float) -> None:
    """Kill it after ``moment`` seconds, with everything it has started looked for."""
    time.sleep(moment)
    children = served.children()
    told = {child.pid: command(child) for child in children}
    served.kill()
    left = left_of(children, GONE_S)
    if left:
        raise Broken(f"left behind {GONE_S:g} s after the kill: {[(pid, told[pid]) for pid in left]}")


def command(process: psutil.Process) -> str:
    """What it runs, and since when it does, for a message."""
    with contextlib.suppress(psutil.Error):
        return f"{' '.join(process.cmdline())[-60:]}, {time.time() - process.create_time():.2f} s old"
    return "gone"


def whole(home: Path) -> None:
    """Every JSON file of the home can be read."""
    for path in home.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError as error:
            raise Broken(f"{path} is torn: {error}") from error


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> int:
    """Kill, start again ... and stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dice, port = random.Random(args.seed), free_port()
    starts, answered = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        served = Served(home, *FLAGS)
        began = time.monotonic()
        try:
            for number in range(args.kills):
                starts.append(served.start(port=port))
                ended = threading.Event()
                askers = [
                    threading.Thread(target=load, args=(served.address, ended, answered, 10 * number + i), daemon=True)
                    for i in range(4)
                ]
                for asker in askers:
                    asker.start()
                kill(served, dice.choice((0.1, 0.5, 1.0, 2.0, 4.0)) * dice.random())
                ended.set()
                whole(home)
                for asker in askers:
                    asker.join(15)
            starts.append(served.start(port=port))
            messages = [{"role": "user", "content": "Hello"}]
            served.post("/v1/chat/completions", {"model": MODELS[0], "messages": messages, "max_tokens": 4})
            if served.end(GONE_S) != (0, []):
                raise Broken("it did not stop in good order")
        except (Broken, RuntimeError) as broken:
            served.kill()
            print(f"broken after {len(starts)} starts: {broken}", file=sys.stderr)
            return 1
        took = time.monotonic() - began
    worst = f"{median(starts):.2f} s to answer at the median, {max(starts):.2f} s at most"
    print(f"{args.kills} kills in {took:.0f} s, {len(answered)} whole answers between them: started again each time")
    print(f"({worst}), no process left, every file whole.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
