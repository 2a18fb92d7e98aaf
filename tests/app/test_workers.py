"""Models brought up as real processes, asked how they are, and taken down; nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from assay.app.here import Here, open_here
from assay.app.workers import Workers
from assay.catalog import bundled_variants
from assay.errors import BadInput, EngineStartFailed
from assay.serve import Live, Offer, Pulse
from assay.types import EngineOptions, Variant
from tests.app.processes import CAP_S, answer, children, pid_of, posix, scripted, taken_in, until
from tests.engines.conftest import plugin_site

__all__ = ["plugin_site"]


@pytest.fixture
def here(tmp_path: Path, plugin_site: Path) -> Here:
    """An installation with nothing in it, where the scripted engine is installed."""
    return open_here({"home": tmp_path / "home"})


def test_a_keyring_that_nobody_unlocks_holds_up_its_own_upstream_alone(here: Here) -> None:
    asked: list[str] = []
    unlocked = threading.Event()

    def headers(variant: Variant) -> dict[str, str]:
        asked.append(variant.id)
        unlocked.wait(CAP_S)
        return {}

    def far(name: str) -> Offer:
        source, served = "http://127.0.0.1:9/v1", "m"
        variant = Variant(id=name, alias=name, format="remote", source=source, served_id=served, key="keyring:a/b")
        return Offer(variant=variant, engine="endpoint")

    async def go() -> None:
        async with Workers(here, headers=headers) as workers:
            for _ in range(2):
                for number in range(40):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(workers.start(far(f"far{number}")), 0.01)
            assert await asyncio.to_thread(lambda: 1) == 1
            assert len(asked) == 40
            unlocked.set()
            assert (await workers.start(far("far0"))).headers == {}

    asyncio.run(go())


@asynccontextmanager
async def up(here: Here, offer: Offer) -> AsyncIterator[tuple[Workers, Live]]:
    """The offer's model, up."""
    async with Workers(here) as workers:
        yield workers, await workers.start(offer)


async def weighed(workers: Workers, live: Live) -> Pulse:
    """How it is, with what it takes of the memory: that is read beside."""
    async with asyncio.timeout(CAP_S):
        while (pulse := await workers.pulse(live)).resident is None:  # noqa: ASYNC110 - it is another process's memory
            await asyncio.sleep(0.01)
    return pulse


async def held_open(live: Live) -> None:
    """A request that the model never ends by itself."""
    with contextlib.suppress(aiohttp.ClientError):
        await answer(live)


def test_a_model_comes_up_tells_of_itself_and_goes(here: Here) -> None:
    async def go() -> None:
        before = children()
        async with up(here, scripted(pieces=[["6869", 2]])) as (workers, live):
            assert (await answer(live))["choices"][0]["text"] == "hi"
            pulse = await weighed(workers, live)
            assert (pulse.problem, pulse.running, pulse.generated) == (None, 0, 2)
            assert pulse.resident is not None
            assert pulse.resident > 1 << 20
            await workers.warm(live)
            assert (await workers.pulse(live)).generated == 4
            await workers.stop(live, CAP_S)
            assert not psutil.pid_exists(pid_of(live))
            await workers.stop(live, CAP_S)
            assert await workers.pulse(live) == Pulse()
        assert children() == before

    asyncio.run(go())


def test_progress_moves_while_it_works_and_stands_when_it_is_stuck(here: Here) -> None:
    async def go() -> None:
        async with up(here, scripted(pieces=[["68", 1]], endless=True)) as (workers, live):
            idle = await workers.pulse(live)
            request = asyncio.create_task(held_open(live))
            pulse = idle
            async with asyncio.timeout(CAP_S):
                while pulse.running != 1 or pulse.generated != 1:
                    pulse = await workers.pulse(live)
            assert pulse.progress is not None
            assert idle.progress is not None
            assert pulse.progress > idle.progress
            again = await workers.pulse(live)
            assert (again.running, again.progress) == (1, pulse.progress)
            request.cancel()

    asyncio.run(go())


@posix
def test_a_dead_one_tells_why_and_the_last_lines_of_its_log(here: Here) -> None:
    async def go() -> None:
        async with up(here, scripted()) as (workers, live):
            os.kill(pid_of(live), signal.SIGKILL)
            pulse = Pulse()
            async with asyncio.timeout(CAP_S):
                while pulse.problem is None:
                    with contextlib.suppress(aiohttp.ClientError):
                        pulse = await workers.pulse(live)
            first, *log = pulse.problem.splitlines()
            assert "signal 9" in first
            assert "loading the scripted model" in log

    asyncio.run(go())


def test_a_broken_engine_is_told_of(here: Here) -> None:
    async def go() -> None:
        async with up(here, scripted(pieces=[["68", 1]], break_at=0)) as (workers, live):
            assert "error" in await answer(live)
            assert "the device is lost" in str((await workers.pulse(live)).problem)

    asyncio.run(go())


