# ruff: noqa: ARG002 - an observer is told more than is counted
"""What the service has done so far, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0 as PLAIN
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from assay.serve.effects import Pulse
from assay.serve.model_state import STATES, ModelState
from assay.serve.observer import Quiet
from assay.serve.tally import Tally

_TTFT_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_TPOT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1, 2)
_REQUEST_S = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
_LOAD_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


class Metrics(Quiet):
    """Counters and histograms in a registry of their own; an ``Observer`` of the service.

    Tokens are counted by the workers (their pulses, answers that were broken off included), and where a model does not
    tell, by the ``usage`` of its answers; tokens of prompts also by the head of a worker's stream. Refusals are counted
    by ``request``, those of the door itself among them.
    Labels: a model is the id of a variant that was granted or loaded, never what a request called it; a route is a
    pattern.
    """

    content_type = PLAIN

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry(auto_describe=False)
        self._gauges = _Gauges()
        registry.register(self._gauges)
        self._requests = Counter(
            "assay_requests", "Requests that have ended", ["route", "model", "status"], registry=registry
        )
        self._refusals = Counter("assay_refusals", "Requests that the door refused", ["code"], registry=registry)
        self._prompt = Counter("assay_prompt_tokens", "Tokens of prompts", ["model"], registry=registry)
        self._completion = Counter("assay_completion_tokens", "Tokens of answers", ["model"], registry=registry)
        self._seconds = _histogram("assay_request_seconds", "Arrival to end of an answer", _REQUEST_S, registry)
        self._ttft = _histogram("assay_ttft_seconds", "Arrival to first text, streams only", _TTFT_S, registry)
        self._tpot = _histogram("assay_tpot_seconds", "Time a token after the first, streams only", _TPOT_S, registry)
        self._wait = _histogram("assay_wait_seconds", "Wait for a model, a load included", _REQUEST_S, registry)
        self._load = _histogram("assay_load_seconds", "Loads that succeeded", _LOAD_S, registry)
        self._failures = Counter("assay_load_failures", "Loads that did not succeed", ["model"], registry=registry)
        self._evictions = Counter("assay_evictions", "Stopped for another's memory", ["model"], registry=registry)
        self._crashes = Counter("assay_crashes", "Models that ended or hung while up", ["model"], registry=registry)
        self._left = Counter("assay_left", "Clients that left before a model was free", registry=registry)
        self._pulses: dict[str, Pulse] = {}

    def text(self, states: Sequence[ModelState], queued: int, connections: int | None) -> bytes:
        """Everything, as Prometheus's text format 1.0.0."""
        self._gauges.now = tuple(_gauges(states, queued, connections))
        return generate_latest(self._registry)

    def request(self, tally: Tally) -> None:
        """A request has ended."""
        self._requests.labels(tally.route, tally.model, str(tally.status)).inc()
        if tally.code is not None:
            self._refusals.labels(tally.code).inc()
        if not tally.model:
            return
        self._seconds.labels(tally.model).observe(tally.seconds)
        if tally.ttft is not None:
            self._ttft.labels(tally.model).observe(tally.ttft)
        if tally.tpot is not None:
            self._tpot.labels(tally.model).observe(tally.tpot)
        pulse = self._pulses.get(tally.model)
        if tally.prompt_tokens is not None and (pulse is None or pulse.prompted is None):
            self._prompt.labels(tally.model).inc(max(0, tally.prompt_tokens))
        if tally.completion_tokens is not None and (pulse is None or pulse.generated is None):
            self._completion.labels(tally.model).inc(max(0, tally.completion_tokens))

    def loaded(self, model: str, engine: str, seconds: float) -> None:
        """It is up."""
        self._pulses.pop(model, None)
        self._load.labels(model).observe(seconds)

    def failed(self, model: str, why: str) -> None:
        """A load did not succeed."""
        self._failures.labels(model).inc()

    def stopped(self, model: str, why: str, *, evicted: bool) -> None:
        """It was taken down."""
        if evicted:
            self._evictions.labels(model).inc()

    def died(self, model: str, why: str) -> None:
        """It ended, broke or was killed as wedged while it was up."""
        self._crashes.labels(model).inc()

    def pulse(self, model: str, pulse: Pulse) -> None:
        """How it is."""
        before = self._pulses.get(model, Pulse())
        self._pulses[model] = Pulse(
            generated=_counted(self._completion, model, before.generated, pulse.generated),
            prompted=_counted(self._prompt, model, before.prompted, pulse.prompted),
        )

    def granted(self, name: str, model: str, waited: float, loading: float | None) -> None:
        """A request goes to the model."""
        self._wait.labels(model).observe(waited)

    def left(self, name: str, waited: float) -> None:
        """Whoever asked went away before a model was free."""
        self._left.inc()


class _Gauges(Collector):
    def __init__(self) -> None:
        self.now: tuple[Metric, ...] = ()

    def collect(self) -> Iterable[Metric]:
        return self.now


def _gauges(states: Sequence[ModelState], queued: int, connections: int | None) -> Iterator[Metric]:
    yield GaugeMetricFamily("assay_queue_length", "Requests that wait for a model", value=queued)
    if connections is not None:
        yield GaugeMetricFamily("assay_connections", "Connections that are open", value=connections)
    loaded = GaugeMetricFamily("assay_models", "Models by state", labels=["state"])
    for name in STATES:
        loaded.add_metric([name], sum(state.state == name for state in states))
    yield loaded
    running = GaugeMetricFamily("assay_model_running", "Requests that a model answers", labels=["model"])
    waiting = GaugeMetricFamily("assay_model_waiting", "Requests that wait for this model", labels=["model"])
    reserved = GaugeMetricFamily("assay_memory_reserved_bytes", "Memory reckoned to it", labels=["model"])
    resident = GaugeMetricFamily("assay_memory_resident_bytes", "Memory that a model takes", labels=["model"])
    for state in states:
        running.add_metric([state.id], state.running)
        waiting.add_metric([state.id], state.waiting)
        if state.reserved is not None:
            reserved.add_metric([state.id], state.reserved)
        if state.resident is not None:
            resident.add_metric([state.id], state.resident)
    yield from (running, waiting, reserved, resident)


def _counted(counter: Counter, model: str, before: int | None, now: int | None) -> int | None:
    """Add what has come since; what a model did not tell this time counts when it tells it again."""
    if now is None:
        return before
    known = before or 0
    counter.labels(model).inc(max(0, now - known))
    return now


def _histogram(name: str, what: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, what, ["model"], buckets=buckets, registry=registry)
