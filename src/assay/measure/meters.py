"""Memory and CPU time of an engine's process tree, read by a thread beside the measuring.

On Linux memory is the PSS of ``smaps_rollup``, in which pages that processes share are counted once over all of them;
where that cannot be read it is the RSS, and the reading says which. GPU memory is what NVML reports for the same
processes, None where there is no NVML or it does not know them (as in most containers). An engine is read from when
it is ready: what only loading took is not seen.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil

from assay.types import Reading

PERIOD_S = 0.2
TREE_PERIOD_S = 1.0
"""How often the tree is looked at anew for processes that came."""
MAX_SHARE = 0.02
"""Most of one core that reading may take: the period grows with the cost of a reading, which grows with the memory."""
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


class Memory(NamedTuple):
    """Bytes of a process tree, and how they were counted."""

    bytes: int
    kind: Literal["pss", "rss"]


def tree_memory(processes: list[psutil.Process]) -> Memory | None:
    """Memory of those that live; RSS for all where the PSS of one cannot be read; None where none lives."""
    pss = [_pss(process.pid) for process in processes] if sys.platform == "linux" else [None]
    rss = [value for process in processes if (value := _rss(process)) is not None]
    if not rss:
        return None
    known = [value for value in pss if value is not None]
    return Memory(sum(known), "pss") if len(known) >= len(rss) else Memory(sum(rss), "rss")


def process_tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class Meter:
    """Reads one process tree until it is stopped. ``take`` gives the readings made since it was last called."""

    def __init__(self, variant: str, engine: str, pid: int, *, period_s: float = PERIOD_S) -> None:
        self._variant = variant
        self._engine = engine
        self._pid = pid
        self._period_s = period_s
        self._readings: deque[Reading] = deque()
        self._stopped = threading.Event()
        self._processes = process_tree(pid)
        self._gpu = _GpuMeter()
        self._thread = threading.Thread(target=self._run, name=f"meter-{pid}", daemon=True)

    def start(self) -> None:
        """Begin; the first reading is made at once."""
        self._thread.start()

    def take(self) -> list[Reading]:
        """Readings not yet taken, oldest first."""
        taken = []
        while self._readings:
            taken.append(self._readings.popleft())
        return taken

    def stop(self) -> list[Reading]:
        """Make a last reading, end the thread, and give what was not yet taken. Blocks for one reading at most."""
        self._stopped.set()
        self._thread.join()
        self._gpu.close()
        return self.take()

    def _run(self) -> None:
        looked = time.monotonic()
        while True:
            began = time.monotonic()
            stopping = self._stopped.is_set()
            if began - looked >= TREE_PERIOD_S:
                self._processes, looked = process_tree(self._pid), began
            reading = self._read()
            if reading is not None:
                self._readings.append(reading)
            if stopping:
                return
            self._stopped.wait(max(self._period_s, (time.monotonic() - began) / MAX_SHARE))

    def _read(self) -> Reading | None:
        memory = tree_memory(self._processes)
        if memory is None:
            return None
        return Reading(
            variant=self._variant,
            engine=self._engine,
            t_ns=time.monotonic_ns(),
            memory=memory.bytes,
            memory_kind=memory.kind,
            gpu_memory=self._gpu.memory({process.pid for process in self._processes}),
            cpu_s=_cpu_seconds(self._processes),
        )


class _GpuMeter:
    """GPU memory of processes by NVML; answers None where that is not to be had."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._devices: list[Any] = []
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception:
            # Without a driver it raises one of many kinds.
            return
        self._nvml = pynvml
        self._devices = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]

    def memory(self, pids: set[int]) -> int | None:
        found = None
        for device in self._devices:
            try:
                running = self._nvml.nvmlDeviceGetComputeRunningProcesses(device)
            except self._nvml.NVMLError:
                continue
            for process in running:
                if process.pid in pids and process.usedGpuMemory is not None:
                    found = (found or 0) + int(process.usedGpuMemory)
        return found

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml, self._devices = None, []


def _pss(pid: int) -> int | None:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _rss(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return None


def _cpu_seconds(processes: list[psutil.Process]) -> float | None:
    times = []
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        times.append(used.user + used.system)
    return sum(times) if times else None