@posix
def test_one_that_stands_still_is_stopped_by_force(here: Here) -> None:
    async def go() -> None:
        before = children()
        async with up(here, scripted(start="child")) as (workers, live):
            family = children() - before
            assert len(family) >= 2
            os.kill(pid_of(live), signal.SIGSTOP)
            await workers.stop(live, 0.2)
            await until(lambda: not family & children())

    asyncio.run(go())


@posix
def test_force_asks_nobody(here: Here) -> None:
    async def go() -> None:
        async with up(here, scripted(endless=True)) as (workers, live):
            os.kill(pid_of(live), signal.SIGSTOP)
            async with asyncio.timeout(CAP_S):
                await workers.stop(live, 0.0)
            assert not psutil.pid_exists(pid_of(live))

    asyncio.run(go())


@pytest.mark.parametrize("start", ["hang", "hang_holding_gil"])
def test_a_cancelled_start_leaves_nothing(here: Here, start: str) -> None:
    async def go() -> None:
        before = children()
        async with Workers(here) as workers:
            starting = asyncio.create_task(workers.start(scripted(start=start)))
            await until(lambda: bool(children() - before))
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await until(lambda: children() == before)

    asyncio.run(go())


def test_what_was_not_stopped_ends_with_the_context(here: Here) -> None:
    async def go() -> None:
        before = children()
        async with up(here, scripted(start="child")):
            assert children() > before
        await until(lambda: children() == before)

    asyncio.run(go())


def test_a_start_that_fails_says_why(here: Here) -> None:
    async def go() -> None:
        async with Workers(here) as workers:
            with pytest.raises(EngineStartFailed, match="the weights are torn"):
                await workers.start(scripted(start="raise"))

    asyncio.run(go())


def test_an_upstream_has_no_process_but_its_key(here: Here) -> None:
    async def go() -> None:
        before = children()
        variant = Variant(id="far", alias="far", format="remote", source="http://127.0.0.1:9/v1", served_id="there")
        async with Workers(here, headers=lambda one: {"Authorization": f"Bearer {one.id}"}) as workers:
            live = await workers.start(Offer(variant=variant, engine="remote", needs=0))
            assert (live.endpoint.url, live.endpoint.model) == ("http://127.0.0.1:9/v1", "there")
            assert live.headers == {"Authorization": "Bearer far"}
            assert "Bearer" not in repr(live)
            assert await workers.pulse(live) == Pulse()
            await workers.warm(live)
            await workers.stop(live, 0.0)
        assert children() == before

    asyncio.run(go())


