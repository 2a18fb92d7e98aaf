"""Thousands of requests that are wrong in some way: no fault of the service, no hang, and nothing is left behind.

usage: python benchmarks/mutations.py [--requests 10000] [--clients 6] [--seed 0] [--only KIND]

They are drawn by a seed (``mutants.py``) and sent over bare sockets, whole and broken, to all that can be posted to.
Held: every one gets an answer in HTTP, unless it is no whole request; no status of 500 or more; what is refused is
refused in OpenAI's shape; each model answers the same question with the same text after each tenth; the memory of the
service and of each worker at the end is that of the first fifth. Before that, every client asks for as many embeddings
as one request may: such requests are rare among the others, and what an allocator keeps of them is no growth.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from mutants import Mutants, Shot
from nasty import WORDS
from served import EMBEDDER, TOOLS, Broken, Served, furnish

from assay import measure
from assay.engines.worker.embeddings import MAX_INPUTS

MODELS = ("notes-4m", "notes-0.5m", TOOLS)
PATIENCE_S = 90.0
GONE_S = 5.0
TIMES = 3
"""How often each client asks for the most embeddings, before the others."""
GROWTH = 1.3
SLACK = 32 << 20
"""What a process may hold at the end beyond ``GROWTH`` times what it held after the first fifth, in bytes."""
MOST_SHOWN = 20
MOST_ANSWER = 64 << 20


class Barrage:
    """The requests, and what became of them."""

    def __init__(self, served: Served, requests: int, draw: Callable[[], Shot]) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.marks: list[dict[str, int]] = []
        """Bytes of the service and of each worker, after each tenth."""
        self.slowest: tuple[float, str] = (0.0, "")
        self._requests = requests
        self._draw = draw
        self._served = served
        self._next = 0
        self._texts: dict[str, Any] = {}
        host, _, port = served.address.removeprefix("http://").rpartition(":")
        self._place = (host, int(port))

    async def run(self, clients: int) -> None:
        """Send all of them, and look at the models and the memory after each tenth."""
        await self._same_texts()
        await asyncio.gather(*(self._largest() for _ in range(clients)))
        for tenth in range(1, 11):
            end = self._requests * tenth // 10
            await asyncio.gather(*(self._client(end) for _ in range(clients)))
            await self._same_texts()
            self._mark()

    async def _largest(self) -> None:
        body = {"model": EMBEDDER, "input": ["Hello"] * MAX_INPUTS}
        for _ in range(TIMES):
            await asyncio.to_thread(self._served.post, "/v1/embeddings", body)

    async def _client(self, end: int) -> None:
        while self._next < end:
            number = self._next
            self._next += 1
            await self._one(number, self._draw())

    async def _one(self, number: int, shot: Shot) -> None:
        began = time.monotonic()
        outcome: str
        fault: str | None
        try:
            async with asyncio.timeout(PATIENCE_S):
                raw = await self._sent(shot)
        except TimeoutError:
            outcome, fault = "hang", f"no end within {PATIENCE_S:g} s"
        except OSError as error:  # it was turned away before it had sent all: what was said is lost with the connection
            outcome, fault = "cut off", None if shot.silent or len(b"".join(shot.parts)) > 1 << 20 else str(error)
        else:
            outcome, fault = judged(raw, shot)
        self.slowest = max(self.slowest, (time.monotonic() - began, f"{number}: {shot.kind}"))
        self.outcomes[shot.kind, outcome] += 1
        if fault:
            print(f"{number}: {shot.kind}: {fault}"[:1000], file=sys.stderr)
            self.wrong.append(f"{number}: {shot.kind}: {fault}; sent {b''.join(shot.parts)[:600]!r}")

    async def _sent(self, shot: Shot) -> bytes:
        """All that came back."""
        reader, writer = await asyncio.open_connection(*self._place)
        try:
            sending = asyncio.create_task(_send(writer, shot))
            answer = bytearray()
            with contextlib.suppress(TimeoutError):
                while len(answer) < MOST_ANSWER:
                    async with asyncio.timeout(shot.leave):
                        part = await reader.read(1 << 16)
                    if not part:
                        break
                    answer += part
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending
            return bytes(answer)
        finally:
            writer.close()

    async def _same_texts(self) -> None:
        for model in MODELS:
            body = {"model": model, "prompt": WORDS, "max_tokens": 12, "temperature": 0}
            told = await asyncio.to_thread(self._served.post, "/v1/completions", body)
            text = told["choices"][0]["text"]
            if self._texts.setdefault(model, text) != text:
                raise Broken(f"{model} said {self._texts[model]!r} before and says {text!r} now")
        told = await asyncio.to_thread(self._served.post, "/v1/embeddings", {"model": EMBEDDER, "input": WORDS})
        if self._texts.setdefault(EMBEDDER, told["data"]) != told["data"]:
            raise Broken("the embeddings of the same text have changed")

    def _mark(self) -> None:
        mark = {"service": psutil.Process(self._served.pid).memory_info().rss}
        for state in self._served.get("/assay/models")["models"]:
            if state["resident"] is not None:
                mark[state["alias"]] = state["resident"]
        self.marks.append(mark)
        shown = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in mark.items())
        print(f"{self._next} sent, MB: {shown}; {len(self.wrong)} wrong", file=sys.stderr)


async def _send(writer: asyncio.StreamWriter, shot: Shot) -> None:
    for part in shot.parts:
        writer.write(part)
        await writer.drain()
        if shot.pause:
            await asyncio.sleep(shot.pause)
    if shot.half:
        writer.write_eof()


def judged(raw: bytes, shot: Shot) -> tuple[str, str | None]:
    """What came of a request, and what is wrong with that."""
    if not raw:
        return "closed without a word", None if shot.silent or shot.half else "no answer"
    head, _, body = raw.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100 "):
        head, _, body = body.partition(b"\r\n\r\n")
    first = head.split(b"\r\n")[0].split()
    if len(first) < 2 or not first[0].startswith(b"HTTP/") or not first[1].isdigit():
        return "no HTTP", f"answered {raw[:200]!r}"
    status = int(first[1])
    return str(status), _wrong(status, head, body, shot)


def _wrong(status: int, head: bytes, body: bytes, shot: Shot) -> str | None:
    would_not_wait = status == 503 and b"queue_timeout" in body and b"X-Assay-Timeout: 0\r\n" in shot.parts[0]
    if status >= 500 and not would_not_wait:
        return f"answered {head[:60]!r} {body[:500]!r}"
    if status < 400:
        fault = b"data: " in body and b'"engine_error"' in body
        return f"a stream ended with {body[-300:]!r}" if fault else None
    told = shot.parts[0].startswith(b"HEAD") or _shaped(body)
    if not told or b"\r\ncontent-type: application/json" not in head.lower():
        return f"an error in another shape: {head!r} {body[:300]!r}"
    return None


def _shaped(body: bytes) -> bool:
    try:
        told, _ = json.JSONDecoder().raw_decode(body.decode())
    except ValueError:
        return False
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and bool(error.get("message")) and set(error) == {"message", "type", "param", "code"}


def held(barrage: Barrage, code: int | None, left: list[int]) -> None:
    """Raise ``Broken`` where something was not held."""
    if barrage.wrong:
        raise Broken(f"{len(barrage.wrong)} ended otherwise:\n" + "\n".join(barrage.wrong[:MOST_SHOWN]))
    if left or code != 0:
        raise Broken(f"the service ended with {code} and left {left}")
    for name in ("service", *MODELS, EMBEDDER):
        sizes = [mark[name] for mark in barrage.marks[1:] if name in mark]
        if sizes and sizes[-1] > GROWTH * sizes[0] + SLACK:
            raise Broken(f"{name} grew from {sizes[0] / 1e6:.0f} to {sizes[-1] / 1e6:.0f} MB")


def table(barrage: Barrage) -> str:
    """What became of each kind."""
    kinds = sorted({kind for kind, _ in barrage.outcomes})
    outcomes = sorted({outcome for _, outcome in barrage.outcomes})
    lines = [f"| sent | {' | '.join(outcomes)} |", f"| --- |{' ---: |' * len(outcomes)}"]
    lines += [f"| {kind} | {' | '.join(str(barrage.outcomes[kind, o] or '') for o in outcomes)} |" for kind in kinds]
    return "\n".join(lines)


def main() -> int:
    """Run and print; 1 when something was not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="a kind of mutation: send that kind alone")
    args = parser.parse_args()
    mutants = Mutants(args.seed, MODELS, EMBEDDER)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        furnish(home)
        served = Served(home, *MODELS, EMBEDDER)
        served.start()
        barrage, began = Barrage(served, args.requests, lambda: mutants.next(args.only)), time.monotonic()
        trouble: Exception | None = None
        try:
            measure.run(barrage.run(args.clients))
        except (Broken, OSError) as error:
            trouble = error
        finally:
            code, left = served.end(GONE_S)
        seconds = time.monotonic() - began
        try:
            held(barrage, code, left)
        except Broken as broken:
            trouble = Broken(f"{trouble}\n{broken}" if trouble else str(broken))
        if trouble:
            print(f"{served.told(6000)}\nbroken: {trouble}", file=sys.stderr)
    print(f"{sum(barrage.outcomes.values())} requests in {seconds:.0f} s; the slowest took {barrage.slowest[0]:.1f} s "
          f"({barrage.slowest[1]}).\n\n{table(barrage)}\n")  # fmt: skip
    for name in ("service", *MODELS, EMBEDDER):
        sizes = ", ".join(f"{mark[name] / 1e6:.0f}" if name in mark else "not up" for mark in barrage.marks)
        print(f"{name}, MB after each tenth: {sizes}.")
    if trouble:
        print(f"\nNot held: {str(trouble)[:500]}.")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
