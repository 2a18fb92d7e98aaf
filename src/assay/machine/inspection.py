"""The whole machine in one look."""

from __future__ import annotations

import platform
from pathlib import Path

from assay.machine.cpu import read_cpu
from assay.machine.gpu import read_gpus
from assay.machine.memory import read_memory
from assay.machine.power import read_power
from assay.types import Machine


def inspect(root: Path = Path("/")) -> Machine:
    """What this computer is; ``root`` holds the ``proc`` and ``sys`` trees. Never raises: what is not told is None.

    Takes a few milliseconds on Linux, and about a second elsewhere, where the processor has to be asked.
    """
    memory, cpu, power = read_memory(root), read_cpu(root), read_power(root)
    return Machine(
        system=platform.system(),
        release=platform.release(),
        arch=platform.machine(),
        cpu=cpu.name,
        cores=cpu.cores,
        physical_cores=cpu.physical_cores,
        memory=memory.total,
        memory_available=memory.available,
        memory_limit=memory.limit,
        gpus=read_gpus(root),
        governor=power.governor,
        load_average=power.load_average,
        on_battery=power.on_battery,
        python=platform.python_version(),
        cpu_flags=cpu.flags,
    )
