from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.cpu_threads import BYTES_PER_THREAD, LAST_CORE_BYTES, default_threads, quota_cores, usable_cores


@pytest.mark.parametrize(
    ("line", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("", None),
        ("nonsense", None),
        ("1 2 3", None),
    ],
)
def test_a_cgroup_quota_in_whole_cores(line: str, cores: int | None) -> None:
    assert quota_cores(line) == cores


@given(st.integers(0, 1 << 45), st.integers(1, 256), st.booleans())
def test_threads_grow_with_the_weights_up_to_the_cores(weights: int, cores: int, wait_asleep: bool) -> None:
    threads = default_threads(weights, cores, wait_asleep=wait_asleep)
    assert 1 <= threads <= cores
    assert threads <= max(1, weights // BYTES_PER_THREAD)
    assert threads <= default_threads(weights + BYTES_PER_THREAD, cores, wait_asleep=wait_asleep)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 3), (4, 3), (16, 15)])
def test_a_small_model_gets_one_thread_and_a_large_one_all_but_a_spared_core(cores: int, threads: int) -> None:
    assert default_threads(4_000_000, cores) == 1
    assert default_threads(1 << 40, cores) == threads


def test_threads_that_wait_asleep_get_the_last_core_for_a_large_model() -> None:
    assert default_threads(4 * LAST_CORE_BYTES, 4, wait_asleep=True) == 4
    assert default_threads(4 * LAST_CORE_BYTES - 1, 4, wait_asleep=True) == 3
    assert default_threads(1 << 40, 16, wait_asleep=True) == 16


def test_the_cores_are_those_of_this_machine_unless_given() -> None:
    assert default_threads(1 << 40) == default_threads(1 << 40, usable_cores())
