"""The processor, on trees of real files."""

from __future__ import annotations

import os
from pathlib import Path

from assay.machine.cpu import read_cpu
from tests.machine.tree import V2_MOUNT, grow


def x86(cores: int, threads: int = 1) -> str:
    return "\n".join(
        f"processor\t: {n}\nmodel\t\t: 106\nmodel name\t: Big  Chip @ 2.80GHz\nphysical id\t: 0\n"
        f"core id\t\t: {n // threads}\nflags\t\t: sse2 avx2 fpu\n"
        for n in range(cores * threads)
    )


ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd dotprod\nCPU part\t: 0xd0c\n"


def test_x86(tmp_path: Path) -> None:
    cpu = read_cpu(grow(tmp_path, {"proc/cpuinfo": x86(4)}), allowed=frozenset(range(4)))
    assert cpu == ("Big Chip @ 2.80GHz", 4, 4, ("avx2", "fpu", "sse2"))


def test_two_threads_a_core(tmp_path: Path) -> None:
    cpu = read_cpu(grow(tmp_path, {"proc/cpuinfo": x86(2, threads=2)}), allowed=frozenset(range(4)))
    assert (cpu.cores, cpu.physical_cores) == (4, 2)


def test_only_the_cores_that_the_process_may_use_count(tmp_path: Path) -> None:
    cpu = read_cpu(grow(tmp_path, {"proc/cpuinfo": x86(4, threads=2)}), allowed=frozenset({0, 1}))
    assert (cpu.cores, cpu.physical_cores) == (2, 1)


def test_a_quota_counts_as_cores_rounded_up(tmp_path: Path) -> None:
    root = grow(
        tmp_path,
        {
            "proc/cpuinfo": x86(8),
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/"),
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
        },
    )
    cpu = read_cpu(root, allowed=frozenset(range(8)))
    assert (cpu.cores, cpu.physical_cores) == (2, 2)


def test_arm_takes_its_name_from_the_device_tree(tmp_path: Path) -> None:
    root = grow(tmp_path, {"proc/cpuinfo": ARM, "proc/device-tree/model": "Small Board 5\0"})
    cpu = read_cpu(root, allowed=frozenset({0}))
    assert cpu == ("Small Board 5", 1, None, ("asimd", "dotprod", "fp"))


def test_arm_counts_cores_by_topology(tmp_path: Path) -> None:
    topology = "sys/devices/system/cpu/cpu{}/topology/{}"
    root = grow(tmp_path, {"proc/cpuinfo": ARM})
    for n in range(2):
        grow(root, {topology.format(n, "core_id"): n, topology.format(n, "physical_package_id"): 0})
    cpu = read_cpu(root, allowed=frozenset({0, 1}))
    assert (cpu.name, cpu.physical_cores) == (None, 2)


def test_without_proc_the_fallbacks_tell(tmp_path: Path) -> None:
    cpu = read_cpu(tmp_path, allowed=frozenset({0, 1}), fallback=lambda: ("M9", ("neon",)), physical=lambda: 2)
    assert cpu == ("M9", 2, 2, ("neon",))


def test_py_cpuinfo_and_psutil_are_the_fallbacks(tmp_path: Path) -> None:
    cpu = read_cpu(tmp_path)
    assert cpu.name
    assert 1 <= cpu.cores <= (os.cpu_count() or 1)
