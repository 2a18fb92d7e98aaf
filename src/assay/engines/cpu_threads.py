"""How many threads an engine should run with, when nobody said."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

BYTES_PER_THREAD = 16 * 1024 * 1024
"""A thread with less than this to read per token waits for the others longer than it works."""
_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


SPARED_FROM = 4
"""From so many cores on, one is left to whoever asks. Threads wait for each other in every layer, so one that must give
its core to the door or to the client stops all. Threads that wait awake take the core that the late one needs: on 4
cores beside one busy program, llama.cpp made 1 token a second of a 116M model with 4 threads, and 119 with 3."""
LAST_CORE_BYTES = 32 * 1024 * 1024
"""What each thread must read per token for the spared core to be worth taking, by threads that wait asleep. On 4 cores
ONNX Runtime made 17 to 21 % more tokens with 4 threads than with 3 of a 402M model in 4 bits, and 5 % less to 22 % more
of one of 116M; beside one busy program it made a fifth less of the one and three tenths less of the other."""


def default_threads(weight_bytes: int, cores: int | None = None, *, wait_asleep: bool = False) -> int:
    """One thread per 16 MB of weights, at least one, at most ``cores`` (those that may be used), less a spared one.

    None is spared where the threads ``wait_asleep`` for each other and the model is large.
    """
    cores = usable_cores() if cores is None else cores
    spared = cores >= SPARED_FROM and not (wait_asleep and weight_bytes // LAST_CORE_BYTES >= cores)
    return max(1, min(cores - spared, weight_bytes // BYTES_PER_THREAD))


def usable_cores() -> int:
    """Physical cores, less what CPU affinity and the cgroup's quota (v2) keep from this process; at least 1."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed, quota_cores(_read_quota()) or physical))


def quota_cores(cpu_max: str) -> int | None:
    """Whole cores of a ``cpu.max`` line (``quota period`` in microseconds, or ``max period``); None: no limit."""
    fields = cpu_max.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        return None
    return max(1, int(fields[0]) // int(fields[1]))


def _read_quota() -> str:
    try:
        return _CGROUP_CPU_MAX.read_text()
    except OSError:
        return ""
