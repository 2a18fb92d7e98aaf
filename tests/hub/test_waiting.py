from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from assay.hub.waiting import asked_wait, backoff

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_backoff_is_bounded_and_jittered(tried: int, random: float) -> None:
    whole = min(30.0, 2.0 ** min(tried, 10))
    assert whole / 2 <= backoff(tried, random) <= whole
    assert backoff(tried, 0.0) == whole / 2
    assert backoff(tried, 1.0) == whole


@given(st.integers(0, 10**8))
def test_asked_seconds(seconds: int) -> None:
    assert asked_wait({"Retry-After": f" {seconds} "}, NOW) == seconds


@given(st.integers(-(10**6), 10**6))
def test_asked_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert asked_wait({"Retry-After": date}, NOW) == max(0, seconds)


@given(st.text())
def test_any_header_is_read(value: str) -> None:
    wait = asked_wait({"Retry-After": value}, NOW)
    assert wait is None or wait >= 0


def test_not_asked() -> None:
    assert asked_wait({}, NOW) is None
    assert asked_wait({"Retry-After": "soon"}, NOW) is None
    assert asked_wait({"Retry-After": "-1"}, NOW) is None
