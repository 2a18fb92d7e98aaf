"""A watch notices what ends, breaks or gets stuck, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from assay.serve import Live, Pulse
from assay.serve.watch import AT_WORK_S, IDLE_S, PULSE_S, Watch
from assay.types import Endpoint
from tests.serve.acting import Acted, now, play

LIVE = Live(endpoint=Endpoint(url="http://a.test/v1", model="a", engine="acted"))
STALL_S = 30.0
LONG_S = 3600.0


class Watched:
    """A watch under way, and what it told."""

    def __init__(self) -> None:
        self.effects = Acted()
        self.leased = False
        self.seen: list[Pulse] = []
        self.watch = Watch(
            LIVE, self.effects, stall_s=STALL_S, clock=now, leased=lambda: self.leased, told=self.seen.append
        )
        self.run = asyncio.create_task(self.watch.run())

    async def still_fine_after(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        fine = not self.run.done()
        self.run.cancel()
        return fine


def test_an_ended_process_is_noticed_with_its_reason() -> None:
    async def go() -> None:
        watched = Watched()
        await asyncio.sleep(2 * IDLE_S)
        watched.effects.pulses["a"] = Pulse(problem="ended by signal 9")
        assert await watched.run == "ended by signal 9"
        assert all(pulse.problem is None for pulse in watched.seen)

    play(go)


def test_a_model_at_work_is_asked_often_and_an_idle_one_seldom() -> None:
    async def asked(pulse: Pulse, *, leased: bool = False) -> int:
        watched = Watched()
        watched.effects.pulses["a"], watched.leased = pulse, leased
        assert await watched.still_fine_after(60)
        return watched.effects.asked["a"]

    idle = play(lambda: asked(Pulse(running=0)))
    assert idle == pytest.approx(60 / (IDLE_S + AT_WORK_S), abs=1)
    busy = play(lambda: asked(Pulse(running=0), leased=True))
    assert busy == pytest.approx(60 / AT_WORK_S, abs=1)


def test_looking_asks_at_once_and_working_soon() -> None:
    async def go() -> None:
        watched = Watched()
        await asyncio.sleep(1)
        assert watched.effects.asked["a"] == 1
        watched.watch.work()
        await asyncio.sleep(AT_WORK_S / 2)
        assert watched.effects.asked["a"] == 1
        watched.watch.look()
        await asyncio.sleep(0.001)
        assert watched.effects.asked["a"] == 2
        watched.effects.pulses["a"] = Pulse(problem="gone")
        watched.watch.look()
        before = now()
        await watched.run
        assert now() == before

    play(go)


STUCK: list[tuple[str, Pulse, bool]] = [
    ("no token", Pulse(running=1, progress=7), False),
    ("no token, and nothing but tokens is told", Pulse(running=1, generated=7), True),
    ("nothing is told, and a request is out", Pulse(), True),
    ("something runs, and nothing is told of it", Pulse(running=2), False),
]


@pytest.mark.parametrize(("pulse", "leased"), [one[1:] for one in STUCK], ids=[one[0] for one in STUCK])
def test_a_model_that_is_stuck_at_work_is_given_up(pulse: Pulse, leased: bool) -> None:
    async def go() -> None:
        watched = Watched()
        watched.effects.pulses["a"], watched.leased = pulse, leased
        began = now()
        why = await watched.run
        assert "no progress for 30 s" in why
        assert STALL_S <= now() - began <= STALL_S + 2 * AT_WORK_S

    play(go)


def test_one_that_does_not_answer_is_given_up_when_a_request_is_out() -> None:
    async def go() -> None:
        watched = Watched()
        watched.leased = True
        watched.effects.deaf.add("a")
        began = now()
        assert "no progress" in await watched.run
        assert now() - began <= STALL_S + PULSE_S + AT_WORK_S

    play(go)


def test_slow_progress_and_idleness_are_no_reason() -> None:
    async def idle() -> bool:
        watched = Watched()
        watched.effects.pulses["a"] = Pulse(running=0, progress=3)
        return await watched.still_fine_after(LONG_S)

    async def deaf_and_idle() -> bool:
        watched = Watched()
        watched.effects.deaf.add("a")
        return await watched.still_fine_after(LONG_S)

    async def leased_but_nothing_runs() -> bool:
        watched = Watched()
        watched.leased = True
        return await watched.still_fine_after(LONG_S)

    async def slow() -> bool:
        watched = Watched()
        watched.leased = True
        for token in range(20):
            watched.effects.pulses["a"] = Pulse(running=1, progress=token)
            await asyncio.sleep(STALL_S - 2)
        return await watched.still_fine_after(1)

    for work in (idle, deaf_and_idle, leased_but_nothing_runs, slow):
        assert play(work), work.__name__


def test_work_after_a_long_rest_has_the_whole_time() -> None:
    async def go() -> None:
        watched = Watched()
        watched.effects.pulses["a"] = Pulse(running=0, progress=5)
        await asyncio.sleep(LONG_S)
        began = now()
        watched.leased = True
        watched.watch.work()
        watched.effects.pulses["a"] = Pulse(running=1, progress=5)
        await watched.run
        assert now() - began >= STALL_S

    play(go)


def test_a_question_that_fails_has_told_nothing() -> None:
    class Failing(Acted):
        async def pulse(self, live: Live) -> Pulse:
            await super().pulse(live)
            raise OSError("no route")

    async def go() -> None:
        watched = Watched()
        watched.run.cancel()
        watch = Watch(LIVE, Failing(), stall_s=STALL_S, clock=now, leased=lambda: True, told=watched.seen.append)
        assert "no progress" in await watch.run()
        assert set(watched.seen) == {Pulse()}

    play(go)
