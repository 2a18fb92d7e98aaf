from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise

import pytest

from assay.errors import EngineStartFailed
from assay.measure.bench import measure
from assay.measure.loop import run
from assay.types import (
    Candidate,
    Endpoint,
    EngineStatus,
    Prompt,
    Reading,
    Sample,
    Silent,
    Variant,
    Workload,
)
from tests.measure.conftest import FaultyServer, running_server


class Book:
    """Keeps what the bench hands on."""

    def __init__(self, enough: int = 0) -> None:
        self.samples: list[Sample] = []
        self.readings: list[Reading] = []
        self.full = asyncio.Event()
        self._enough = enough

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)
        if len(self.samples) == self._enough:
            self.full.set()

    def reading(self, reading: Reading) -> None:
        self.readings.append(reading)


class Progress(Silent):
    """Keeps what the bench tells of itself."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def progress(self, done: int, total: int, text: str = "") -> None:
        self.seen.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


class Servers:
    """A lifecycle whose engine is the scripted server, a process of its own for each candidate."""

    def __init__(self) -> None:
        self.live: dict[int, tuple[ExitStack, FaultyServer]] = {}
        self.events: list[tuple[str, str]] = []

    async def start(self, candidate: Candidate) -> Endpoint:
        model = candidate.variant.alias
        if model == "does_not_start":
            raise EngineStartFailed("the weights cannot be read", why="bad magic")
        if model == "buggy_engine":
            raise ZeroDivisionError("a plugin's bug")
        stack = ExitStack()
        server = stack.enter_context(running_server())
        self.live[server.process.pid] = (stack, server)
        self.events.append(("start", model))
        return Endpoint(
            url=server.url, model=model, engine="fake", engine_version="1.2", pid=server.process.pid, load_ns=5
        )

    async def stop(self, endpoint: Endpoint) -> None:
        assert endpoint.pid is not None
        self.events.append(("stop", endpoint.model))
        self.live.pop(endpoint.pid)[0].close()

    def status(self, endpoint: Endpoint) -> EngineStatus | None:
        assert endpoint.pid is not None
        code = self.live[endpoint.pid][1].process.poll()
        if code is None:
            return EngineStatus(name="fake", version=None, formats=(), state="ready")
        return EngineStatus(name="fake", version=None, formats=(), state="dead", exit_code=code, reason="scripted")


class Remote:
    """A lifecycle of endpoints that are there already."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def start(self, candidate: Candidate) -> Endpoint:
        return Endpoint(url=self._url, model=candidate.variant.alias, engine="endpoint")

    async def stop(self, endpoint: Endpoint) -> None:
        assert endpoint.pid is None

    def status(self, endpoint: Endpoint) -> EngineStatus | None:
        assert endpoint.pid is None
        return None


def candidates(*models: str) -> list[Candidate]:
    return [
        Candidate(variant=Variant(id=model, alias=model, format="gguf", source="x"), engine="fake") for model in models
    ]


def workload(
    prompts: int = 3,
    rounds: int = 2,
    warmup: int = 1,
    concurrency: tuple[int, ...] = (1,),
    retries: int = 0,
    timeout_s: float = 10.0,
) -> Workload:
    return Workload(
        prompts=tuple(Prompt(id=f"p{n}", prompt=f"say {n}") for n in range(prompts)),
        rounds=rounds,
        warmup=warmup,
        concurrency=concurrency,
        retries=retries,
        request_timeout_s=timeout_s,
    )


def outcomes(results: Sequence[Candidate]) -> list[tuple[str, str]]:
    return [(result.variant.id, result.status) for result in results]


