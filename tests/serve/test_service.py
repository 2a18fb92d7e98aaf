"""The service does what the scheduler decides: tasks begin, end and are cancelled; leases end whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from assay.disk import Stamp
from assay.errors import UnknownModel
from assay.serve import Pulse, Refused
from assay.serve.observer import Several
from assay.serve.service import Service
from assay.serve.watch import AT_WORK_S, IDLE_S
from tests.serve.acting import MB, Acted, Names, now, offer, play
from tests.serve.staged import LIMITS, A, B, Notes, Stage, far, stage


def test_one_load_serves_many_and_tells_how_long_each_waited() -> None:
    async def go() -> None:
        async with stage(offer("a", slots=8)) as on:
            requests = [on.request("a", client=f"c{i}") for i in range(8)]
            leases = await asyncio.gather(*requests)
            assert on.effects.log == ["start a"]
            assert {(lease.waited, lease.loading) for lease in leases} == {(2.0, 2.0)}
            warm = await on.request("a")
            assert (warm.waited, warm.loading) == (0.0, None)
            assert warm.live.endpoint.url == "http://a.test/v1"
            assert warm.variant.id == "a"

    play(go)


def test_a_ready_model_is_granted_without_giving_way() -> None:
    async def go() -> None:
        async with stage() as on:
            await on.service.load("a")
            passed = False

            def other() -> None:
                nonlocal passed
                passed = True

            asyncio.get_running_loop().call_soon(other)
            async with on.service.lease("a", "ann"):
                assert not passed
            assert not passed

    play(go)


def test_what_is_asked_for_is_known_or_refused() -> None:
    async def go() -> None:
        async with stage() as on:
            with pytest.raises(UnknownModel):
                await on.request("nobody")
            with pytest.raises(UnknownModel):
                await on.service.unload("nobody")
            assert on.effects.log == []
            assert [one.id for one in await on.service.listed()] == ["a", "b", "c"]

    play(go)


def test_who_leaves_while_waiting_is_forgotten() -> None:
    async def go() -> None:
        async with stage() as on:
            first = on.request("a", seconds=10)
            await asyncio.sleep(3)
            second, third = on.request("a"), on.request("a")
            await asyncio.sleep(1)
            assert on.service.queued() == 2
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert on.service.queued() == 1
            await asyncio.gather(first, third)
            assert on.effects.log == ["start a"]
            assert "left a 1" in on.notes.lines
            assert on.notes.lines.count("ended a 1") == 1

    play(go)


def test_who_leaves_while_it_loads_takes_nothing_from_the_others() -> None:
    async def go() -> None:
        async with stage() as on:
            first, second = on.request("a"), on.request("a")
            await asyncio.sleep(1)
            first.cancel()
            assert (await second).loading == 2.0
            assert on.effects.log == ["start a"]

    play(go)


def test_who_is_cancelled_at_the_moment_of_the_grant_gives_its_place_back() -> None:
    async def go() -> None:
        async with stage() as on:
            first = on.request("a", seconds=5)
            await asyncio.sleep(3)
            second, third = on.request("a"), on.request("a", client="bob")
            await asyncio.sleep(0)
            first.add_done_callback(lambda _: second.cancel())
            await first
            await asyncio.wait({second})
            assert second.cancelled()
            assert (await third).waited == 4.0
            assert on.service.models()[0].running == 0

    play(go)


@pytest.mark.parametrize("how", ["raise", "cancel", "return"])
def test_a_lease_ends_whatever_happens(how: str) -> None:
    async def go() -> None:
        async with stage() as on:

            async def use() -> None:
                async with on.service.lease("a", "ann"):
                    if how == "raise":
                        raise ZeroDivisionError
                    await asyncio.sleep(3600 if how == "cancel" else 0)

            task = asyncio.create_task(use())
            await asyncio.sleep(3)
            if how == "cancel":
                task.cancel()
            await asyncio.wait({task})
            assert on.service.models()[0].running == 0
            await on.request("a")

    play(go)


def test_a_load_that_was_killed_is_tried_again_for_those_who_wait() -> None:
    async def go() -> None:
        async with stage() as on:
            on.effects.killed["a"] = 2
            first, second = await asyncio.gather(on.request("a"), on.request("a"))
            assert on.effects.log == ["start a"] * 3
            assert first.problem is second.problem is None

    play(go)


def test_a_load_that_is_killed_each_time_is_given_up_at_the_third() -> None:
    async def go() -> None:
        async with stage() as on:
            on.effects.killed["a"] = 9
            (error,) = await asyncio.gather(on.request("a"), return_exceptions=True)
            assert isinstance(error, Refused)
            assert error.refusal.code == "model_crashed"
            assert "signal 9" in error.refusal.message
            assert on.effects.log == ["start a"] * 3

    play(go)


def test_a_failed_load_refuses_all_who_wait_with_the_reason_but_not_the_log() -> None:
    async def go() -> None:
        async with stage() as on:
            on.effects.broken["a"] = "the weights are torn"
            requests = [on.request("a") for _ in range(3)]
            results = await asyncio.gather(*requests, return_exceptions=True)
            for error in results:
                assert isinstance(error, Refused)
                assert error.refusal.status == 503
                assert error.refusal.message == "the weights are torn"
            assert on.effects.log == ["start a"]
            assert "failed a 2" in on.notes.lines

    play(go)


def test_a_load_that_takes_too_long_is_cancelled_and_told() -> None:
    async def go() -> None:
        async with stage(load_s=3600) as on:
            with pytest.raises(Refused, match="not up within 60 s"):
                await on.request("a")
            assert on.effects.log == ["start a", "cancelled a"]

    play(go)


def test_a_broken_one_is_passed_over_and_the_answer_can_say_so() -> None:
    async def go() -> None:
        async with stage() as on:
            on.names.routes["both"] = (A, B)
            on.effects.broken["a"] = "the weights are torn"
            lease = await on.request("both")
            assert lease.variant.id == "b"
            assert "the weights are torn" in lease.passed[0]

    play(go)


def test_the_idle_one_goes_for_the_memory_of_the_next_and_is_gone_before_that_starts() -> None:
    async def go() -> None:
        async with stage() as on:
            await on.request("a")
            await on.request("b")
            await on.request("c", seconds=0)
            assert on.effects.log == ["start a", "start b", "stop a", "start c"]
            assert "evicted a" in on.notes.lines

    play(go)


def test_a_model_at_work_is_never_taken_down_for_another() -> None:
    async def go() -> None:
        async with stage(limits=structs.replace(LIMITS, memory=MB)) as on:
            first = on.request("a", seconds=20)
            await asyncio.sleep(3)
            second = on.request("b")
            assert (await first).problem is None
            assert (await second).variant.id == "b"
            assert on.effects.log == ["start a", "stop a", "start b"]

    play(go)


def test_a_deadline_is_kept_without_any_other_event() -> None:
    async def go() -> None:
        async with stage() as on:
            long = on.request("a", seconds=100)
            await asyncio.sleep(3)
            began = now()
            with pytest.raises(Refused) as refused:
                await on.request("a", wait_s=7)
            assert refused.value.refusal.code == "queue_timeout"
            assert now() - began == pytest.approx(7, abs=0.01)
            long.cancel()

    play(go)


def test_an_idle_model_goes_after_its_time_and_is_kept_warm_until_then() -> None:
    async def go() -> None:
        async with stage(limits=structs.replace(LIMITS, ttl_s=100, keep_warm_s=30)) as on:
            await on.request("a")
            await asyncio.sleep(90)
            assert on.effects.log.count("warm a") in {2, 3}
            assert on.effects.up == ["a"]
            await asyncio.sleep(11)
            assert on.effects.log[-1] == "stop a"
            assert "stopped a" in on.notes.lines
            await on.service.load("b", ttl=5)
            await asyncio.sleep(6)
            assert on.effects.up == []

    play(go)


def test_a_crash_breaks_its_own_leases_and_the_next_request_waits_for_a_new_life() -> None:
    async def go() -> None:
        async with stage() as on:
            mine, other = on.request("a", seconds=60), on.request("b", seconds=60)
            await asyncio.sleep(5)
            on.effects.pulses["a"] = Pulse(problem="ended by signal 9\nits log")
            broken = await mine
            del on.effects.pulses["a"]
            assert broken.problem == "ended by signal 9"
            again = await on.request("a")
            assert again.problem is None
            assert again.loading == 2.0
            assert again.waited >= LIMITS.backoff_s
            assert on.effects.log == ["start a", "start b", "kill a", "start a"]
            assert (await other).problem is None
            assert "died a ended by signal 9\nits log" in on.notes.lines

    play(go)


def test_a_failed_connection_has_a_worker_looked_at_and_nothing_more() -> None:
    async def go() -> None:
        async with stage() as on:
            async with on.service.lease("a", "ann") as lease:
                asked = on.effects.asked["a"]
                lease.failed("connection reset")
                await asyncio.sleep(0.01)
                assert (on.effects.asked["a"], lease.problem) == (asked + 1, None)
                on.effects.pulses["a"] = Pulse(problem="gone")
                lease.failed("connection refused")
                await lease.broken.wait()
                assert lease.problem == "gone"
            del on.effects.pulses["a"]
            async with on.service.lease("a", "ann", after=lease) as again:
                assert again.waited >= LIMITS.backoff_s
                lease.failed("a late word of the first life")
                await asyncio.sleep(0.01)
                assert again.problem is None

    play(go)


def test_the_time_that_a_model_had_a_request_is_no_wait() -> None:
    async def go() -> None:
        async with stage(far("x"), A) as on:
            on.names.routes["both"] = (far("x"), A)
            async with on.service.lease("both", "ann", wait_s=3) as lease:
                await asyncio.sleep(10)
                lease.failed("silent")
            async with on.service.lease("both", "ann", wait_s=3, after=lease) as again:
                assert (again.offer.id, again.waited) == ("a", 2.0)
                assert again.passed == ("x: silent",)
                await asyncio.sleep(10)
                on.effects.pulses["a"] = Pulse(problem="gone")
                again.failed("connection refused")
                await again.broken.wait()
            del on.effects.pulses["a"]
            with pytest.raises(Refused, match=r"waited 3\.0 s for a, and it was down after a crash"):
                await on.request("both", wait_s=3, after=again)

    play(go)


def test_a_request_has_an_idle_model_watched_as_one_at_work() -> None:
    async def go() -> None:
        async with stage() as on:
            await on.service.load("a")
            await asyncio.sleep(10 * (IDLE_S + AT_WORK_S) + 1)
            asked = on.effects.asked["a"]
            await on.request("a", seconds=4 * AT_WORK_S)
            assert on.effects.asked["a"] >= asked + 3

    play(go)


def test_a_stuck_model_is_killed_and_comes_back() -> None:
    async def go() -> None:
        async with stage() as on:
            on.effects.pulses["a"] = Pulse(running=1, progress=3)
            stuck = await on.request("a", seconds=3600)
            assert "no progress for 30 s" in str(stuck.problem)
            on.effects.pulses["a"] = Pulse(running=0)
            await on.request("a")
            assert on.effects.log == ["start a", "kill a", "start a"]

    play(go)


def test_loading_and_unloading_by_name() -> None:
    async def go() -> None:
        async with stage() as on:
            assert (await on.service.load("a")).state == "ready"
            busy = on.request("b", seconds=10)
            await asyncio.sleep(3)
            assert await on.service.unload("a") == ("a",)
            assert on.effects.up == ["b"]
            assert await on.service.unload("a") == ()
            assert await on.service.unload("b") == ("b",)
            assert on.effects.up == ["b"]
            assert (await busy).problem is None
            await asyncio.sleep(1)
            assert on.effects.up == []

    play(go)


def test_force_breaks_what_is_under_way() -> None:
    async def go() -> None:
        async with stage() as on:
            busy = on.request("a", seconds=3600)
            await asyncio.sleep(3)
            assert await on.service.unload("a", force=True) == ("a",)
            assert on.effects.up == []
            assert (await busy).problem is not None

    play(go)


@pytest.mark.parametrize("pinned", [False, True])
def test_a_model_whose_files_have_changed_is_loaded_anew_once_it_rests(pinned: bool) -> None:
    async def go() -> None:
        async with stage() as on:
            if pinned:
                await on.service.start(["a"])
            busy = on.request("a", seconds=5)
            await asyncio.sleep(2)
            written = structs.replace(A, stamps=(Stamp(1, 2, 3),))
            on.names.routes["a"] = (written,)
            assert (await on.request("a")).offer == A
            assert (await busy).problem is None
            assert (await on.request("a")).offer == written
            assert (await on.request("a")).offer == written
            assert on.effects.log == ["start a", "stop a", "start a"]
            assert on.service.models()[0].pinned == pinned

    play(go)


def test_a_next_life_waits_until_the_last_one_is_gone() -> None:
    class Slow(Acted):
        async def stop(self, live: Any, grace_s: float) -> None:
            await asyncio.sleep(20)
            await super().stop(live, grace_s)

    async def go() -> None:
        on = Stage(Names(A), Slow(), LIMITS)
        await on.service.load("a")
        on.effects.pulses["a"] = Pulse(problem="gone")
        await asyncio.sleep(10)
        del on.effects.pulses["a"]
        await on.request("a")
        assert on.effects.log == ["start a", "kill a", "start a"]
        await on.service.stop()

    play(go)


@pytest.mark.parametrize(
    ("free", "memory", "fits"), [(MB - 1, None, 0), (MB, None, 1), (None, 2 * MB, 2), (None, None, 3)]
)
def test_memory_is_bounded_by_what_is_free_where_no_bound_was_asked_for(
    free: int | None, memory: int | None, fits: int
) -> None:
    async def go() -> None:
        async with stage(limits=structs.replace(LIMITS, memory=memory), free=free) as on:
            await on.service.start(["a", "b", "c"])
            await asyncio.sleep(3)
            assert sorted(on.effects.up) == ["a", "b", "c"][:fits]

    play(go)


def test_several_are_told_alike() -> None:
    async def go() -> None:
        one, two = Notes(), Notes()
        service = Service(Names(A, B), Acted(), LIMITS, observer=Several(one, two), clock=now)
        await service.load("a")
        async with service.lease("a", "ann"):
            waits = asyncio.create_task(service.load("a"))
            await asyncio.sleep(1)
            waits.cancel()
            await asyncio.wait({waits})
        await service.stop()
        with pytest.raises(Refused):
            await service.load("b")
        assert one.lines == two.lines
        assert {line.split()[0] for line in one.lines} == {
            "loading", "loaded", "granted", "ended", "left", "stopped", "refused",
        }  # fmt: skip

    play(go)
