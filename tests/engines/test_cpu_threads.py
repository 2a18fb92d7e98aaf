from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.cpu_threads import BYTES_PER_THREAD, default_threads, quota_cores, usable_cores


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


@given(st.integers(0, 1 << 45))
def test_threads_grow_with_the_weights_up_to_the_cores(weights: int) -> None:
    threads = default_threads(weights)
    assert 1 <= threads <= usable_cores()
    assert threads in {1, weights // BYTES_PER_THREAD, usable_cores()}


def test_a_small_model_gets_one_thread_and_a_large_one_every_core() -> None:
    assert default_threads(4_000_000) == 1
    assert default_threads(1 << 40) == usable_cores()
