"""Whatever happens in whatever order: every request ends, and nothing is left."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from assay.serve import Pulse, Refused
from assay.serve.lease import Lease
from tests.serve.acting import offer, play
from tests.serve.staged import LIMITS, A, B, C, Stage, far, stage

NAMES = ["a", "b", "c", "both", "far"]
EVENTS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(NAMES), st.sampled_from([0.0, 0.5, 3.0, 40.0]), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 1.0, 2.0, 9.0])),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("crash"), st.sampled_from("abc")),
    st.tuples(st.just("mend"), st.sampled_from("abc")),
    st.tuples(st.just("tear"), st.sampled_from("abc")),
    st.tuples(st.just("unload"), st.sampled_from("abc"), st.booleans()),
    st.tuples(st.just("lose")),
)


class Story:
    """Random events on a stage, one after the other."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        self.asked: list[asyncio.Task[Lease]] = []
        self.unloading: list[asyncio.Task[tuple[str, ...]]] = []

    async def tell(self, event: tuple[Any, ...]) -> None:
        effects = self.on.effects
        match event:
            case ("ask", name, seconds, weight):
                self.asked.append(self.on.request(name, seconds, client=f"c{weight}", weight=weight))
            case ("wait", seconds):
                await asyncio.sleep(seconds)
            case ("leave", which) if which < len(self.asked):
                self.asked[which].cancel()
            case ("crash", model):
                effects.pulses[model] = Pulse(problem="gone")
            case ("mend", model):
                effects.pulses.pop(model, None)
                effects.broken.pop(model, None)
            case ("tear", model):
                effects.broken[model] = "torn"
            case ("unload", model, force):
                self.unloading.append(asyncio.create_task(self.on.service.unload(model, force=force)))
            case ("lose",):
                for lease in self.on.leases():
                    lease.failed("connection refused")


@given(st.lists(EVENTS, max_size=40), st.booleans())
@settings(max_examples=150)
def test_whatever_happens_every_request_ends_and_nothing_is_left(
    events: list[tuple[Any, ...]], to_the_end: bool
) -> None:
    async def go() -> None:
        limits = structs.replace(LIMITS, wait_s=60, ttl_s=20, keep_warm_s=7)
        async with stage(offer("a", slots=2), B, C, far("far"), limits=limits) as on:
            on.names.routes["both"] = (far("far"), C, A)
            story = Story(on)
            for event in events:
                await story.tell(event)
            if to_the_end:
                await asyncio.wait({*story.asked, *story.unloading, asyncio.create_task(asyncio.sleep(200))})
                assert on.service.queued() == 0
                assert all(state.running == state.waiting == 0 for state in on.service.models())
            await on.service.stop()
            ended = await asyncio.gather(*story.asked, return_exceptions=True)
            assert all(isinstance(one, Lease | Refused | asyncio.CancelledError) for one in ended), ended
            await asyncio.gather(*story.unloading)
            assert on.service.models() == () or all(state.running == 0 for state in on.service.models())

    play(go)
