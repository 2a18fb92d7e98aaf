"""Figures as the simple scripts of this field print them, for comparison with theirs. No choice rests on them."""

from __future__ import annotations

import numpy as np

from assay.decide.measured import Measured, measured
from assay.types import RunData, Sample, SimpleRow


def simple(data: RunData) -> list[SimpleRow]:
    """A row for each candidate, at the lowest level it was measured at, over its requests that succeeded.

    Averages are over requests, and so is the percentile (numpy's linear one). ``rounds`` is how often each prompt was
    asked.
    """
    rows: dict[tuple[str, str], SimpleRow] = {}
    for found in measured(data):
        rows.setdefault(found.candidate.key, _row(found, data.record.workload.rounds))
    return list(rows.values())


def _row(found: Measured, rounds: int) -> SimpleRow:
    latencies = _known(found.oks, "e2e")
    return SimpleRow(
        alias=found.candidate.variant.alias,
        variant=found.candidate.variant.id,
        engine=found.candidate.engine,
        rounds=rounds,
        latency_avg=_mean(latencies),
        latency_p95=float(np.percentile(latencies, 95)) if latencies else None,
        tokens_per_sec_avg=_mean(_known(found.oks, "total_tps")),
        first_token_latency_avg=_mean(_known(found.oks, "ttft")) if found.streamed else None,
    )


def _known(samples: tuple[Sample, ...], name: str) -> list[float]:
    return [value for sample in samples if (value := getattr(sample, name)) is not None]


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
