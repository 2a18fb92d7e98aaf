"""Quotas of processor time, on trees of real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.machine.groups import cpu_quota
from tests.machine.tree import V2_MOUNT, grow


@pytest.mark.parametrize(("text", "quota"), [("200000 100000", 2.0), ("50000 100000", 0.5), ("max 100000", None)])
def test_version_2(tmp_path: Path, text: str, quota: float | None) -> None:
    root = grow(
        tmp_path,
        {
            "proc/self/cgroup": "0::/job\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/"),
            "sys/fs/cgroup/job/cpu.max": f"{text}\n",
        },
    )
    assert cpu_quota(root) == quota


@pytest.mark.parametrize(("us", "quota"), [("150000", 1.5), ("-1", None)])
def test_version_1(tmp_path: Path, us: str, quota: float | None) -> None:
    root = grow(
        tmp_path,
        {
            "proc/self/cgroup": "2:cpu,cpuacct:/job\n",
            "proc/self/mountinfo": "33 31 0:3 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": f"{us}\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": 100000,
        },
    )
    assert cpu_quota(root) == quota


def test_the_tightest_quota_of_the_chain_counts(tmp_path: Path) -> None:
    root = grow(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/"),
            "sys/fs/cgroup/pod/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/pod/box/cpu.max": "400000 100000\n",
        },
    )
    assert cpu_quota(root) == 1.0


def test_no_groups_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def test_a_mount_point_with_a_space(tmp_path: Path) -> None:
    root = grow(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": "3 2 0:2 / /my\\040groups rw - cgroup2 none rw\n",
            "my groups/cpu.max": "100000 50000\n",
        },
    )
    assert cpu_quota(root) == 2.0
