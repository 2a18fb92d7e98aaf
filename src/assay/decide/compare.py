"""Two runs side by side: differences paired by prompt, and which of them are real."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from msgspec import Struct

from assay.decide.alike import common_prompts, require_alike
from assay.decide.bootstrap import REPLICATES, draw, interval
from assay.decide.estimates import Estimate, Estimates
from assay.decide.figures import is_latency, meaning
from assay.decide.measured import Measured, measured
from assay.types import RunData

_EXACT = ("disk",)


class Difference(Struct, frozen=True, kw_only=True):
    """One figure of ``a`` and ``b``, and ``b - a`` with its interval; in base units.

    ``relative`` is the difference over ``a``. ``real``: the interval excludes 0 and, for a latency, the difference
    exceeds the instrument's own error. ``improved`` says of a real difference whether ``b`` is better; None otherwise.
    """

    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    relative: float | None = None
    real: bool = False
    improved: bool | None = None


class Pair(Struct, frozen=True, kw_only=True):
    """A candidate of each run at one concurrency level; ``prompts`` is how many both answered."""

    a: str
    b: str
    concurrency: int
    prompts: int
    differences: Mapping[str, Difference]


class Comparison(Struct, frozen=True, kw_only=True):
    """Run ``b`` against run ``a``. ``only_a`` and ``only_b`` are candidates without a counterpart."""

    a: str
    b: str
    pairs: tuple[Pair, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    error_s: float | None = None
    """The larger of the two runs' instrument errors, in seconds; None where one was not measured."""
    warnings: tuple[str, ...] = ()


def compare(
    a: RunData,
    b: RunData,
    *,
    allow: Collection[str] = (),
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Comparison:
    """Hold run ``b`` against run ``a``, candidate by candidate, over the prompts that both answered.

    Candidates are paired by variant and engine; where both runs have one candidate only, these two are a pair. Load
    time and memory are single readings, so no difference in them is called real; disk is exact. Raises `RunsUnlike`
    for unlike machines or workloads, listing what differs, unless ``allow`` names it (``machine``, ``workload``).
    """
    warnings = require_alike((a, b), allow)
    prompts = common_prompts((a, b))
    error_s = _error_s(a, b)
    if error_s is None:
        warnings.append("the instrument's own error is not known of both runs, so no latency difference is called real")
    left, right = (_by_place(measured(data, set(prompts))) for data in (a, b))
    if len({key for key, _ in left}) == len({key for key, _ in right}) == 1:
        right = {(next(iter(left))[0], level): found for (_, level), found in right.items()}
    pairs = [
        _pair(
            left[place],
            right[place],
            prompts=prompts,
            error_s=error_s,
            confidence=confidence,
            replicates=replicates,
            seed=seed,
        )
        for place in left
        if place in right
    ]
    return Comparison(
        a=a.record.id,
        b=b.record.id,
        pairs=tuple(pairs),
        only_a=_alone(left, right),
        only_b=_alone(right, left),
        error_s=error_s,
        warnings=tuple(warnings),
    )


_Places = dict[tuple[tuple[str, str], int], Measured]


def _by_place(found: list[Measured]) -> _Places:
    return {(one.candidate.key, one.concurrency): one for one in found}


def _alone(mine: _Places, others: _Places) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found.candidate.label for place, found in mine.items() if place not in others))


def _error_s(a: RunData, b: RunData) -> float | None:
    if a.record.selftest is None or b.record.selftest is None:
        return None
    return max(a.record.selftest.error_s, b.record.selftest.error_s)


def _pair(
    a: Measured,
    b: Measured,
    *,
    prompts: list[str],
    error_s: float | None,
    confidence: float,
    replicates: int,
    seed: int,
) -> Pair:
    answered = {sample.prompt for sample in a.oks} & {sample.prompt for sample in b.oks}
    draws = draw([prompt for prompt in prompts if prompt in answered], replicates, seed)
    left, right = Estimates(a, draws), Estimates(b, draws)
    differences: dict[str, Difference] = {}
    for name in left.names():
        before, after = left[name], right[name]
        if before is not None and after is not None:
            differences[name] = _difference(name, before, after, error_s, confidence)
    return Pair(
        a=a.candidate.label,
        b=b.candidate.label,
        concurrency=a.concurrency,
        prompts=len(answered),
        differences=differences,
    )


def _difference(name: str, a: Estimate, b: Estimate, error_s: float | None, confidence: float) -> Difference:
    difference = b.value - a.value
    paired = b.vector - a.vector if len(a.vector) == len(b.vector) else np.array([difference])
    found = interval(paired, confidence)
    real = difference != 0 if name in _EXACT else found is not None and not found[0] <= 0 <= found[1]
    if is_latency(name):
        real = real and error_s is not None and abs(difference) > error_s
    what = meaning(name)
    improved = (difference < 0) == (what.better == "low") if real and what else None
    return Difference(
        a=a.value,
        b=b.value,
        difference=difference,
        low=found[0] if found else None,
        high=found[1] if found else None,
        relative=difference / a.value if a.value else None,
        real=real,
        improved=improved,
    )
