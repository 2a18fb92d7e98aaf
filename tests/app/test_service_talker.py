"""Somebody to talk to behind a real door: who has answered, and what is left there at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec import structs

from assay.app.asking import ask_once
from assay.app.service_client import ServiceClient, ServiceState
from assay.app.service_talker import ServiceTalker
from assay.app.talker import Place
from assay.serve.model_state import ModelState
from assay.types import Decoding, Prompt
from tests.serve.doorstep import DONE, QUICK, Door, Holds, Model, cut_off, open_door, run, streams
from tests.serve.doorstep import chunk as piece

HELLO = [{"role": "user", "content": "hi"}]
SAYS = streams(piece("hello"), DONE)


def talker(door: Door, name: str, *variants: str, ttl: float | None = None, retain: bool = False) -> ServiceTalker:
    """One that is not open yet."""
    state = ServiceState(
        pid=1, created=0.0, host="127.0.0.1", port=door.port, tls=False, version="1", started="", log="", admin_key="k"
    )
    place = Place(variant=name, engine="any", where="the service", why_there="it is running")
    return ServiceTalker(
        ServiceClient(state), place, starting=lambda _: None, variants=variants, ttl=ttl, retain=retain
    )


def here(door: Door) -> dict[str, str]:
    """The states of the models that are not in their backoff."""
    return {state.id: state.state for state in door.service.models() if state.state != "backoff"}


def shown(door: Door, name: str) -> ModelState:
    return next(state for state in door.service.models() if state.id == name)


async def until(true: Callable[[], bool]) -> None:
    """Let the loop go on until it is so; ``run`` bounds that."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_place_follows_who_of_a_list_answers() -> None:
    async def work() -> None:
        far, near = Model("far", SAYS, remote=True), Model("nah é", SAYS)
        async with open_door(far, near, routes={"fast": ("far", near.name)}) as door:
            one = talker(door, "fast", "far", near.name)
            sample = await one.answer(HELLO, {}, None)
            assert (sample.variant, sample.engine, one.place.variant) == ("far", "upstream", "far")
            far.answer = cut_off
            sample = await one.answer(HELLO, {}, None)
            assert (sample.text, sample.variant, sample.engine) == ("hello", near.name, "fake")
            assert (one.place.variant, one.place.engine) == (near.name, "fake")
            assert one.place.load_s is not None
            await one.close()
            assert here(door) == {}, "both were loaded for it"

    run(work)


def test_one_answer_tells_who_gave_it() -> None:
    async def work() -> None:
        far, near = Model("far", cut_off, remote=True), Model("near", SAYS)
        async with open_door(far, near, routes={"fast": ("far", "near")}) as door:
            one = talker(door, "fast", "far", "near")
            answer = await ask_once(one, Prompt(id="p", prompt="hi"), Decoding(), None, 30.0)
            assert (answer.variant, answer.engine, answer.sample.variant) == ("near", "fake", "near")
            assert here(door) == {}

    run(work)


def test_what_of_a_list_was_up_before_stays() -> None:
    async def work() -> None:
        far, near = Model("far", SAYS, remote=True), Model("near", SAYS)
        async with open_door(far, near, routes={"fast": ("far", "near")}) as door:
            await door.service.load("near")
            one = talker(door, "fast", "far", "near")
            await one.open()
            far.answer = cut_off
            assert (await one.answer(HELLO, {}, None)).variant == "near"
            assert one.place.load_s is None
            await one.close()
            assert here(door) == {"near": "ready"}

    run(work)


def test_a_ttl_is_that_of_who_has_answered() -> None:
    async def work() -> None:
        far, near = Model("far", SAYS, remote=True), Model("near", SAYS)
        async with open_door(far, near, routes={"fast": ("far", "near")}) as door:
            one = talker(door, "fast", "far", "near", ttl=33)
            await one.open()
            far.answer = cut_off
            await one.answer(HELLO, {}, None)
            far.answer = SAYS
            await until(lambda: [state.id for state in door.service.models()] == ["near"])
            await one.close()
            state = shown(door, "near")
            assert state.expires is not None
            assert state.idle_since is not None
            assert state.expires - state.idle_since == pytest.approx(33)

    run(work)


