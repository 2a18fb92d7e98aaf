from __future__ import annotations

import asyncio
import gc
import sys

from assay.measure.loop import fastest_loop, loop_name, run, short_pauses


async def name() -> str:
    return loop_name()


def test_the_fastest_loop_that_is_installed_runs() -> None:
    assert run(name()) == fastest_loop()[0]
    assert asyncio.run(name()) == "asyncio"
    if sys.platform == "linux":
        assert fastest_loop()[0] == "uvloop"


def test_the_collector_leaves_what_was_there_alone_for_the_time_being() -> None:
    with short_pauses():
        assert gc.get_freeze_count() > 0
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0
