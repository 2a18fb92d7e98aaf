"""The event loop to measure in: uvloop where there is one, winloop on Windows, else asyncio's own; and its pauses."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def fastest_loop() -> tuple[str, _LoopFactory]:
    """Name and factory of the fastest loop installed."""
    name = "winloop" if sys.platform == "win32" else "uvloop"
    try:
        factory: _LoopFactory = importlib.import_module(name).new_event_loop
    except ImportError:
        return "asyncio", asyncio.new_event_loop
    return name, factory


def loop_name() -> str:
    """Which of ``uvloop``, ``winloop`` and ``asyncio`` the running loop is."""
    module = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    return module if module in {"uvloop", "winloop"} else "asyncio"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end in the fastest loop; the first Ctrl-C cancels it and lets it clean up."""
    with asyncio.Runner(loop_factory=fastest_loop()[1]) as runner:
        return runner.run(work)


@contextmanager
def short_pauses() -> Iterator[None]:
    """Keep the garbage collector from walking, in the middle of a stream, through everything that was ever imported.

    One such pass took 45 ms with the application loaded, and every event that came meanwhile was stamped late.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
