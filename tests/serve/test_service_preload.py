"""Models that are to be up from the first: they stay, come back, and the service tells why one is not up."""

from __future__ import annotations

import asyncio

from msgspec import structs

from assay.serve import Pulse
from tests.serve.acting import MB, offer, play
from tests.serve.staged import LIMITS, A, B, stage


def test_preloaded_models_come_up_and_stay() -> None:
    async def go() -> None:
        async with stage(limits=structs.replace(LIMITS, ttl_s=10)) as on:
            await on.service.start(["a"])
            assert on.state("a") == "loading"
            await asyncio.sleep(100)
            assert on.effects.log == ["start a"]
            assert on.service.models()[0].pinned

    play(go)


def test_a_preload_that_cannot_be_is_told_and_keeps_the_others_from_nothing() -> None:
    async def go() -> None:
        async with stage(A, offer("huge", needs=3 * MB), B) as on:
            await on.service.start(["nobody", "huge", "a", "b"])
            await asyncio.sleep(3)
            assert on.effects.up == ["a", "b"]
            assert [line for line in on.notes.lines if line.startswith("failed")] == [
                "failed nobody 0",
                "failed huge 0",
            ]

    play(go)


def test_what_was_to_be_preloaded_is_told_with_its_reason_until_it_is_up() -> None:
    async def go() -> None:
        def told() -> dict[str, str | None]:
            return {one.name: one.problem for one in on.service.preload}

        async with stage(A, offer("huge", needs=3 * MB), B) as on:
            on.effects.broken["b"] = "the file is damaged"
            starting = asyncio.create_task(on.service.start(["nobody", "huge", "a", "b"]))
            await asyncio.sleep(0)
            assert list(told()) == ["nobody", "huge", "a", "b"]
            await starting
            assert all(one.judged for one in on.service.preload)
            assert told()["a"] is told()["b"] is None
            await asyncio.sleep(3)
            assert list(told()) == ["nobody", "huge", "b"]
            assert told()["nobody"] == "no model nobody"
            assert "huge needs" in (told()["huge"] or "")
            assert "the file is damaged" in (told()["b"] or "")
            del on.effects.broken["b"]
            await asyncio.sleep(60)
            assert list(told()) == ["nobody", "huge", "b"]
            await on.request("b")
            assert list(told()) == ["nobody", "huge"]

    play(go)


def test_a_model_that_is_up_before_its_preload_is_not_missed() -> None:
    async def go() -> None:
        async with stage() as on:
            await on.request("a")
            await on.service.start(["a"])
            assert on.service.preload == []

    play(go)


def test_a_preloaded_model_that_dies_comes_back_by_itself() -> None:
    async def go() -> None:
        async with stage() as on:
            await on.service.start(["a"])
            await asyncio.sleep(3)
            on.effects.pulses["a"] = Pulse(problem="gone")
            await asyncio.sleep(8)
            del on.effects.pulses["a"]
            await asyncio.sleep(60)
            assert on.effects.up == ["a"]
            assert on.state("a") == "ready"

    play(go)
