"""Memory and the limits of control groups, on trees of real files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.machine.memory import memory_budget, read_memory
from tests.machine.tree import AVAILABLE, MEMINFO, TOTAL, V1_MOUNT, V2_MOUNT, grow

GB = 10**9
SLICE = "sys/fs/cgroup/user.slice"
LEAF = f"{SLICE}/app.scope"


def v2(tmp_path: Path, own: str = "/user.slice/app.scope", mounted: str = "/") -> Path:
    return grow(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": f"0::{own}\n",
            "proc/self/mountinfo": V2_MOUNT.format(root=mounted),
        },
    )


def test_without_groups_the_kernel_alone_tells(tmp_path: Path) -> None:
    root = grow(tmp_path, {"proc/meminfo": MEMINFO})
    assert read_memory(root) == (TOTAL, AVAILABLE, None)
    assert memory_budget(root) == AVAILABLE


def test_a_limit_less_its_use_is_what_is_available(tmp_path: Path) -> None:
    root = grow(v2(tmp_path), {f"{LEAF}/memory.max": 4 * GB, f"{LEAF}/memory.current": 3 * GB})
    grow(root, {f"{LEAF}/memory.stat": f"anon 5\ninactive_file {GB}\nactive_file 9\n"})
    assert read_memory(root) == (TOTAL, 2 * GB, 4 * GB)
    assert memory_budget(root) == 2 * GB


def test_max_is_no_limit(tmp_path: Path) -> None:
    root = grow(v2(tmp_path), {f"{LEAF}/memory.max": "max\n", f"{LEAF}/memory.current": GB})
    assert read_memory(root) == (TOTAL, AVAILABLE, None)


def test_a_parents_limit_binds(tmp_path: Path) -> None:
    root = grow(
        v2(tmp_path),
        {
            f"{LEAF}/memory.max": 8 * GB,
            f"{LEAF}/memory.current": GB,
            f"{SLICE}/memory.max": 6 * GB,
            f"{SLICE}/memory.current": 5 * GB,
        },
    )
    assert read_memory(root) == (TOTAL, GB, 6 * GB)


def test_the_tightest_limit_and_the_least_left_may_be_of_different_groups(tmp_path: Path) -> None:
    root = grow(
        v2(tmp_path),
        {
            f"{LEAF}/memory.max": 2 * GB,
            f"{LEAF}/memory.current": 0,
            f"{SLICE}/memory.max": 6 * GB,
            f"{SLICE}/memory.current": 5 * GB,
        },
    )
    assert read_memory(root) == (TOTAL, GB, 2 * GB)


@pytest.mark.parametrize(
    ("own", "mounted"),
    [("/docker/abc", "/docker/abc"), ("/", "/"), ("/../../other", "/"), ("/gone/away", "/")],
)
def test_a_container_sees_its_own_group_at_the_mount(tmp_path: Path, own: str, mounted: str) -> None:
    root = grow(v2(tmp_path, own, mounted), {"sys/fs/cgroup/memory.max": GB, "sys/fs/cgroup/memory.current": 0})
    assert read_memory(root).limit == GB


def v1(tmp_path: Path, limit: int, extra: str = "") -> Path:
    group = "sys/fs/cgroup/memory/job/step"
    return grow(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/job/step\n0::/\n",
            "proc/self/mountinfo": V1_MOUNT.format(root="/"),
            f"{group}/memory.limit_in_bytes": limit,
            f"{group}/memory.usage_in_bytes": 3 * GB,
            f"{group}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GB}\n{extra}",
        },
    )


def test_version_1(tmp_path: Path) -> None:
    assert read_memory(v1(tmp_path, 5 * GB)) == (TOTAL, 3 * GB, 5 * GB)


def test_version_1_writes_no_limit_as_a_huge_number(tmp_path: Path) -> None:
    root = v1(tmp_path, 9223372036854771712, "hierarchical_memory_limit 9223372036854771712\n")
    assert read_memory(root) == (TOTAL, AVAILABLE, None)


def test_version_1_names_the_limit_of_parents_that_cannot_be_seen(tmp_path: Path) -> None:
    root = v1(tmp_path, 9223372036854771712, f"hierarchical_memory_limit {4 * GB}\n")
    assert read_memory(root) == (TOTAL, 2 * GB, 4 * GB)


def test_both_versions_mounted_the_memory_controller_decides(tmp_path: Path) -> None:
    root = v1(tmp_path, 5 * GB)
    mounts = V1_MOUNT.format(root="/") + V2_MOUNT.format(root="/").replace("/cgroup rw", "/cgroup/unified rw")
    grow(root, {"proc/self/mountinfo": mounts, "sys/fs/cgroup/unified/cgroup.procs": "1\n"})
    assert read_memory(root).limit == 5 * GB


def test_an_old_kernel_without_available_memory(tmp_path: Path) -> None:
    text = "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n"
    assert read_memory(grow(tmp_path, {"proc/meminfo": text})) == (102400, 35 * 1024, None)


def test_without_proc_the_fallback_tells(tmp_path: Path) -> None:
    assert read_memory(tmp_path, fallback=lambda: (8, 4)) == (8, 4, None)
    assert read_memory(tmp_path, fallback=lambda: None) == (None, None, None)


def test_psutil_is_the_fallback(tmp_path: Path) -> None:
    memory = read_memory(tmp_path)
    assert memory.total is not None
    assert memory.available is not None
    assert 0 < memory.available <= memory.total


WITHOUT_FILES = """
import os, resource
from assay import machine
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    os.write(1, repr(machine.memory_budget()).encode())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="open files are limited")
def test_a_process_that_can_open_no_file_any_more_is_told_nothing() -> None:
    assert subprocess.check_output([sys.executable, "-c", WITHOUT_FILES], timeout=60) == b"None"


@given(st.dictionaries(st.sampled_from(["cgroup", "mountinfo"]), st.text(max_size=200)), st.text(max_size=200))
def test_no_text_in_the_kernels_files_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, own: dict[str, str], meminfo: str
) -> None:
    root = tmp_path_factory.mktemp("tree")
    grow(root, {"proc/meminfo": meminfo.encode("utf-8", "replace").decode()})
    grow(root, {f"proc/self/{name}": text.encode("utf-8", "replace").decode() for name, text in own.items()})
    memory = read_memory(root, fallback=lambda: None)
    assert memory.total is None or memory.total >= 0
