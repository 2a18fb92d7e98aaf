"""Control groups: which ones this process is in, and what they allow it.

A parent's limit binds its children, so the whole chain counts, up to the highest group that can be seen. Both
versions are read, because one machine may mount both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from assay.machine.text import keyed_number, lines, number

UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of a page; no machine has an exabyte."""


class Group(NamedTuple):
    """One folder of a hierarchy."""

    version: Literal[1, 2]
    folder: Path

    @property
    def memory_limit(self) -> int | None:
        """Bytes that all processes of the group may take together."""
        if self.version == 2:
            return number(self.folder / "memory.max")
        # The second one names the tightest limit above, also of parents that a container cannot see.
        bounds = [
            number(self.folder / "memory.limit_in_bytes"),
            keyed_number(self.folder / "memory.stat", "hierarchical_memory_limit"),
        ]
        return min((bound for bound in bounds if bound is not None and bound < UNLIMITED), default=None)

    @property
    def memory_used(self) -> int | None:
        """Bytes in use, without file pages that the kernel gives up before it kills."""
        use, cache = (
            ("memory.current", "inactive_file")
            if self.version == 2
            else ("memory.usage_in_bytes", "total_inactive_file")
        )
        used = number(self.folder / use)
        return None if used is None else max(used - (keyed_number(self.folder / "memory.stat", cache) or 0), 0)

    @property
    def cpu_quota(self) -> float | None:
        """Processors' worth of time: quota over period."""
        if self.version == 2:
            words = "".join(lines(self.folder / "cpu.max")[:1]).split()
            known = [int(word) for word in words if word.isdecimal()]
            return known[0] / known[1] if len(known) == 2 and known[1] else None
        quota, period = number(self.folder / "cpu.cfs_quota_us"), number(self.folder / "cpu.cfs_period_us")
        return quota / period if quota and period else None


def groups(root: Path, controller: Literal["memory", "cpu"]) -> Iterator[Group]:
    """Every group of ``controller`` that this process is in, from its own up to the highest that is visible."""
    own = _own(root, controller)
    for version, mount, mounted in _mounts(root, controller):
        if version not in own:
            continue
        folder = mount / _seen_from(mounted, own[version])
        if not folder.is_dir():
            folder = mount
        while folder != mount:
            yield Group(version, folder)
            folder = folder.parent
        yield Group(version, mount)


def cpu_quota(root: Path) -> float | None:
    """The tightest quota of processor time along the chain; None where there is none."""
    quotas = [group.cpu_quota for group in groups(root, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def _own(root: Path, controller: str) -> dict[Literal[1, 2], PurePosixPath]:
    """The path of this process's group in each hierarchy that has the controller: ``/proc/self/cgroup``."""
    paths: dict[Literal[1, 2], PurePosixPath] = {}
    for line in lines(root / "proc/self/cgroup"):
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            paths[2] = PurePosixPath(path)
        elif controller in controllers.split(","):
            paths[1] = PurePosixPath(path)
    return paths


def _mounts(root: Path, controller: str) -> Iterator[tuple[Literal[1, 2], Path, PurePosixPath]]:
    """Where the hierarchies are mounted, and which of their folders lies at the mount: ``/proc/self/mountinfo``."""
    for line in lines(root / "proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or not kind:
            continue
        mount = root / fields[4].replace("\\040", " ").lstrip("/")
        if kind[0] == "cgroup2":
            yield 2, mount, PurePosixPath(fields[3])
        elif kind[0] == "cgroup" and controller in kind[-1].split(","):
            yield 1, mount, PurePosixPath(fields[3])


def _seen_from(mounted: PurePosixPath, own: PurePosixPath) -> PurePosixPath:
    """``own`` relative to the mount; a container may have only its own folder mounted, or see paths from outside."""
    if ".." not in own.parts:
        for top in (mounted, PurePosixPath("/")):
            if own.is_relative_to(top):
                return own.relative_to(top)
    return PurePosixPath()
