"""What a run holds of one candidate at one concurrency: the requests that count, their quality, its memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

from assay.types import Candidate, RunData, Sample, Score

_PRECEDENCE: Final = ("check", "rubric", "model", "person")
"""Whose scores make ``quality``: those of the first of these judges that scored anything in the run."""


class Measured(Struct, frozen=True, kw_only=True):
    """One candidate at one concurrency level.

    ``finals`` is the last try of each measured request, ``tries`` all of them. ``quality`` holds, per sample that was
    scored, the mean over its criteria; ``criteria`` the same for each criterion alone.
    """

    candidate: Candidate
    concurrency: int
    finals: tuple[Sample, ...] = ()
    tries: tuple[Sample, ...] = ()
    quality: Mapping[int, float] = {}
    criteria: Mapping[str, Mapping[int, float]] = {}
    memory_peaks: tuple[int, ...] = ()
    streamed: bool = True
    greedy: bool = True

    @property
    def oks(self) -> tuple[Sample, ...]:
        return tuple(sample for sample in self.finals if sample.ok)


def measured(data: RunData, only: Collection[str] | None = None) -> list[Measured]:
    """Every candidate at every level it was measured at, in the order of the record, the lowest level first.

    A candidate without a measured request is there once, at the lowest level planned. ``only`` leaves out samples of
    all other prompts.
    """
    quality, criteria = _judged(data.scores)
    tries: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in data.samples:
        if sample.phase == "measure" and (only is None or sample.prompt in only):
            tries[sample.variant, sample.engine].append(sample)
    memory: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for reading in data.readings:
        if reading.memory is not None:
            memory[reading.variant, reading.engine].append(reading.memory)
    workload = data.record.workload
    found = []
    for candidate in data.record.candidates:
        mine = tries[candidate.key]
        for level in sorted({sample.concurrency for sample in mine}) or [min(workload.concurrency, default=1)]:
            at_level = tuple(sample for sample in mine if sample.concurrency == level)
            found.append(
                Measured(
                    candidate=candidate,
                    concurrency=level,
                    finals=_finals(at_level),
                    tries=at_level,
                    quality=quality,
                    criteria=criteria,
                    memory_peaks=tuple(memory[candidate.key]),
                    streamed=workload.stream,
                    greedy=workload.decoding.temperature == 0,
                )
            )
    return found


def _finals(tries: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple({sample.key: sample for sample in sorted(tries, key=lambda sample: sample.i)}.values())


def _judged(scores: Iterable[Score]) -> tuple[dict[int, float], dict[str, dict[int, float]]]:
    """Quality per sample, and per criterion and sample. A later score by the same judge replaces an earlier one."""
    latest = {(score.sample, score.judge, score.criterion, score.who): score for score in scores}.values()
    deciding = next((judge for judge in _PRECEDENCE if any(score.judge == judge for score in latest)), None)
    per_criterion: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    counted: defaultdict[int, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in latest:
        per_criterion[score.criterion][score.sample].append(score.value)
        if score.judge == deciding:
            counted[score.sample][score.criterion].append(score.value)
    quality = {sample: _mean([_mean(values) for values in found.values()]) for sample, found in counted.items()}
    criteria = {
        criterion: {sample: _mean(values) for sample, values in found.items()}
        for criterion, found in per_criterion.items()
    }
    return quality, criteria


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
