"""What this computer is: processor, memory and its limits, graphics processors, power.

In: the kernel's own files, or psutil, py-cpuinfo and NVIDIA's library where they do not tell.
Out: one frozen ``Machine`` in which unknown is None.
"""

from __future__ import annotations

from assay.machine.inspection import inspect
from assay.machine.memory import memory_budget

__all__ = ["inspect", "memory_budget"]
