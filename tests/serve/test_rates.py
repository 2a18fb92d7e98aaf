from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.serve.keys import Key
from assay.serve.rate import Rate, parse_rate
from assay.serve.rates import ADDRESSES, Bucket, Rates, client_address, take

RATES = st.builds(Rate, st.integers(1, 1000), st.sampled_from([1.0, 60.0, 3600.0]))


def key(name: str = "laptop", rate: Rate | None = None, at_once: int | None = None) -> Key:
    return Key(name=name, sha256="0" * 64, created=datetime(2026, 1, 1, tzinfo=UTC), rate=rate, at_once=at_once)


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [("60/min", 60, 60), ("60", 60, 60), (" 5 / s ", 5, 1), ("1000/hour", 1000, 3600), ("3/Day", 3, 86400)],
)
def test_a_rate_is_read(text: str, count: int, seconds: float) -> None:
    assert parse_rate(text) == Rate(count, seconds)


@pytest.mark.parametrize("text", ["", "0/min", "-1/min", "1.5/min", "60/", "/min", "60/fortnight", "many", "٣/min"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        parse_rate(text)


@given(RATES)
def test_a_rate_is_read_back_from_what_it_shows(rate: Rate) -> None:
    assert parse_rate(str(rate)) == rate


@given(st.text(max_size=20))
def test_any_text_is_a_rate_or_a_value_error(text: str) -> None:
    try:
        rate = parse_rate(text)
    except ValueError:
        return
    assert rate.count >= 1
    assert rate.seconds > 0


@given(RATES, st.lists(st.floats(0, 120), max_size=200))
def test_no_span_of_time_lets_more_through_than_the_rate_and_a_burst(rate: Rate, pauses: list[float]) -> None:
    bucket, now, through = None, 0.0, 0
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, rate, now)
        through += not wait
    assert through <= rate.count + now * rate.count / rate.seconds + 1e-6


@given(RATES, st.floats(0, 1e6))
def test_whoever_waits_as_told_gets_through(rate: Rate, now: float) -> None:
    bucket, wait = take(Bucket(0.0, now), rate, now)
    assert wait > 0
    _, again = take(bucket, rate, now + wait)
    assert again == 0


def test_a_rate_is_refused_with_the_time_to_wait_and_another_key_is_not() -> None:
    rates, limited = Rates(), key(rate=Rate(2, 60))
    for _ in range(2):
        assert rates.enter(limited, 0.0) is None
        rates.leave(limited)
    refusal = rates.enter(limited, 0.0)
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.retry_after) == (429, "rate_limit_exceeded", 30.0)
    assert rates.enter(key("other", rate=Rate(2, 60)), 0.0) is None
    assert rates.enter(limited, 30.0) is None


def test_at_once_counts_what_is_under_way() -> None:
    rates, limited = Rates(), key(at_once=2)
    assert [rates.enter(limited, 0.0) for _ in range(2)] == [None, None]
    refusal = rates.enter(limited, 0.0)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (429, "rate_limit_exceeded")
    rates.leave(limited)
    assert rates.enter(limited, 0.0) is None


def test_what_is_refused_for_being_at_once_takes_nothing_of_the_rate() -> None:
    rates, limited = Rates(), key(rate=Rate(2, 60), at_once=1)
    assert rates.enter(limited, 0.0) is None
    assert rates.enter(limited, 0.0) is not None
    rates.leave(limited)
    assert rates.enter(limited, 0.0) is None


def test_wrong_keys_are_counted_by_address_and_time_makes_them_good() -> None:
    rates = Rates(failures=Rate(3, 60))
    assert [rates.failed("1.2.3.4", 0.0) for _ in range(3)] == [None] * 3
    refusal = rates.failed("1.2.3.4", 0.0)
    assert refusal is not None
    assert (refusal.status, refusal.retry_after) == (429, 20.0)
    assert rates.failed("1.2.3.5", 0.0) is None
    assert rates.failed("1.2.3.4", 20.0) is None


def test_many_addresses_do_not_grow_without_end_and_the_latest_stay() -> None:
    rates = Rates(failures=Rate(1, 60))
    for number in range(ADDRESSES + 10):
        assert rates.failed(f"address {number}", 0.0) is None
    assert rates.failed(f"address {ADDRESSES + 9}", 0.0) is not None
    assert rates.failed("address 0", 0.0) is None


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.7", 5000), "192.0.2.7"),
        (("::1", 5000, 0, 0), "::1"),
        (("::ffff:192.0.2.7", 5000, 0, 0), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 5000, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5000, 0, 2), "fe80::/64"),
        (None, "local"),
        ("/run/socket", "local"),
        ((), "local"),
    ],
)
def test_an_address_is_whom_a_client_counts_as(peer: object, address: str) -> None:
    assert client_address(peer) == address
