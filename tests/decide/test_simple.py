from __future__ import annotations

from collections.abc import Callable

import pytest

from assay.decide import simple
from assay.types import RunData, SimpleRow

Make = Callable[..., RunData]


def test_rows_are_as_simple_scripts_print_them(make: Make) -> None:
    data = make(
        {
            "m:q8": {
                "a": [{"e2e": 0.5, "ttft": 0.1, "tokens": 5}, {"e2e": 9.0, "phase": "warmup"}],
                "b": [{"e2e": 1.5, "ttft": 0.3, "tokens": 20}, {"e2e": 7.0, "concurrency": 4}, {"error": "late"}],
            },
            "n": {},
        },
        reasons={"n": "failed to start"},
        rounds=2,
    )
    first, second = simple(data)
    assert (first.alias, first.variant, first.engine, first.rounds) == ("m", "m:q8", "e", 2)
    assert first.latency_avg == pytest.approx(1.0)
    assert first.latency_p95 == pytest.approx(1.45)
    assert first.tokens_per_sec_avg == pytest.approx((15 / 0.5 + 30 / 1.5) / 2)
    assert first.first_token_latency_avg == pytest.approx(0.2)
    assert second == SimpleRow(alias="n", variant="n", engine="e", rounds=2)


def test_without_streaming_there_is_no_first_token(make: Make) -> None:
    [row] = simple(make({"m": {"a": [{"e2e": 0.5}]}}, stream=False))
    assert (row.latency_avg, row.first_token_latency_avg) == (0.5, None)