def test_a_ttl_loads_nothing_that_has_gone() -> None:
    async def work() -> None:
        async with open_door(Model(answer=SAYS)) as door:
            one = talker(door, "m", ttl=33)
            await one.answer(HELLO, {}, None)
            assert await door.service.unload("m") == ("m",)
            await one.close()
            assert here(door) == {}

    run(work)


@pytest.mark.parametrize("name", ["slow", "both"])
def test_a_load_that_is_broken_off_leaves_nothing(name: str) -> None:
    async def work() -> None:
        slow, spare = Model("slow"), Model("spare")
        slow.may_load.clear()
        async with open_door(slow, spare, routes={"both": ("slow", "spare")}) as door:
            await door.service.load("spare")
            one = talker(door, name, *(("slow", "spare") if name == "both" else ()))
            opening = asyncio.create_task(one.open())
            await until(lambda: "slow" in here(door))
            await cancelled(opening)
            await one.close()
            assert here(door) == {"spare": "ready"}, "that one was there before"

    run(work)


@pytest.mark.parametrize("wish", ["retain", "ttl"])
def test_a_load_that_is_broken_off_goes_on_where_the_model_is_to_stay(wish: str) -> None:
    async def work() -> None:
        slow = Model("slow")
        slow.may_load.clear()
        async with open_door(slow) as door:
            one = talker(door, "slow", retain=wish == "retain", ttl=33 if wish == "ttl" else None)
            opening = asyncio.create_task(one.open())
            await until(lambda: here(door) == {"slow": "loading"})
            await cancelled(opening)
            await one.close()
            assert here(door) == {"slow": "loading"}
            slow.may_load.set()

    run(work)


def test_a_load_that_others_wait_for_or_began_goes_on() -> None:
    async def work() -> None:
        ours, theirs, kept = Model("ours"), Model("theirs"), Model("kept")
        for model in (ours, theirs, kept):
            model.may_load.clear()
        async with open_door(ours, theirs, kept) as door:
            await door.service.start(["kept"])
            waiting = [asyncio.create_task(door.service.load("theirs"))]
            await until(lambda: len(here(door)) == 2)
            talkers = [talker(door, name) for name in ("ours", "theirs", "kept")]
            opening = [asyncio.create_task(one.open()) for one in talkers]
            await until(lambda: [state.waiting for state in door.service.models()] == [1, 2, 1])
            waiting.append(asyncio.create_task(door.service.load("ours")))
            await until(lambda: shown(door, "ours").waiting == 2)
            for task in opening:
                await cancelled(task)
            await asyncio.gather(*(one.close() for one in talkers))
            assert here(door) == dict.fromkeys(("kept", "theirs", "ours"), "loading")
            for model in (ours, theirs, kept):
                model.may_load.set()
            await asyncio.gather(*waiting)
            await until(lambda: here(door) == dict.fromkeys(("kept", "theirs", "ours"), "ready"))

    run(work)


def test_a_preloaded_model_that_came_back_meanwhile_stays() -> None:
    async def work() -> None:
        kept = Model("kept", SAYS)
        async with open_door(kept, limits=structs.replace(QUICK, backoff_s=0.3, backoff_most_s=0.3)) as door:
            await door.service.start(["kept"])
            await until(lambda: here(door) == {"kept": "ready"})
            kept.answer = kept.dies("it fell over")
            async with door.chat("kept", headers={"X-Assay-Timeout": "0.1"}) as answer:
                assert answer.status == 503
            kept.answer = SAYS
            one = talker(door, "kept")
            assert (await one.answer(HELLO, {}, None)).text == "hello"
            await one.close()
            assert here(door) == {"kept": "ready"}

    run(work)


def test_an_answer_of_a_list_that_is_broken_off_leaves_nothing() -> None:
    async def work() -> None:
        far, near = Model("far", SAYS, remote=True), Model("near", Holds())
        near.may_load.clear()
        async with open_door(far, near, routes={"fast": ("far", "near")}) as door:
            one = talker(door, "fast", "far", "near")
            await one.open()
            far.answer = cut_off

            async def ask() -> None:
                await one.answer(HELLO, {}, None)

            asking = asyncio.create_task(ask())
            await until(lambda: here(door).get("near") == "loading")
            await cancelled(asking)
            near.may_load.set()
            asking = asyncio.create_task(ask())
            await until(lambda: here(door).get("near") == "ready" and shown(door, "near").running == 1)
            await cancelled(asking)
            await one.close()
            assert here(door) == {}

    run(work)
