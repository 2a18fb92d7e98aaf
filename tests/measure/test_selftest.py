from __future__ import annotations

import asyncio

import pytest

from assay.measure import timing_server
from assay.measure.client import Client
from assay.measure.loop import run
from assay.measure.selftest import self_test, shortfalls, timing_url
from assay.types import Decoding, Endpoint, Lag, Prompt, Sample, SelfTest

BLANK = Sample(i=0, variant="v", engine="e", prompt="p", round=0, phase="measure")


def test_the_self_test_counts_exactly_and_gives_every_level() -> None:
    result = run(self_test(0.2))
    assert [(lag.streams, lag.events) for lag in result.lags] == [(1, 40), (4, 160), (16, 640)]
    assert all(lag.counts_exact for lag in result.lags)
    assert all(0 < lag.p50 <= lag.p99 <= lag.worst for lag in result.lags)
    assert result.loop in {"uvloop", "winloop", "asyncio"}


def test_the_loop_that_ran_is_told() -> None:
    assert asyncio.run(self_test(0.05)).loop == "asyncio"


@pytest.mark.parametrize("name", sorted(timing_server.SCRIPTS))
def test_every_scripted_stream_is_counted_exactly(name: str) -> None:
    async def ask() -> Sample:
        async with timing_url() as url, Client(Endpoint(url=url, model=f"script:{name}", engine="e")) as client:
            return await client.ask(Prompt(id="p", prompt="Count."), Decoding(), BLANK)

    sample, script = run(ask()), timing_server.SCRIPTS[name]
    assert sample.error is None
    assert sample.text == script.text
    assert (sample.prompt_tokens, sample.output_tokens) == (timing_server.PROMPT_TOKENS, script.output_tokens)
    assert (len(sample.chunk_ns), sample.first_chunk_tokens) == (script.chunks, script.first_chunk_tokens)
    assert sample.token_source == "server"


def test_what_misses_its_bar_is_told() -> None:
    def lag(p50: float, p99: float, *, counts_exact: bool = True) -> SelfTest:
        one = Lag(streams=4, events_per_s=200, events=9, p50=p50, p99=p99, worst=p99, counts_exact=counts_exact)
        return SelfTest(lags=(one,), loop="uvloop")

    assert shortfalls(lag(0.0005, 0.005)) == ()
    assert "median lag 0.60 ms" in shortfalls(lag(0.0006, 0.005))[0]
    assert "p99 lag 6.00 ms" in shortfalls(lag(0.0005, 0.006))[0]
    assert "counted wrongly" in shortfalls(lag(0.0, 0.0, counts_exact=False))[0]


def test_the_server_ends_with_the_block() -> None:
    async def ask_after() -> Sample:
        async with timing_url() as url:
            pass
        async with Client(Endpoint(url=url, model="steady:200", engine="e")) as client:
            return await client.ask(Prompt(id="p", prompt="x"), Decoding(max_tokens=1), BLANK)

    error = run(ask_after()).error
    assert error is not None
    assert error.kind == "connect"
