"""The instrument measured against a server with known timings: what error the figures of a bench carry.

The server runs in a process of its own and shares the monotonic clock. Each event's text is the nanosecond at which
it was written, so the lag is taken through the very client that measures engines.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from assay.errors import SelfTestFailed
from assay.measure import timing_server
from assay.measure.client import Client
from assay.measure.loop import loop_name, short_pauses
from assay.types import NS, Decoding, Endpoint, Lag, Prompt, Sample, SelfTest

LEVELS = (1, 4, 16)
EVENTS_PER_S = 200
QUICK_S = 0.7
"""Seconds for each level before a bench."""
P50_BAR_S = 0.0005
P99_BAR_S = 0.005
_START_S = 20.0
_PROMPT = Prompt(id="selftest", prompt="Count.")


async def self_test(seconds: float = QUICK_S) -> SelfTest:
    """Lag at 1, 4 and 16 streams of 200 events/s for ``seconds`` each, and the counts of every scripted stream.

    The scripts' counts are part of the first level's ``counts_exact``. Raises ``SelfTestFailed`` where the server does
    not start; a poor result is a result, which ``shortfalls`` puts in words.
    """
    async with timing_url() as url:
        wrong = [name for name in timing_server.SCRIPTS if not await _script_exact(url, name)]
        with short_pauses():
            lags = [await _lag(url, streams, round(seconds * EVENTS_PER_S)) for streams in LEVELS]
    if wrong:
        first = lags[0]
        lags[0] = Lag(
            streams=first.streams,
            events_per_s=first.events_per_s,
            events=first.events,
            p50=first.p50,
            p99=first.p99,
            worst=first.worst,
            counts_exact=False,
        )
    return SelfTest(lags=tuple(lags), loop=loop_name())


def shortfalls(result: SelfTest) -> tuple[str, ...]:
    """What of ``result`` misses its bar (lag p50 0.5 ms, p99 5 ms, counts exact), in words; empty when nothing does."""
    found = []
    for lag in result.lags:
        level = f"{lag.streams} streams x {lag.events_per_s:g} events/s"
        if not lag.counts_exact:
            found.append(f"{level}: tokens were counted wrongly")
        if lag.p50 > P50_BAR_S:
            found.append(f"{level}: median lag {lag.p50 * 1e3:.2f} ms is over {P50_BAR_S * 1e3:g} ms")
        if lag.p99 > P99_BAR_S:
            found.append(f"{level}: p99 lag {lag.p99 * 1e3:.2f} ms is over {P99_BAR_S * 1e3:g} ms")
    return tuple(found)


@asynccontextmanager
async def timing_url() -> AsyncIterator[str]:
    """Base URL of a timing server in a process of its own, which ends with the block or with this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(Path(timing_server.__file__)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(_START_S):
            port = (await process.stdout.readline()).decode().strip()
        if not port.isdecimal():
            raise SelfTestFailed(
                "the timing server did not start", remedy=f"{sys.executable} -I {timing_server.__file__}"
            )
        yield f"http://127.0.0.1:{port}/v1"
    except TimeoutError as error:
        raise SelfTestFailed(f"the timing server did not start within {_START_S:g} s") from error
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ask(client: Client, tokens: int) -> Sample:
    blank = Sample(i=0, variant="timing", engine="selftest", prompt=_PROMPT.id, round=0, phase="measure")
    return await client.ask(_PROMPT, Decoding(max_tokens=tokens), blank)


async def _script_exact(url: str, name: str) -> bool:
    script = timing_server.SCRIPTS[name]
    async with Client(Endpoint(url=url, model=f"script:{name}", engine="selftest")) as client:
        sample = await _ask(client, script.output_tokens)
    told = (sample.error, sample.text, sample.output_tokens, len(sample.chunk_ns), sample.first_chunk_tokens)
    exact = (None, script.text, script.output_tokens, script.chunks, script.first_chunk_tokens)
    return told == exact and sample.prompt_tokens == timing_server.PROMPT_TOKENS


async def _lag(url: str, streams: int, events: int) -> Lag:
    endpoint = Endpoint(url=url, model=f"steady:{EVENTS_PER_S}", engine="selftest")
    async with Client(endpoint, connections=streams) as client:
        samples = await asyncio.gather(*(_ask(client, events) for _ in range(streams)))
    lags: list[float] = []
    exact = True
    for sample in samples:
        stamps = [int(stamp) for stamp in sample.text.split()]
        exact &= sample.ok and sample.output_tokens == events == len(stamps) == len(sample.chunk_ns)
        lags += [(read - sent) / NS for sent, read in zip(stamps, sample.chunk_ns, strict=False)]
    if not lags:
        why = samples[0].error.message if samples[0].error else None
        raise SelfTestFailed("no event came from the timing server", why=why)
    p50, p99 = np.percentile(lags, [50, 99])
    return Lag(
        streams=streams,
        events_per_s=EVENTS_PER_S,
        events=len(lags),
        p50=float(p50),
        p99=float(p99),
        worst=max(lags),
        counts_exact=exact,
    )
