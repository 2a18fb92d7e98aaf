"""Weeks in miniature: many short requests over three models, with clients that leave, workers that die, evictions.

usage: python benchmarks/weeks.py [--requests 20000] [--clients 24] [--seed 0] [--minutes 30]

One service with room for two of the three bundled models. Clients ask at random: streams and whole answers, chats and
completions, broken requests, some that leave in the middle; now and then a worker is killed or stopped (SIGSTOP). Held:
every request that was not left ends in an answer or an error that says what happened, nothing but a request that its
own worker's death broke fails without having been at fault, the service's memory and open files at the end are those
after the first tenth, and when it has ended no process is left. The same models answer right afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from served import Broken, Served

from assay import measure

MODELS = ("notes-4m:q8_0", "notes-1.5m:q8_0", "notes-0.5m:q8_0")
WORDS = "Notes: Anna will send the plan to Ben by {}. Carl asked about item {}. List the action items."
GROWTH = 1.25
"""What the service may hold at the end over what it held after the first tenth."""
FILES_MORE = 12
PATIENCE_S = 120.0
GONE_S = 5.0
CLEAR = frozenset(
    {
        "model_lost",
        "model_crashed",
        "model_failed",
        "queue_full",
        "queue_timeout",
        "insufficient_memory",
        "engine_error",
    }
)
"""What may be said of a request that was right, where workers are killed all the time."""


class Load:
    """The clients, and what became of their requests."""

    def __init__(self, served: Served, requests: int, seed: int, until: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self.unclear: list[str] = []
        self.marks: list[tuple[int, int]] = []
        """Bytes and open files of the service, after each tenth."""
        self.killed = 0
        self._served = served
        self._left = self._all = requests
        self._dice = random.Random(seed)
        self._until = until

    async def run(self, clients: int) -> None:
        """Ask until all requests are made."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
            chaos = asyncio.create_task(self._chaos())
            await asyncio.gather(*(self._client(session) for _ in range(clients)))
            chaos.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await chaos
            for model in MODELS:  # each answers as if nothing had been
                body = {"model": model, "messages": [{"role": "user", "content": WORDS.format(1, 2)}], "max_tokens": 8}
                await self._rested(model)
                await self._whole(session, "chat/completions", body, required=True)

    async def _rested(self, model: str) -> None:
        """Wait for the end of a backoff: nobody kills anything any more."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            states = (await asyncio.to_thread(self._served.get, "/assay/models"))["models"]
            if not any(state["id"] == model and state["state"] == "backoff" and state["retry_s"] for state in states):
                return
            await asyncio.sleep(0.2)

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while self._left > 0 and time.monotonic() < self._until:
            self._left -= 1
            if self._left % max(1, self._all // 10) == 0:
                self._mark()
            await self._one(session)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        dice = self._dice
        model = dice.choices(MODELS, (8, 3, 1))[0]
        words = WORDS.format(dice.randrange(1000), dice.randrange(1000))
        body: dict[str, Any] = {"model": model, "max_tokens": dice.randint(1, 12), "temperature": dice.choice((0, 1))}
        kind = dice.random()
        if kind < 0.05:
            wrong = {"temperature": "hot", "max_tokens": -1, "messages": 5, "model": "no-such-model"}
            name = dice.choice(list(wrong))
            body = {**body, "messages": [{"role": "user", "content": words}], name: wrong[name]}
            await self._whole(session, "chat/completions", body, wrong=True)
        elif kind < 0.3:
            await self._whole(session, "completions", {**body, "prompt": words})
        elif kind < 0.5:
            await self._whole(session, "chat/completions", {**body, "messages": [{"role": "user", "content": words}]})
        else:
            body |= {"messages": [{"role": "user", "content": words}], "stream": True}
            await self._stream(session, body, leave_after=dice.choice((None, None, None, 0, 1, 3)))

    async def _whole(
        self,
        session: aiohttp.ClientSession,
        path: str,
        body: dict[str, Any],
        *,
        wrong: bool = False,
        required: bool = False,
    ) -> None:
        try:
            async with session.post(f"{self._served.address}/v1/{path}", json=body) as answer:
                told = await answer.json()
                self._judge(answer.status, told, wrong=wrong, required=required)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._note("no answer", f"{path}: {type(error).__name__}: {error}")

    async def _stream(self, session: aiohttp.ClientSession, body: dict[str, Any], leave_after: int | None) -> None:
        seen, ended, failure = 0, False, None
        try:
            async with session.post(f"{self._served.address}/v1/chat/completions", json=body) as answer:
                if answer.status != 200:
                    self._judge(answer.status, await answer.json(), wrong=False, required=False)
                    return
                async for line in answer.content:
                    if line == b"data: [DONE]\n":
                        ended = True
                    elif line.startswith(b"data: {"):
                        event = json.loads(line[6:])
                        failure = event.get("error", failure)
                        seen += 1
                    if leave_after is not None and seen > leave_after:
                        self.outcomes["left"] += 1
                        return
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._note("no answer", f"stream: {type(error).__name__}: {error}")
            return
        if failure is not None:
            self._judge(502, {"error": failure}, wrong=False, required=False)
        elif ended:
            self.outcomes["answered"] += 1
        else:
            self._note("cut off", f"a stream ended after {seen} events without an error")

    def _judge(self, status: int, told: dict[str, Any], *, wrong: bool, required: bool) -> None:
        code = (told.get("error") or {}).get("code")
        if wrong and 400 <= status < 500:
            self.outcomes["refused as it should be"] += 1
        elif status == 200 and not wrong:
            self.outcomes["answered"] += 1
        elif not required and status >= 429 and code in CLEAR and told["error"].get("message"):
            self.outcomes[f"told: {code}"] += 1
        else:
            self._note("unclear", f"HTTP {status}: {told}")

    def _note(self, outcome: str, what: str) -> None:
        self.outcomes[outcome] += 1
        self.unclear.append(what[:300])

    def _mark(self) -> None:
        process = psutil.Process(self._served.pid)
        self.marks.append((process.memory_info().rss, process.num_fds()))
        print(f"{self._all - self._left} asked, {self.marks[-1][0] / 1e6:.0f} MB", file=sys.stderr)

    async def _chaos(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(2, 6))
            workers = await asyncio.to_thread(self._served.children)
            if workers:
                how = signal.SIGKILL if self._dice.random() < 0.8 else signal.SIGSTOP
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._dice.choice(workers).send_signal(how)
                    self.killed += 1


def held(load: Load, code: int | None, left: list[int]) -> None:
    """Raise ``Broken`` where something was not held."""
    if load.unclear:
        raise Broken(f"{len(load.unclear)} requests ended otherwise: {load.unclear[:5]}")
    if left:
        raise Broken(f"left behind: {left}")
    if code != 0:
        raise Broken(f"the service ended with {code}")
    if len(load.marks) > 2:
        (before, files), (after, files_after) = load.marks[0], load.marks[-1]
        if after > GROWTH * before:
            raise Broken(f"the service grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB")
        if files_after > files + FILES_MORE:
            raise Broken(f"its open files grew from {files} to {files_after}")


def main() -> int:
    """Run and print; 1 when something was not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder), "--memory", "250MB", "--parallel", "4", "--stall", "8")
        served.start()
        load = Load(served, args.requests, args.seed, time.monotonic() + 60 * args.minutes)
        began = time.monotonic()
        try:
            measure.run(load.run(args.clients))
            with contextlib.suppress(OSError):
                print(served.get("/assay/status"), file=sys.stderr)
        finally:
            code, left = served.end(GONE_S)
        seconds = time.monotonic() - began
        try:
            held(load, code, left)
        except Broken as broken:
            print(f"broken: {broken}\n{served.told(3000)}", file=sys.stderr)
            return 1
    total = sum(load.outcomes.values())
    print(f"{total} requests in {seconds:.0f} s, workers killed or stopped {load.killed} times.\n")
    print("| outcome | requests |\n| --- | --- |")
    for outcome, count in load.outcomes.most_common():
        print(f"| {outcome} | {count} |")
    memory = ", ".join(f"{size / 1e6:.0f}" for size, _ in load.marks)
    print(f"\nService, MB after each tenth: {memory}; open files {', '.join(str(files) for _, files in load.marks)}.")
    print("No process was left behind.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