def test_every_planned_request_becomes_a_sample_in_order_of_ending() -> None:
    book, servers, progress = Book(), Servers(), Progress()
    results = run(measure(workload(), candidates("ok"), servers, book, progress))
    assert outcomes(results) == [("ok", "measured")]
    assert (results[0].engine_version, results[0].load_ns, results[0].reason) == ("1.2", 5, None)
    assert [sample.i for sample in book.samples] == list(range(7))
    assert Counter(sample.phase for sample in book.samples) == {"warmup": 1, "measure": 6}
    assert {sample.text for sample in book.samples} == {"echo: say 0", "echo: say 1", "echo: say 2"}
    assert {sample.block for sample in book.samples} == {0, 1}
    assert progress.seen == [(n, 7) for n in range(1, 8)]
    assert book.readings
    assert {reading.variant for reading in book.readings} == {"ok"}
    assert servers.events == [("start", "ok"), ("stop", "ok")]


def test_closed_loop_keeps_that_many_requests_in_flight() -> None:
    book = Book()
    run(measure(workload(prompts=8, rounds=1, concurrency=(1, 4)), candidates("slow"), Servers(), book, Silent()))
    for level in (1, 4):
        spans = [
            (sample.sent_ns or 0, sample.done_ns or 0)
            for sample in book.samples
            if sample.concurrency == level and sample.phase == "measure"
        ]
        assert len(spans) == 8
        assert max(sum(a < end and start < b for a, b in spans) for start, end in spans) >= level
        edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
        running = [sum(step for _, step in edges[: n + 1]) for n in range(len(edges))]
        assert max(running) == level


def test_serially_one_engine_is_up_at_a_time() -> None:
    servers = Servers()
    run(measure(workload(), candidates("ok", "slow"), servers, Book(), Silent()))
    assert servers.events == [("start", "ok"), ("stop", "ok"), ("start", "slow"), ("stop", "slow")]


def test_interleaved_each_is_alone_first_then_all_alternate() -> None:
    book, servers = Book(), Servers()
    results = run(measure(workload(prompts=8), candidates("ok", "slow"), servers, book, Silent(), interleave=True))
    assert outcomes(results) == [("ok", "measured"), ("slow", "measured")]
    assert servers.events[:4] == [("start", "ok"), ("stop", "ok"), ("start", "slow"), ("stop", "slow")]
    assert servers.events[4:6] == [("start", "ok"), ("start", "slow")]
    measured = [sample for sample in book.samples if sample.phase == "measure"]
    assert len(measured) == 32
    assert all(sample.block == sample.i for sample in measured)
    order = [sample.variant for sample in measured]
    assert sum(a != b for a, b in pairwise(order)) > 6
    assert {reading.variant for reading in book.readings} == {"ok", "slow"}


def test_what_does_not_start_is_recorded_and_the_bench_goes_on() -> None:
    book, progress = Book(), Progress()
    work = candidates("does_not_start", "buggy_engine", "ok")
    for interleave in (False, True):
        results = run(measure(workload(), work, Servers(), book, progress, interleave=interleave))
        assert outcomes(results) == [("does_not_start", "failed"), ("buggy_engine", "failed"), ("ok", "measured")]
        assert results[0].reason == "did not start: the weights cannot be read (bad magic)"
        assert results[1].reason == "did not start: ZeroDivisionError: a plugin's bug"
    assert {sample.variant for sample in book.samples} == {"ok"}


@pytest.mark.parametrize("interleave", [False, True])
def test_an_engine_that_dies_is_failed_and_the_rest_goes_on(interleave: bool) -> None:
    book, progress = Book(), Progress()
    work = candidates("dies_at_two", "ok")
    results = run(measure(workload(warmup=0), work, Servers(), book, progress, interleave=interleave))
    assert outcomes(results) == [("dies_at_two", "failed"), ("ok", "measured")]
    died = [sample for sample in book.samples if sample.variant == "dies_at_two"]
    assert [sample.error.kind if sample.error else None for sample in died] == [None, "engine_died"]
    assert died[1].text == "last words"
    assert results[0].reason == "the engine died with exit code 7: scripted"
    assert len([sample for sample in book.samples if sample.variant == "ok" and sample.ok]) == 6
    assert progress.seen[-1][0] == progress.seen[-1][1]


