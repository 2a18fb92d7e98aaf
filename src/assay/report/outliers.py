"""Prompts that took one candidate unusually long or short, by a stated rule."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean, median

from msgspec import Struct

from assay.report.subject import Key, Report
from assay.types import Sample

THRESHOLD = 3.5
RULE = (
    "A prompt is an outlier for a candidate when the modified z-score of its median E2E latency, taken among that "
    f"candidate's own prompts, is over {THRESHOLD} (Iglewicz and Hoaglin: 0.6745 x distance from the median / median "
    "absolute deviation)."
)


class PromptLatency(Struct, frozen=True, kw_only=True):
    """Median E2E seconds and output tokens of one prompt over its rounds, and its modified z-score."""

    prompt: str
    latency: float
    output_tokens: float | None
    score: float
    times_typical: float | None

    @property
    def outlier(self) -> bool:
        return abs(self.score) > THRESHOLD


def modified_z_scores(values: list[float]) -> list[float]:
    """Modified z-scores after Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (ASQC, 1993).

    Where the median absolute deviation is 0 the mean absolute deviation stands in (1.253314 x, as they give it);
    where that is 0 too, all values are alike and every score is 0.
    """
    if not values:
        return []
    middle = median(values)
    distances = [abs(v - middle) for v in values]
    spread = median(distances) / 0.6745 or 1.253314 * fmean(distances)
    return [(v - middle) / spread if spread else 0.0 for v in values]


def prompt_latencies(report: Report, key: Key, level: int) -> list[PromptLatency]:
    """One entry for each prompt that ``key`` answered at ``level``, in the order of the workload."""
    answered: dict[str, list[Sample]] = defaultdict(list)
    for sample in measured(report, key, level):
        answered[sample.prompt].append(sample)
    order = [p.id for p in report.record.workload.prompts if p.id in answered]
    order += [prompt for prompt in answered if prompt not in set(order)]
    latencies = [median(s.e2e for s in answered[prompt] if s.e2e is not None) for prompt in order]
    tokens = [[s.output_tokens for s in answered[p] if s.output_tokens is not None] for p in order]
    typical = median(latencies) if latencies else 0.0
    return [
        PromptLatency(
            prompt=prompt,
            latency=latency,
            output_tokens=median(counts) if counts else None,
            score=score,
            times_typical=latency / typical if typical else None,
        )
        for prompt, latency, counts, score in zip(order, latencies, tokens, modified_z_scores(latencies), strict=True)
    ]


def measured(report: Report, key: Key, level: int) -> list[Sample]:
    """Samples of ``key`` at ``level`` that count: measured, succeeded, with a known latency."""
    return [
        s
        for s in report.run.samples
        if s.phase == "measure"
        and s.ok
        and s.e2e is not None
        and (s.variant, s.engine) == key
        and s.concurrency == level
    ]
