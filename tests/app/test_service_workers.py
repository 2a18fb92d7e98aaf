"""The service over real workers that crash, stand still, break and never come up; nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from assay.app.here import Here, open_here
from assay.app.workers import Workers
from assay.serve import Limits, Listed, Offer, Refused, Route
from assay.serve.service import Service
from assay.types import EngineOptions
from tests.app.processes import CAP_S, answer, children, pid_of, posix, scripted, taken_in, until
from tests.engines.conftest import plugin_site

__all__ = ["plugin_site"]


@pytest.fixture
def here(tmp_path: Path, plugin_site: Path) -> Here:
    """An installation with nothing in it, where the scripted engine is installed."""
    return open_here({"home": tmp_path / "home"})


class Shelf:
    """A directory of the offers that it is given."""

    def __init__(self, *offers: Offer) -> None:
        self.offers = {one.id: one for one in offers}

    async def route(self, name: str) -> Route:
        return Route(name=name, offers=(self.offers[name],))

    async def listed(self) -> tuple[Listed, ...]:
        return ()


@asynccontextmanager
async def service(here: Here, *offers: Offer, **limits: Any) -> AsyncIterator[Service]:
    """A service over workers; when it has stopped, no process is left."""
    before = children()
    async with Workers(here) as workers:
        on = Service(Shelf(*offers), workers, Limits(**{"drain_s": 0.1, "backoff_s": 0.1, **limits}))
        await on.start()
        try:
            yield on
        finally:
            async with asyncio.timeout(CAP_S):
                await on.stop()
            assert children() <= before


async def answered(on: Service, name: str) -> str:
    """The text of a whole answer, got as the proxy gets it: once more where the worker is found dead."""
    after = None
    for _ in range(2):
        async with on.lease(name, "ann", after=after) as lease:
            try:
                return str((await answer(lease.live))["choices"][0]["text"])
            except aiohttp.ClientError as error:
                lease.failed(str(error))
                await lease.broken.wait()
                after = lease
    raise AssertionError("no answer came")


async def streamed(on: Service, name: str, seen: list[bytes]) -> str | None:
    """Stream an answer, in pieces into ``seen``; gives why its lease broke."""
    async with on.lease(name, "bob") as lease, aiohttp.ClientSession(headers=lease.live.headers) as session:
        body = {"model": lease.live.endpoint.model, "prompt": "hi", "stream": True}
        with contextlib.suppress(aiohttp.ClientError):
            async with session.post(f"{lease.live.endpoint.url}/completions", json=body) as response:
                async for line in response.content:
                    seen.extend([line] if line.startswith(b"data: ") else [])
        if seen[-1].strip() != b"data: [DONE]":
            lease.failed("the connection ended too soon")
            await lease.broken.wait()
        return lease.problem


ENDLESS: dict[str, Any] = {"pieces": [["68", 1]], "endless": True}
STEADY: dict[str, Any] = {"pieces": [["68", 1]] * 40, "every": 0.02}


@posix
def test_a_crash_ends_its_own_answers_only_and_the_next_request_finds_a_new_worker(here: Here) -> None:
    async def go() -> None:
        async with service(
            here, scripted("crashes", pieces=STEADY["pieces"], die_at=3), scripted("goes-on", **STEADY)
        ) as on:
            mine: list[bytes] = []
            others: list[bytes] = []
            await asyncio.gather(on.load("crashes"), on.load("goes-on"))
            steady = asyncio.create_task(streamed(on, "goes-on", others))
            await until(lambda: len(others) > 2)
            problem = await streamed(on, "crashes", mine)
            assert "signal 9" in str(problem)
            assert not steady.done()
            assert len(mine) == 3
            again: list[bytes] = []
            assert "signal 9" in str(await streamed(on, "crashes", again))
            assert len(again) == len(mine)
            assert await steady is None
            assert len(others) > len(STEADY["pieces"])

    asyncio.run(go())


@posix
def test_a_worker_that_died_unseen_costs_the_next_request_time_but_no_answer(here: Here) -> None:
    async def go() -> None:
        async with service(here, scripted(pieces=[["6869", 2]])) as on:
            assert await answered(on, "scripted-1") == "hi"
            async with on.lease("scripted-1", "ann") as lease:
                pid = pid_of(lease.live)
            os.kill(pid, signal.SIGKILL)
            assert await answered(on, "scripted-1") == "hi"
            async with on.lease("scripted-1", "ann") as lease:
                assert pid_of(lease.live) != pid

    asyncio.run(go())


@posix
def test_a_worker_that_stands_still_is_killed_and_replaced(here: Here) -> None:
    async def go() -> None:
        async with service(here, scripted(**ENDLESS), stall_s=1.0) as on:
            async with on.lease("scripted-1", "ann") as lease:
                os.kill(pid_of(lease.live), signal.SIGSTOP)
                async with asyncio.timeout(CAP_S):
                    await lease.broken.wait()
                assert "no progress for 1 s" in str(lease.problem)
            async with on.lease("scripted-1", "ann") as again:
                assert pid_of(again.live) != pid_of(lease.live)
                await until(lambda: not psutil.pid_exists(pid_of(lease.live)))

    asyncio.run(go())


def test_a_generation_that_makes_no_token_is_ended_with_its_worker(here: Here) -> None:
    async def go() -> None:
        async with service(here, scripted(**ENDLESS), stall_s=1.0) as on:
            assert "no progress for 1 s" in str(await streamed(on, "scripted-1", []))

    asyncio.run(go())


def test_an_engine_that_breaks_is_replaced(here: Here) -> None:
    async def go() -> None:
        breaks = scripted(pieces=[["68", 1]], break_at=0)
        async with service(here, breaks) as on, on.lease("scripted-1", "ann") as lease:
            assert "error" in await answer(lease.live)
            async with asyncio.timeout(CAP_S):
                await lease.broken.wait()
            assert "the device is lost" in str(lease.problem)

    asyncio.run(go())


def test_a_start_without_end_is_killed(here: Here) -> None:
    async def go() -> None:
        before = children()
        async with service(here, scripted(start="hang_holding_gil"), load_s=1.0) as on:
            with pytest.raises(Refused, match="not up within 1 s"):
                await answered(on, "scripted-1")
            assert children() == before

    asyncio.run(go())


def test_a_stop_under_way_of_a_load_leaves_no_process(here: Here) -> None:
    async def go() -> None:
        async with service(here, scripted(start="hang")) as on:
            before = children()
            request = asyncio.create_task(answered(on, "scripted-1"))
            await until(lambda: bool(children() - before))
            await on.stop()
            with pytest.raises(Refused):
                await request

    asyncio.run(go())


@posix
@pytest.mark.engines
def test_what_a_dead_worker_held_is_let_go(here: Here) -> None:
    variant = taken_in(here)
    options = EngineOptions(context_length=512)

    async def go() -> None:
        async with service(here, Offer(variant=variant, engine="llamacpp", options=options)) as on:
            async with on.lease(variant.id, "ann") as lease:
                assert here.store.holders(variant.id)
                os.kill(pid_of(lease.live), signal.SIGKILL)
                await lease.broken.wait()
            await until(lambda: not here.store.holders(variant.id))
            assert await answered(on, variant.id)
            assert here.store.holders(variant.id)
        assert not here.store.holders(variant.id)

    asyncio.run(go())
