"""Waits for what another process or thread makes so, and for the end of a process that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from assay.serve.place import Born, born

CAP_S = 60.0


def until(true: Callable[[], bool]) -> None:
    """Wait for it; fail where it never comes."""
    end = time.monotonic() + CAP_S
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def kill(pid: int) -> None:
    """Kill the process, where it is there, and wait until it is gone."""
    created = born(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: created is None or not Born(pid, created).lives)
