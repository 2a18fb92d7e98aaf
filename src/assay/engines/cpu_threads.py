"""How many threads an engine should run with, when nobody said."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

BYTES_PER_THREAD = 16 * 1024 * 1024
"""A thread with less than this to read per token waits for the others longer than it works."""
_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def default_threads(weight_bytes: int) -> int:
    """One thread per 16 MB of weights, at least one, at most the physical cores that this process may use."""
    return max(1, min(usable_cores(), weight_bytes // BYTES_PER_THREAD))


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
