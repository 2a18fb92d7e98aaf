"""Amounts of memory and of time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.amounts import format_amount, parse_amount, parse_moment


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (8, 8 * 10**9), (2.5, 2_500_000_000), ("8", 8 * 10**9), ("8GB", 8 * 10**9), (" 8 gb ", 8 * 10**9),
        ("6 GiB", 6 * 2**30), ("512 MB", 512 * 10**6), ("512MiB", 512 * 2**20), (".5", 500_000_000), (0, 0),
    ],
)  # fmt: skip
def test_amount(value: float | str, size: int) -> None:
    assert parse_amount(value, "GB") == size


@pytest.mark.parametrize(
    "value", ["", "many", "8 apples", "-8", -8, "1e3", "8 GB RAM", float("nan"), float("inf"), "9" * 400]
)
def test_no_amount(value: float | str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        parse_amount(value, "GB")


@given(st.integers(0, 10**15))
def test_what_is_shown_is_within_a_twentieth_of_its_unit(size: int) -> None:
    shown = format_amount(size).replace("bytes", "B")
    assert parse_amount(shown, "B") == pytest.approx(size, rel=0.051)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_951, "1.0 MB"),
        (812 * 10**6, "812.0 MB"), (999_960_000, "1.0 GB"), (4_400_000_000, "4.4 GB"), (2 * 10**12, "2000.0 GB"),
    ],
)  # fmt: skip
def test_shown(size: int, shown: str) -> None:
    assert format_amount(size) == shown


def test_a_time_lies_before_now_or_ahead() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert parse_moment("2 D", now) == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert parse_moment("2 D", now, ahead=True) == datetime(2026, 11, 24, 12, tzinfo=UTC)
    for ahead in (False, True):
        assert parse_moment("2027-01-31", now, ahead=ahead) == datetime(2027, 1, 31, tzinfo=UTC)
        with pytest.raises(ValueError, match="beyond the calendar"):
            parse_moment("999999w", now, ahead=ahead)
