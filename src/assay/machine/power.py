"""What can slow the processor down while it is measured: frequency governor, battery, other load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from assay.machine.text import lines, number


class Power(NamedTuple):
    """``governor`` names each one in use, joined by commas; ``load_average`` is over one minute."""

    governor: str | None
    load_average: float | None
    on_battery: bool | None


def read_power(
    root: Path = Path("/"),
    *,
    plugged: Callable[[], bool | None] | None = None,
    load: Callable[[], float | None] | None = None,
) -> Power:
    """Governor, load and battery, from the ``proc`` and ``sys`` trees under ``root``; what is not told is None.

    ``plugged`` says whether mains feed the machine, and ``load`` gives the load average, where the trees do not.
    """
    cores = root / "sys/devices/system/cpu"
    governors = {"".join(lines(file)).strip() for file in cores.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    words = "".join(lines(root / "proc/loadavg")[:1]).split()
    supplies = root / "sys/class/power_supply"
    if supplies.is_dir():
        on_battery = _on_battery(supplies)
    else:
        mains = (plugged or _psutil_plugged)()
        on_battery = None if mains is None else not mains
    return Power(
        governor=",".join(sorted(governors)) or None,
        load_average=float(words[0]) if words else (load or _system_load)(),
        on_battery=on_battery,
    )


def _on_battery(supplies: Path) -> bool | None:
    """None where the machine tells of no supply, as servers do; batteries of mice and the like do not count."""
    mains: list[bool] = []
    discharging: list[bool] = []
    for supply in sorted(supplies.iterdir()):
        kind = "".join(lines(supply / "type")).strip()
        if kind == "Battery" and "".join(lines(supply / "scope")).strip() != "Device":
            discharging.append("".join(lines(supply / "status")).strip() == "Discharging")
        elif kind in {"Mains", "USB"}:
            mains.append(number(supply / "online") == 1)
    if any(mains):
        return False
    if discharging:
        return any(discharging)
    return None


def _system_load() -> float | None:
    """None on Windows, which keeps no such average."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _psutil_plugged() -> bool | None:
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return None if battery is None else battery.power_plugged
