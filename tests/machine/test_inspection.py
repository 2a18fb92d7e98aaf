"""The whole machine in one look: this one, and one of files."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from assay.machine import inspect, memory_budget
from assay.types import Machine
from tests.machine.tree import AVAILABLE, MEMINFO, TOTAL, grow


def test_this_machine() -> None:
    machine = inspect()
    assert isinstance(machine, Machine)
    assert machine.system == platform.system()
    assert machine.python == platform.python_version()
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory is not None
    assert machine.memory_budget is not None
    assert 0 < machine.memory_budget <= machine.memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' own files")
def test_only_usable_cores_are_counted() -> None:
    assert inspect().cores <= len(os.sched_getaffinity(0))


def test_a_machine_of_files(tmp_path: Path) -> None:
    root = grow(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/cpuinfo": "processor : 0\nmodel name : Chip\ncore id : 0\n",
            "proc/loadavg": "0.10 0 0 1/1 1\n",
        },
    )
    machine = inspect(root)
    assert (machine.cpu, machine.memory, machine.memory_available, machine.memory_limit) == (
        "Chip", TOTAL, AVAILABLE, None,
    )  # fmt: skip
    assert machine.load_average == 0.1
    assert machine.gpus == ()
    assert memory_budget(root) == machine.memory_budget == AVAILABLE


def test_the_same_hardware_has_the_same_digest_whatever_its_load() -> None:
    assert inspect().digest == inspect().digest
