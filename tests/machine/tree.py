"""A fake ``proc`` and ``sys`` tree on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
MEMINFO = "MemTotal: 16000000 kB\nMemFree: 1000000 kB\nMemAvailable: 12000000 kB\nBuffers: 10 kB\n"
TOTAL, AVAILABLE = 16_000_000 * 1024, 12_000_000 * 1024


def grow(root: Path, files: Mapping[str, str | int]) -> Path:
    """Write ``files`` (path below root -> content) and give ``root``."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n" if isinstance(content, int) else content, encoding="utf-8")
    return root
