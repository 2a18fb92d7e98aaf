"""Every figure of one candidate, as estimated and in every bootstrap replicate.

Sources of the definitions: the table of figures in the documentation; each request's own figures are properties of
`assay.types.Sample`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from assay.decide.bootstrap import Draws, Floats, Observations, means, observations, percentiles, ratios
from assay.decide.figures import RATES, STATISTICS, TIMES
from assay.decide.measured import Measured
from assay.types import NS, Limit, Sample

_SHARES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_BEYOND: Final = 3
"""A percentile is shown unmarked when so many observations lie beyond it (p95 from 60, p99 from 300); a mean from 3."""
_STREAM_ONLY: Final = ("ttft", "ttfa", "tpot", "gap", "decode_tps", "prefill_tps", "tokens_per_chunk")


class Estimate(NamedTuple):
    """A figure: ``vector[0]`` is the estimate, the rest its replicates (none where one prompt or a constant tells it).

    ``n`` is what it rests on: requests (gaps for ``gap``, readings for ``peak_memory``, prompts for ``stability``).
    """

    vector: Floats
    n: int
    enough: bool = True

    @property
    def value(self) -> float:
        return float(self.vector[0])


class Estimates:
    """Figures of one candidate at one level under shared draws; each is computed when first asked for.

    ``limits`` are what ``goodput`` is held against; without one that a single request can meet, it is unknown.
    """

    def __init__(self, measured: Measured, draws: Draws, limits: Sequence[Limit] = ()) -> None:
        self.measured = measured
        self._draws = draws
        self._limits = limits
        self._known: dict[str, Estimate | None] = {}

    def __getitem__(self, name: str) -> Estimate | None:
        """The figure ``name``, or None where it is not known."""
        if name not in self._known:
            self._compute(name)
        return self._known.get(name)

    def names(self) -> list[str]:
        """Every figure that is known of this candidate."""
        times = [f"{time}_{statistic}" for time in TIMES for statistic in STATISTICS]
        qualities = [f"quality.{criterion}" for criterion in self.measured.criteria]
        return [name for name in [*times, *RATES, "tokens_per_chunk", *_SINGLE, *qualities] if self[name] is not None]

    def _compute(self, name: str) -> None:
        time, _, statistic = name.partition("_")
        if not self.measured.streamed and (time in _STREAM_ONLY or name in _STREAM_ONLY):
            self._known[name] = None
        elif time in TIMES and statistic in STATISTICS:
            self._known |= self._times(time)
        elif name in RATES:
            self._known[name] = self._rate(name)
        elif name == "tokens_per_chunk":
            self._known[name] = self._mean(self._per_request(name))
        elif name.startswith("quality."):
            self._known[name] = self._scored(self.measured.criteria.get(name.removeprefix("quality."), {}))
        else:
            single = _SINGLE.get(name)
            self._known[name] = single(self) if single else None

    def _index(self, samples: Iterable[Sample]) -> Iterable[tuple[int, Sample]]:
        return ((self._draws.prompts[s.prompt], s) for s in samples if s.prompt in self._draws.prompts)

    def _per_request(self, name: str) -> list[tuple[int, float]]:
        values = ((index, getattr(sample, name)) for index, sample in self._index(self.measured.oks))
        return [(index, value) for index, value in values if value is not None]

    def _times(self, time: str) -> dict[str, Estimate | None]:
        seen = self._gaps() if time == "gap" else observations(self._per_request(time))
        n = len(seen.values)
        if not n:
            return {f"{time}_{statistic}": None for statistic in STATISTICS}
        vectors = {"mean": means(seen, self._draws)}
        vectors |= zip(_SHARES, percentiles(seen, self._draws, list(_SHARES.values())), strict=True)
        return {
            f"{time}_{statistic}": Estimate(
                _usable(vector, seen), n, n * (1 - _SHARES.get(statistic, 0.0)) >= _BEYOND - 1e-9
            )
            for statistic, vector in vectors.items()
        }

    def _gaps(self) -> Observations:
        pairs = [(index, np.diff(sample.chunk_ns) / NS) for index, sample in self._index(self.measured.oks)]
        pairs = [(index, gaps) for index, gaps in pairs if len(gaps)]
        if not pairs:
            return observations([])
        prompts = np.repeat([index for index, _ in pairs], [len(gaps) for _, gaps in pairs])
        return Observations(np.concatenate([gaps for _, gaps in pairs]), prompts.astype(np.intp))

    def _mean(self, pairs: list[tuple[int, float]]) -> Estimate | None:
        if not pairs:
            return None
        seen = observations(pairs)
        return Estimate(_usable(means(seen, self._draws), seen), len(pairs), len(pairs) >= _BEYOND)

    def _rate(self, name: str) -> Estimate | None:
        """Tokens of all requests over the seconds they took.

        A mean of the requests' own rates would be ruled by the shortest: two tokens that one read brings together have
        a rate without meaning, though their time and number are as true as any.
        """
        parts = [(index, _tokens_and_seconds(sample, name)) for index, sample in self._index(self.measured.oks)]
        known = [(index, part) for index, part in parts if part is not None]
        spent = observations([(index, seconds) for index, (_, seconds) in known])
        if not known or float(spent.values.sum()) <= 0:
            return None
        vector = ratios(observations([(index, tokens) for index, (tokens, _) in known]), spent, self._draws)
        return Estimate(_usable(vector, spent), len(known), len(known) >= _BEYOND)

    def _scored(self, values: Mapping[int, float]) -> Estimate | None:
        """The mean over prompts of the mean over a prompt's samples, so that every prompt weighs the same."""
        by_prompt: defaultdict[int, list[float]] = defaultdict(list)
        for index, sample in self._index(self.measured.oks):
            if sample.i in values:
                by_prompt[index].append(values[sample.i])
        estimate = self._mean([(index, sum(found) / len(found)) for index, found in by_prompt.items()])
        return estimate and estimate._replace(n=sum(map(len, by_prompt.values())))

    def _quality(self) -> Estimate | None:
        return self._scored(self.measured.quality)

    def _error_rate(self) -> Estimate | None:
        return self._mean([(index, float(not sample.ok)) for index, sample in self._index(self.measured.finals)])

    def _stability(self) -> Estimate | None:
        if not self.measured.greedy:
            return None
        answers: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        for index, sample in self._index(self.measured.oks):
            answers[index].append((sample.text, sample.reasoning))
        repeated = {index: found for index, found in answers.items() if len(found) > 1}
        return self._mean([(index, float(len(set(found)) == 1)) for index, found in repeated.items()])

    def _throughput(self) -> Estimate | None:
        """Output tokens over wall time, failed tries included in the time.

        At concurrency 1 the wall time is the sum of the requests', for candidates may have taken turns. Above, it is
        taken per block, and in replicates the share of requests that ran side by side stays what it was.
        """
        tokens, busy = [], []
        for index, sample in self._index(self.measured.tries):
            seconds = _busy(sample)
            if sample.ok and (sample.output_tokens is None or seconds is None):
                return None
            tokens.append((index, float(sample.output_tokens or 0) if sample.ok else 0.0))
            busy.append((index, seconds or 0.0))
        total = sum(seconds for _, seconds in busy)
        if not self.measured.oks or not total:
            return None
        wall = total if self.measured.concurrency == 1 else _wall(self.measured.tries)
        spent = observations(busy)
        vector = ratios(observations(tokens), spent, self._draws) * (total / wall)
        return Estimate(_usable(vector, spent), len(self.measured.oks))

    def _goodput(self) -> Estimate | None:
        """The share of requests, failed ones included, that meet every limit on a time or rate of one request.

        A limit on a percentile or mean is held against the request's own figure, one on gaps against its longest. A
        request without the figure (no ``tpot`` in a one-chunk answer) cannot miss it; a limit whose figure no request
        has leaves all unknown.
        """
        tests = [test for limit in self._limits if (test := _test(limit)) is not None]
        oks = self.measured.oks
        if not tests or any(all(test(sample) is None for sample in oks) for test in tests):
            return None
        return self._mean(
            [
                (index, float(sample.ok and all(test(sample) is not False for test in tests)))
                for index, sample in self._index(self.measured.finals)
            ]
        )

    def _load_time(self) -> Estimate | None:
        load_ns = self.measured.candidate.load_ns
        return None if load_ns is None else self._constant(load_ns / NS)

    def _peak_memory(self) -> Estimate | None:
        peaks = self.measured.memory_peaks
        return self._constant(max(peaks), len(peaks)) if peaks else None

    def _disk(self) -> Estimate | None:
        disk = self.measured.candidate.variant.disk
        return None if disk is None else self._constant(disk)

    def _constant(self, value: float, n: int = 1) -> Estimate:
        return Estimate(np.array([float(value)]), n)


