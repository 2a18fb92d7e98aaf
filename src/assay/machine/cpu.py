"""The processor: its name, the cores this process may use, and its instruction sets."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from assay.machine.groups import cpu_quota
from assay.machine.text import lines


class Cpu(NamedTuple):
    """``cores`` are logical ones that this process may use: those it is bound to, and no more than its quota."""

    name: str | None
    cores: int
    physical_cores: int | None
    flags: tuple[str, ...]


def read_cpu(
    root: Path = Path("/"),
    *,
    allowed: frozenset[int] | None = None,
    fallback: Callable[[], tuple[str | None, tuple[str, ...]]] | None = None,
    physical: Callable[[], int | None] | None = None,
) -> Cpu:
    """The processor, from the ``proc`` and ``sys`` trees under ``root``.

    ``allowed`` are the numbers of the logical cores that this process may use (its affinity unless given).
    ``fallback`` gives (name, flags) and ``physical`` the number of physical cores where the trees do not tell;
    py-cpuinfo (which takes about a second) and psutil do unless told otherwise.
    """
    usable = allowed if allowed is not None else _affinity()
    blocks = _cpuinfo(root)
    if blocks:
        name, flags = _name(root, blocks), _flags(blocks)
        cores_physical = _physical(root, blocks, usable)
    else:
        name, flags = (fallback or _py_cpuinfo)()
        cores_physical = (physical or _psutil_physical)()
    quota = cpu_quota(root)
    cores = len(usable) if quota is None else max(1, min(len(usable), math.ceil(quota)))
    return Cpu(name, cores, None if cores_physical is None else min(cores_physical, cores), flags)


def _affinity() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """One mapping a logical core, and on some boards one more that tells of the machine."""
    blocks: list[dict[str, str]] = [{}]
    for line in lines(root / "proc/cpuinfo"):
        key, separator, value = line.partition(":")
        if separator:
            blocks[-1][key.strip()] = value.strip()
        elif blocks[-1]:
            blocks.append({})
    return [block for block in blocks if block]


def _name(root: Path, blocks: list[dict[str, str]]) -> str | None:
    """x86 and some ARM boards name the model; other ARM machines only in the device tree."""
    for key in ("model name", "Model", "Hardware", "cpu model", "cpu"):
        for block in blocks:
            if block.get(key):
                return " ".join(block[key].split())
    tree = "".join(lines(root / "proc/device-tree/model")).strip("\0 ")
    return tree or None


def _flags(blocks: list[dict[str, str]]) -> tuple[str, ...]:
    for block in blocks:
        for key in ("flags", "Features", "isa"):
            if block.get(key):
                return tuple(sorted(set(block[key].split())))
    return ()


def _physical(root: Path, blocks: list[dict[str, str]], usable: frozenset[int]) -> int | None:
    """Distinct (package, core) pairs among the usable logical cores; None where a core does not tell."""
    pairs: set[tuple[str, str]] = set()
    told = {block["processor"]: block for block in blocks if "processor" in block}
    for number in usable:
        topology = root / f"sys/devices/system/cpu/cpu{number}/topology"
        package, core = ("".join(lines(topology / name)).strip() for name in ("physical_package_id", "core_id"))
        block = told.get(str(number), {})
        package, core = package or block.get("physical id", "0"), core or block.get("core id", "")
        if not core:
            return None
        pairs.add((package, core))
    return len(pairs) or None


def _py_cpuinfo() -> tuple[str | None, tuple[str, ...]]:
    try:
        import cpuinfo

        known = cpuinfo.get_cpu_info()
    except Exception:  # py-cpuinfo raises bare Exceptions on processors it does not know
        return platform.processor() or None, ()
    return known.get("brand_raw") or platform.processor() or None, tuple(sorted(known.get("flags", ())))


def _psutil_physical() -> int | None:
    import psutil

    return psutil.cpu_count(logical=False)