@pytest.mark.parametrize(("lists", "sent"), [(["org/one"], "org/one"), (["a", "b"], None), ([], None)])
def test_an_upstream_whose_model_nobody_named_is_asked_for_its_only_one(
    here: Here, lists: list[str], sent: str | None
) -> None:
    async def listing(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer far"
        return web.json_response({"data": [{"id": name} for name in lists]})

    async def go() -> None:
        served = web.Application()
        served.router.add_get("/v1/models", listing)
        running = web.AppRunner(served, access_log=None)
        await running.setup()
        await web.TCPSite(running, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{running.addresses[0][1]}/v1"
        offer = Offer(variant=Variant(id="far", alias="far", format="remote", source=url), engine="remote", needs=0)
        async with Workers(here, headers=lambda _: {"Authorization": "Bearer far"}) as workers:
            if sent is None:
                with pytest.raises(BadInput, match="the model of far is not named"):
                    await workers.start(offer)
            else:
                assert (await workers.start(offer)).endpoint.model == sent
        await running.cleanup()

    asyncio.run(go())


FOREIGN = """
import asyncio, subprocess, sys
from assay.types import Availability, Endpoint, EngineStatus

class Foreign:
    name, formats = "foreign", ("openvino",)

    def available(self):
        return Availability(ok=True)

    async def start(self, variant, options):
        pid = None
        if options.extra.get("process"):
            command = [sys.executable, "-c", "import time; time.sleep(1000)"]
            self.process = subprocess.Popen(command)
            pid = self.process.pid
        return Endpoint(url=options.extra["url"], model=variant.id, engine="foreign", pid=pid)

    async def stop(self, endpoint):
        if endpoint.pid is not None:
            await asyncio.to_thread(self.process.wait)

    def describe(self, endpoint=None):
        return EngineStatus(name="foreign", version=None, formats=self.formats, state="ready")
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Offer]:
    """Offers of an engine that is installed beside the scripted one: its servers are not our workers.

    With ``process`` it has one, and its stop waits for that to end by itself.
    """
    info = tmp_path / "site" / "foreign_engine-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "foreign_engine.py").write_text(FOREIGN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[assay.engines]\nforeign = foreign_engine:Foreign\n")
    monkeypatch.syspath_prepend(info.parent)
    monkeypatch.delitem(sys.modules, "foreign_engine", raising=False)
    variant = Variant(id="f", alias="f", format="openvino", source="test")
    return lambda **extra: Offer(variant=variant, engine="foreign", options=EngineOptions(extra=extra))


@pytest.mark.parametrize("grace_s", [0.0, 0.1])
def test_a_process_that_nobody_ends_is_ended_by_force(
    here: Here, foreign: Callable[..., Offer], grace_s: float
) -> None:
    async def go() -> None:
        async with up(here, foreign(url="http://127.0.0.1:9/v1", process="yes")) as (workers, live):
            assert psutil.pid_exists(pid_of(live))
            async with asyncio.timeout(CAP_S):
                await workers.stop(live, grace_s)
            assert not psutil.pid_exists(pid_of(live))

    asyncio.run(go())


def test_an_engine_that_tells_little_is_alive_while_it_answers(here: Here, foreign: Callable[..., Offer]) -> None:
    async def go() -> None:
        answers = web.Application()
        answers.router.add_get("/health", _fine)
        server = TestServer(answers)
        await server.start_server()
        async with up(here, foreign(url=str(server.make_url("/v1")))) as (workers, live):
            first, second = await workers.pulse(live), await workers.pulse(live)
            assert (first.running, first.problem, first.resident) == (None, None, None)
            assert first.progress is not None
            assert second.progress is not None
            assert second.progress > first.progress
            await server.close()
            assert await workers.pulse(live) == Pulse()

    asyncio.run(go())


@pytest.mark.parametrize(("gives", "asked"), [("completions", 1), ("embeddings", 2)])
def test_a_model_is_kept_warm_by_what_it_gives(
    here: Here, foreign: Callable[..., Offer], gives: str, asked: int
) -> None:
    seen: list[tuple[str, int]] = []

    async def light(request: web.Request) -> web.Response:
        body, status = await request.json(), 200 if request.path.endswith(gives) else 400
        assert body["model"] == "f"
        seen.append((request.path, status))
        return web.json_response({}, status=status)

    async def go() -> None:
        served = web.Application()
        served.router.add_post("/v1/{path}", light)
        async with TestServer(served) as server, up(here, foreign(url=str(server.make_url("/v1")))) as (workers, live):
            await workers.warm(live)
        assert seen[-1] == (f"/v1/{gives}", 200)
        assert len(seen) == asked

    asyncio.run(go())


async def _fine(_: web.Request) -> web.Response:
    return web.Response(text="fine")


def test_free_memory_is_told(here: Here) -> None:
    free = Workers(here).available()
    assert free is None or 0 < free < psutil.virtual_memory().total


@pytest.mark.engines
def test_a_model_of_the_store_is_held_while_it_is_up_and_its_peak_remembered(here: Here) -> None:
    variant = taken_in(here)
    offer = Offer(variant=variant, engine="llamacpp", options=EngineOptions(slots=2, context_length=512))

    async def go() -> None:
        async with up(here, offer) as (workers, live):
            assert [one.pid for one in here.store.holders(variant.id)] == [os.getpid()]
            assert (await answer(live))["usage"]["completion_tokens"] == 4
            pulse = await weighed(workers, live)
            await workers.stop(live, CAP_S)
            assert here.store.holders(variant.id) == []
            endpoint = live.endpoint
            seen = here.observed.find("llamacpp", endpoint.engine_version, variant.digest, 512, 2)
            assert seen is not None
            assert seen.peak >= (pulse.resident or 0) > 0

    asyncio.run(go())


def test_a_start_that_fails_holds_nothing(here: Here) -> None:
    variant = taken_in(here)
    offer = Offer(variant=variant, engine="llamacpp", options=EngineOptions(device="none"))

    async def go() -> None:
        async with Workers(here) as workers:
            with pytest.raises(BadInput, match="none") as raised:
                await workers.start(offer)
            assert (raised.type, here.store.holders(variant.id)) == (BadInput, [])

    asyncio.run(go())


def test_a_start_that_waits_for_another_process_can_be_cancelled(here: Here) -> None:
    variant = taken_in(here)

    async def go() -> None:
        before = children()
        async with Workers(here) as workers:
            with here.store.lock(variant.id):
                starting = asyncio.create_task(workers.start(Offer(variant=variant, engine="llamacpp")))
                await asyncio.wait({starting}, timeout=0.5)
                assert not starting.done()
                assert children() == before
                starting.cancel()
                async with asyncio.timeout(CAP_S):
                    await asyncio.wait({starting})
                assert starting.cancelled()
        assert here.store.holders(variant.id) == []
        with here.store.lock(variant.id):
            pass

    asyncio.run(go())


@pytest.mark.engines
def test_nothing_is_remembered_of_a_model_that_was_asked_nothing(here: Here) -> None:
    variant = next(one for one in bundled_variants() if one.id == "notes-0.5m:q8_0")

    async def go() -> None:
        async with up(here, Offer(variant=variant, engine="llamacpp")) as (workers, live):
            await weighed(workers, live)
        assert not (here.settings.models_home / "observed.jsonl").exists()

    asyncio.run(go())
