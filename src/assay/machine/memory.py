"""Memory of this machine, and what the control groups around this process leave of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from assay.machine.groups import groups
from assay.machine.text import lines


class Memory(NamedTuple):
    """Bytes. ``available`` already takes the groups' limits less their use into account."""

    total: int | None
    available: int | None
    limit: int | None


def read_memory(root: Path = Path("/"), *, fallback: Callable[[], tuple[int, int] | None] | None = None) -> Memory:
    """Memory in bytes, from the ``proc`` and ``sys`` trees under ``root``; what cannot be read is None.

    ``fallback`` gives (total, available) where there is no ``/proc/meminfo``; psutil does unless told otherwise.
    """
    total, available = _meminfo(root) or (fallback or _psutil)() or (None, None)
    limit = None
    for group in groups(root, "memory"):
        bound = group.memory_limit
        if bound is None:
            continue
        limit = bound if limit is None else min(limit, bound)
        left = max(bound - (group.memory_used or 0), 0)
        available = left if available is None else min(available, left)
    return Memory(total, available, limit)


def memory_budget(root: Path = Path("/")) -> int | None:
    """Bytes that models may take at this moment: the smaller of what is free and what the limits leave."""
    memory = read_memory(root)
    known = [bound for bound in (memory.available, memory.limit) if bound is not None]
    return min(known, default=None)


def _meminfo(root: Path) -> tuple[int, int] | None:
    fields = {}
    for line in lines(root / "proc/meminfo"):
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            fields[name] = int(words[0]) * 1024
    if "MemTotal" not in fields:
        return None
    # Kernels before 3.14 have no MemAvailable.
    free = fields.get("MemFree", 0) + fields.get("Buffers", 0) + fields.get("Cached", 0)
    return fields["MemTotal"], fields.get("MemAvailable", free)


def _psutil() -> tuple[int, int] | None:
    try:
        import psutil

        memory = psutil.virtual_memory()
    except (ImportError, OSError, RuntimeError, NotImplementedError):
        return None
    return memory.total, memory.available