_SINGLE: Final[dict[str, Callable[[Estimates], Estimate | None]]] = {
    "throughput": Estimates._throughput,
    "load_time": Estimates._load_time,
    "peak_memory": Estimates._peak_memory,
    "disk": Estimates._disk,
    "stability": Estimates._stability,
    "quality": Estimates._quality,
    "error_rate": Estimates._error_rate,
    "goodput": Estimates._goodput,
}


def _usable(vector: Floats, seen: Observations) -> Floats:
    """The vector, or the estimate alone where all observations are of one prompt: nothing was drawn among them."""
    return vector if seen.clusters > 1 else vector[:1]


def _tokens_and_seconds(sample: Sample, name: str) -> tuple[float, float] | None:
    """What the rate ``name`` of one request is made of; None where it is not known."""
    if name == "decode_tps":
        tokens = sample.output_tokens if sample.text_tokens is None else sample.text_tokens
        if sample.tpot is None or tokens is None or sample.first_chunk_tokens is None:
            return None
        return float(tokens - sample.first_chunk_tokens), sum(sample.gaps)
    rate, seconds = getattr(sample, name), sample.ttft if name == "prefill_tps" else sample.e2e
    return (rate * seconds, seconds) if rate is not None and seconds is not None else None


def _busy(sample: Sample) -> float | None:
    end = sample.done_ns if sample.done_ns is not None else sample.last_text_ns
    return (end - sample.sent_ns) / NS if end is not None and sample.sent_ns is not None else None


def _wall(tries: Iterable[Sample]) -> float:
    spans: dict[int, tuple[int, int]] = {}
    for sample in tries:
        end = sample.done_ns if sample.done_ns is not None else sample.last_text_ns
        if sample.sent_ns is not None and end is not None:
            first, last = spans.get(sample.block, (sample.sent_ns, end))
            spans[sample.block] = (min(first, sample.sent_ns), max(last, end))
    return sum(last - first for first, last in spans.values()) / NS


def _test(limit: Limit) -> Callable[[Sample], bool | None] | None:
    """Whether one request meets ``limit``: None where it lacks the figure. No test for what one request cannot meet."""
    time, _, statistic = limit.figure.partition("_")
    name = time if time in TIMES and statistic in STATISTICS else limit.figure
    if name not in (*TIMES, *RATES):
        return None

    def holds(sample: Sample) -> bool | None:
        value = max(sample.gaps, default=None) if name == "gap" else getattr(sample, name)
        if value is None:
            return None
        return bool(value <= limit.bound if limit.op == "<=" else value >= limit.bound)

    return holds
