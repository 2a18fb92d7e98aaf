"""Upstreams among what the service offers: they fail, are passed over, and change."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from assay.serve import Refused, Route
from tests.serve.acting import MB, offer, play
from tests.serve.staged import LIMITS, A, B, far, stage


def test_an_upstream_is_up_at_once() -> None:
    async def go() -> None:
        async with stage(far("x")) as on:
            lease = await on.request("x")
            assert lease.waited == 0.0
            assert on.effects.asked["x"] == 0

    play(go)


def test_an_upstream_that_failed_is_not_asked_again_for_the_same_request_nor_by_the_next() -> None:
    async def go() -> None:
        async with stage(far("x"), far("y"), A) as on:
            on.names.routes["both"] = (far("x"), A)
            await on.service.load("a")
            other = on.request("x", seconds=5)
            await asyncio.sleep(0)
            async with on.service.lease("both", "ann") as lease:
                assert lease.offer.id == "x"
                lease.failed("connection refused")
                assert lease.problem == "connection refused"
            await asyncio.sleep(0.5)
            async with on.service.lease("both", "ann", after=lease) as again:
                assert again.offer.id == "a"
                assert again.passed[0] == "x: connection refused"
            async with on.service.lease("both", "ann") as following:
                assert following.offer.id == "a"
                assert "connection refused" in following.passed[0]
            assert (await other).problem is None
            await asyncio.sleep(60)
            async with on.service.lease("both", "ann") as later:
                assert later.offer.id == "x"

    play(go)


def test_a_late_word_of_an_upstreams_former_failure_takes_nothing_from_it() -> None:
    async def go() -> None:
        async with stage(far("x")) as on, on.service.lease("x", "ann") as first, on.service.lease("x", "bob") as second:
            first.failed("connection refused")
            await asyncio.sleep(60)
            await on.request("x")
            second.failed("connection refused")
            assert (await on.request("x")).waited == 0.0

    play(go)


def test_the_only_upstream_that_failed_is_the_refusal() -> None:
    async def go() -> None:
        async with stage(far("x")) as on:
            async with on.service.lease("x", "ann") as lease:
                lease.failed("connection refused")
            with pytest.raises(Refused, match="connection refused") as refused:
                await on.request("x", after=lease)
            assert refused.value.refusal.status == 502
            assert "refused x upstream_failed" in on.notes.lines

    play(go)


def test_what_of_a_list_is_not_here_is_told_by_whom_it_would_have_come_before() -> None:
    async def go() -> None:
        async with stage(limits=structs.replace(LIMITS, memory=MB)) as on:
            route = Route(name="list", offers=(A, offer("huge", needs=9 * MB), B), missing=((1, "x is not here"),))
            on.names.lists["list"] = route
            assert (await on.request("list")).passed == ()
            on.effects.broken["a"] = "no such file"
            await on.service.unload("a")
            told = (await on.request("list")).passed
            assert [why.partition(" ")[0] for why in told] == ["x", "no", "huge"]

    play(go)


def test_an_upstream_whose_entry_has_changed_is_taken_up_anew_once_it_rests() -> None:
    async def go() -> None:
        async with stage(far("x")) as on:
            busy = on.request("x", seconds=5)
            await asyncio.sleep(1)
            (old,) = on.names.routes["x"]
            moved = structs.replace(old, variant=structs.replace(old.variant, source="http://elsewhere.test/v1"))
            on.names.routes["x"] = (moved,)
            assert (await on.request("x")).offer == old
            assert (await busy).problem is None
            assert (await on.request("x")).offer == moved
            assert (await on.request("x")).offer == moved
            assert on.effects.log == ["start x", "stop x", "start x"]

    play(go)
