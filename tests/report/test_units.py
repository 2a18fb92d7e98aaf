"""Figures in words."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report import units
from assay.report.units import UNKNOWN

SIZES = st.floats(min_value=1e-7, max_value=1e14, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, UNKNOWN),
        (math.nan, UNKNOWN),
        (math.inf, UNKNOWN),
        (0.0, "0 µs"),
        (0.00034, "340 µs"),
        (0.01234, "12.3 ms"),
        (0.9999, "1.00 s"),
        (1.0, "1.00 s"),
        (75.0, "1.25 min"),
    ],
)
def test_durations(value: float | None, words: str) -> None:
    assert units.duration(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(610_000, "610 kB"), (4_480_000, "4.48 MB"), (1.5e9, "1.50 GB"), (999_999, "1.00 MB")]
)
def test_sizes(value: float, words: str) -> None:
    assert units.size(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.0001, "<0.1%"),
        (0.99999, ">99.9%"),
        (0.968, "96.8%"),
        (0.5, "50%"),
        (None, UNKNOWN),
    ],
)
def test_percent(share: float | None, words: str) -> None:
    assert units.percent(share) == words


@pytest.mark.parametrize(("p", "words"), [(1.0, ">99.9%"), (0.0, "<0.1%"), (0.25, "25%"), (None, UNKNOWN)])
def test_a_resampled_chance_is_never_certain(p: float | None, words: str) -> None:
    assert units.probability(p) == words


@given(SIZES)
def test_three_significant_digits_and_no_more(value: float) -> None:
    text = units.number(value)
    shown = float(text.replace(",", ""))
    assert shown == pytest.approx(value, rel=0.0051)
    digits = re.sub(r"\D", "", text).strip("0")
    assert len(digits) <= 3


@given(st.lists(SIZES, min_size=1, max_size=9), st.sampled_from(["duration", "bytes"]))
def test_a_columns_unit_suits_its_median(values: list[float], kind: units.Kind) -> None:
    unit = units.unit_for(kind, [*values, None])
    middle = sorted(values)[len(values) // 2]
    larger = [u for u in units.UNITS[kind] if u.scale > unit.scale]
    assert middle >= unit.scale * 0.999 or unit is units.UNITS[kind][0]
    assert not larger or middle < larger[0].scale


@given(st.floats(min_value=0, max_value=1))
def test_what_is_not_quite_none_or_all_is_never_shown_as_such(share: float) -> None:
    text = units.percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)


def test_an_interval_needs_both_ends() -> None:
    assert units.interval(1.0, None) == ""
    assert units.interval(0.0118, 0.0134, units.Unit("ms", 1e-3)) == f"11.8{UNKNOWN}13.4"


@pytest.mark.parametrize(("seconds", "words"), [(7.6, "8 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (-3, "0 s")])
def test_time_left(seconds: float, words: str) -> None:
    assert units.clock(seconds) == words


@pytest.mark.parametrize(
    ("n", "words"), [(None, UNKNOWN), (524_000, "524 k"), (4_100_000, "4.10 M"), (7_240_000_000, "7.24 B")]
)
def test_parameters(n: int | None, words: str) -> None:
    assert units.parameters(n) == words
