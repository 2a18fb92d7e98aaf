"""Watches one model that is up: notices that its process has ended, that it broke, or that it is stuck at work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from assay.serve.effects import Effects, Live, Pulse

AT_WORK_S = 0.5
"""How often a model at work is asked how it is."""
IDLE_S = 5.0
"""How often an idle one is."""
PULSE_S = 2.0
"""How long an answer to that may take; an engine that holds the interpreter lock in a long prefill gives none."""


class Watch:
    """One model's watch. ``leased`` tells whether a request is out, ``told`` takes each pulse; times are seconds."""

    def __init__(
        self,
        live: Live,
        effects: Effects,
        *,
        stall_s: float,
        clock: Callable[[], float],
        leased: Callable[[], bool],
        told: Callable[[Pulse], None],
    ) -> None:
        self._live = live
        self._effects = effects
        self._stall_s = stall_s
        self._clock = clock
        self._leased = leased
        self._told = told
        self._work = asyncio.Event()
        self._look = asyncio.Event()

    def work(self) -> None:
        """A request is on its way to the model."""
        self._work.set()

    def look(self) -> None:
        """Something is wrong with it, perhaps: ask at once."""
        self._work.set()
        self._look.set()

    async def run(self) -> str:
        """Watch until the model can no longer serve; gives why.

        It is stuck when for ``stall_s`` it made no progress though generations run, or did not answer though a
        request is out.
        """
        moved, progress, worked = self._clock(), None, False
        while True:
            pulse = await self._ask()
            if pulse.problem is not None:
                return pulse.problem
            self._told(pulse)
            at_work = self._leased() if pulse.running is None else pulse.running > 0
            done = pulse.generated if pulse.progress is None else pulse.progress
            if not (at_work and worked) or (done is not None and done != progress):
                moved = self._clock()
            elif self._clock() - moved >= self._stall_s:
                return f"it made no progress for {self._stall_s:g} s while at work, and was killed"
            progress, worked = progress if done is None else done, at_work
            await self._rest(at_work or self._leased())

    async def _ask(self) -> Pulse:
        """How it is; nothing is known where it does not say."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(min(PULSE_S, self._stall_s)):
                return await self._effects.pulse(self._live)
        return Pulse()

    async def _rest(self, at_work: bool) -> None:
        """Until the next question. A model that begins to work is not asked at once: its first token comes first."""
        if not at_work:
            await _until(self._work, IDLE_S)
        self._work.clear()
        await _until(self._look, AT_WORK_S)
        self._look.clear()


async def _until(event: asyncio.Event, most_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()
