from __future__ import annotations

import asyncio
import sys

from assay.measure.loop import fastest_loop, loop_name, run


async def name() -> str:
    return loop_name()


def test_the_fastest_loop_that_is_installed_runs() -> None:
    assert run(name()) == fastest_loop()[0]
    assert asyncio.run(name()) == "asyncio"
    if sys.platform == "linux":
        assert fastest_loop()[0] == "uvloop"
