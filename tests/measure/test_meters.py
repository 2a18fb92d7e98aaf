from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from assay.measure.meters import Meter, process_tree, tree_memory
from assay.types import Reading
from tests.waiting import until

MIB = 1024 * 1024
HOLDS = "import sys; held = bytearray({bytes}); print('ready', flush=True); sys.stdin.read()"
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE);"
    "sys.stdin.read()"
)


@contextmanager
def program(source: str) -> Iterator[int]:
    """Pid of a running Python program that has said that it is ready."""
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_the_memory_that_a_process_took_is_seen() -> None:
    with program(HOLDS.format(bytes=0)) as small, program(HOLDS.format(bytes=64 * MIB)) as large:
        less, more = tree_memory(process_tree(small)), tree_memory(process_tree(large))
    assert less is not None
    assert more is not None
    assert 60 * MIB < more.bytes - less.bytes < 70 * MIB
    assert more.kind == ("pss" if sys.platform == "linux" else "rss")


def test_children_count() -> None:
    with program(PARENT.format(child=HOLDS.format(bytes=64 * MIB))) as pid:
        tree = process_tree(pid)
        memory = tree_memory(tree)
        for child in tree[1:]:
            child.kill()
    assert len(tree) == 2
    assert memory is not None
    assert memory.bytes > 64 * MIB


def test_a_meter_reads_until_it_is_stopped() -> None:
    with program(HOLDS.format(bytes=16 * MIB)) as pid:
        meter = Meter("v", "e", pid, period_s=0.01)
        meter.start()
        readings: list[Reading] = []

        def some_came() -> bool:
            readings.extend(meter.take())
            return len(readings) >= 3

        until(some_came)
        rest = meter.stop()
    assert rest
    readings += rest
    assert [reading.t_ns for reading in readings] == sorted(reading.t_ns for reading in readings)
    for reading in readings:
        assert (reading.variant, reading.engine) == ("v", "e")
        assert reading.memory is not None
        assert reading.memory > 16 * MIB
        assert reading.cpu_s is not None


def test_a_process_that_is_gone_is_not_read() -> None:
    with program(HOLDS.format(bytes=0)) as pid:
        meter = Meter("v", "e", pid, period_s=0.01)
        meter.start()
        until(lambda: bool(meter.take()))
    meter.take()
    assert meter.stop() == []
    assert process_tree(pid) == []
    assert tree_memory([]) is None


def test_no_nvml_is_none_and_not_zero() -> None:
    meter = Meter("v", "e", os.getpid())
    meter.start()
    readings = meter.stop()
    assert readings
    if not os.path.exists("/dev/nvidia0"):  # noqa: PTH110 - a device, not a file of ours
        assert {reading.gpu_memory for reading in readings} == {None}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PSS")
def test_pss_counts_shared_pages_once() -> None:
    with program(HOLDS.format(bytes=0)) as pid:
        memory = tree_memory(process_tree(pid))
        rss = psutil.Process(pid).memory_info().rss
    assert memory is not None
    assert 0 < memory.bytes <= rss
