"""The end of the service: answers may end, nothing new is taken, and nothing is left."""

from __future__ import annotations

import asyncio

import pytest

from assay.serve import Refused
from tests.serve.acting import now, play
from tests.serve.staged import LIMITS, stage


def test_stopping_lets_answers_end_and_takes_nothing_new() -> None:
    async def go() -> None:
        async with stage() as on:
            busy = on.request("a", seconds=10)
            await asyncio.sleep(3)
            waiting = on.request("a")
            await asyncio.sleep(0)
            stopping = asyncio.create_task(on.service.stop())
            with pytest.raises(Refused, match="shutting down"):
                await waiting
            with pytest.raises(Refused, match="shutting down"):
                await on.request("b")
            assert on.service.stopping
            assert (await busy).problem is None
            began = now()
            assert await stopping
            assert now() - began < LIMITS.grace_s
            assert on.effects.log == ["start a", "stop a"]

    play(go)


def test_stopping_does_not_wait_for_ever() -> None:
    async def go() -> None:
        async with stage() as on:
            busy = on.request("a", seconds=3600)
            await asyncio.sleep(3)
            began = now()
            assert not any(await asyncio.gather(on.service.stop(), on.service.stop()))
            assert LIMITS.drain_s <= now() - began <= LIMITS.drain_s + LIMITS.grace_s
            assert (await busy).problem == "the service is stopping"
            assert on.effects.up == []
            await on.service.stop()

    play(go)


def test_stopping_cancels_a_load_under_way() -> None:
    async def go() -> None:
        async with stage(load_s=50) as on:
            request = on.request("a")
            await on.service.start(["b"])
            await asyncio.sleep(1)
            began = now()
            await on.service.stop()
            assert now() - began < 1
            assert on.effects.log == ["start b", "start a", "cancelled b", "cancelled a"] or sorted(on.effects.log) == [
                "cancelled a", "cancelled b", "start a", "start b"
            ]  # fmt: skip
            with pytest.raises(Refused):
                await request

    play(go)


def test_a_cancelled_stop_hurries_and_leaves_nothing() -> None:
    async def go() -> None:
        async with stage() as on:
            busy, began = on.request("a", seconds=3600), now()
            await asyncio.sleep(3)
            stopping = asyncio.create_task(on.service.stop())
            await asyncio.sleep(1)
            stopping.cancel()
            await asyncio.sleep(0.1)
            stopping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stopping
            assert now() - began < 10
            assert on.effects.up == []
            assert (await busy).problem is not None

    play(go)