def test_retries_are_samples_of_their_own() -> None:
    book = Book()
    results = run(
        measure(workload(rounds=1, warmup=0, retries=2), candidates("fails_at_first"), Servers(), book, Silent())
    )
    assert outcomes(results) == [("fails_at_first", "measured")]
    attempts = [(sample.prompt, sample.attempt, sample.ok) for sample in book.samples]
    assert sorted(attempts) == [(f"p{n}", attempt, attempt == 1) for n in range(3) for attempt in (0, 1)]


def test_a_candidate_that_never_succeeds_is_failed_with_the_last_reason() -> None:
    book = Book()
    results = run(measure(workload(), candidates("not_found"), Servers(), book, Silent()))
    assert outcomes(results) == [("not_found", "failed")]
    assert results[0].reason is not None
    assert "no model not_found" in results[0].reason
    assert len(book.samples) == 7


@pytest.mark.parametrize("model", ["close_unanswered", "silent"])
def test_a_remote_that_never_answers_is_given_up(server: FaultyServer, model: str) -> None:
    book = Book()
    work = workload(prompts=10, timeout_s=0.2)
    results = run(measure(work, candidates(model, "ok"), Remote(server.url), book, Silent()))
    assert outcomes(results) == [(model, "failed"), ("ok", "measured")]
    assert len([sample for sample in book.samples if sample.variant == model]) == 3
    assert book.readings == []


def test_headers_go_to_their_candidate_only(server: FaultyServer) -> None:
    before = len(server.log())
    headers = {("slow", "fake"): {"Authorization": "Bearer mine"}}
    work = candidates("ok", "slow")
    run(measure(workload(rounds=1), work, Remote(server.url), Book(), Silent(), headers=headers))
    keys = {(entry["body"]["model"], entry["key"]) for entry in server.log()[before:]}
    assert keys == {("ok", ""), ("slow", "Bearer mine")}


def test_a_resumed_bench_repeats_no_key_and_no_number(server: FaultyServer) -> None:
    work, models = workload(prompts=4), candidates("ok", "slow")
    whole, book = Book(), Book()
    run(measure(work, models, Remote(server.url), whole, Silent()))
    for kept in (1, 5, 11, 17):
        book.samples = whole.samples[:kept]
        done = frozenset(sample.key for sample in book.samples)
        results = run(measure(work, models, Remote(server.url), book, Silent(), done=done, next_i=kept))
        assert outcomes(results) == [("ok", "measured"), ("slow", "measured")]
        keys = Counter(sample.key for sample in book.samples)
        assert set(keys.values()) == {1}
        assert {key for key in keys if key[3] == "measure"} == {s.key for s in whole.samples if s.phase == "measure"}
        assert [sample.i for sample in book.samples] == list(range(len(book.samples)))
        assert not {s.block for s in book.samples[:kept]} & {s.block for s in book.samples[kept:]}


def test_resuming_leaves_what_had_finished_as_it_was(server: FaultyServer) -> None:
    work, book = workload(), Book()
    first = run(measure(work, candidates("not_found", "ok"), Remote(server.url), book, Silent()))
    done = frozenset(sample.key for sample in book.samples)
    again = run(measure(work, first, Remote(server.url), book, Silent(), done=done, next_i=len(done)))
    assert again == first
    assert len(book.samples) == len(done)


def test_cancelling_keeps_what_ended_and_stops_every_engine() -> None:
    book, servers = Book(enough=12), Servers()

    async def cancelled() -> None:
        work = workload(prompts=6, rounds=50)
        task = asyncio.create_task(measure(work, candidates("slow", "ok"), servers, book, Silent(), interleave=True))
        await asyncio.wait_for(book.full.wait(), 30)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(cancelled())
    assert 12 <= len(book.samples) < 300
    assert all(sample.ok for sample in book.samples)
    assert servers.live == {}
    assert Counter(kind for kind, _ in servers.events)["start"] == Counter(kind for kind, _ in servers.events)["stop"]
