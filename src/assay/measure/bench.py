"""Executes a plan: brings candidates up, asks them, and hands every sample on as it ends.

What fails is recorded and the bench goes on: a candidate that does not start, a request that fails (and each of its
retries, as a sample of its own), an engine that dies. Whatever was brought up is stopped, also after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from msgspec import structs

from assay.errors import AssayError
from assay.measure.client import Client
from assay.measure.loop import short_pauses
from assay.measure.meters import Meter
from assay.measure.schedule import Block, CandidateKey, Request, RequestKey, Stage, plan, remaining, total_requests
from assay.types import (
    Candidate,
    Endpoint,
    EngineStatus,
    Prompt,
    Reading,
    Reporter,
    RequestError,
    Sample,
    Workload,
)

GIVE_UP_AFTER = 3
"""Failures to connect in a row, or requests without any answer in time, after which a candidate is given up."""
DEATH_GRACE_S = 0.5


class Lifecycle(Protocol):
    """Brings candidates up and down; the effect on engines that the bench needs."""

    async def start(self, candidate: Candidate) -> Endpoint:
        """The candidate's live endpoint; raises ``EngineError`` with the reason."""
        ...

    async def stop(self, endpoint: Endpoint) -> None:
        """End what ``start`` brought up; no error when it is already gone."""
        ...

    def status(self, endpoint: Endpoint) -> EngineStatus | None:
        """Whether the endpoint lives; None where nothing is known of it, as of a remote one."""
        ...


class Sink(Protocol):
    """Where results go as soon as they are there; called in the event loop."""

    def sample(self, sample: Sample, /) -> None: ...

    def reading(self, reading: Reading, /) -> None: ...


async def measure(
    workload: Workload,
    candidates: Sequence[Candidate],
    lifecycle: Lifecycle,
    sink: Sink,
    reporter: Reporter,
    *,
    interleave: bool = False,
    done: Collection[RequestKey] = frozenset(),
    next_i: int = 0,
    headers: Mapping[CandidateKey, Mapping[str, str]] | None = None,
) -> tuple[Candidate, ...]:
    """Measure ``candidates`` on ``workload`` and return them with status, reason, load time, engine version, arguments.

    ``done`` and ``next_i`` continue a run: keys of the samples that it holds, and the number of the next one. ``block``
    of a sample is the number ``i`` of the first sample of its block. ``headers`` are sent to that candidate only.
    Progress counts requests, warm-ups included. Raises nothing of a candidate's making.
    """
    whole = plan(workload, [candidate.key for candidate in candidates], interleave=interleave)
    left = remaining(whole, done)
    bench = _Bench(
        workload=workload,
        prompts={prompt.id: prompt for prompt in workload.prompts},
        lifecycle=lifecycle,
        sink=sink,
        reporter=reporter,
        headers=headers or {},
        total=total_requests(left),
        next_i=next_i,
        states={candidate.key: _State(candidate) for candidate in candidates},
    )
    for key in {(variant, engine) for variant, engine, _, phase, *_ in done if phase == "measure"}:
        if key in bench.states:
            bench.states[key].answered = True
    with short_pauses():
        for stage in left:
            await bench.stage(stage)
    return tuple(state.outcome() for state in bench.states.values())


@dataclass
class _State:
    """What has become of one candidate so far."""

    candidate: Candidate
    failure: str | None = None
    answered: bool = False
    """Whether a measured request has succeeded."""
    asked: bool = False
    """Whether this bench has asked it anything; what a resumed run has finished earlier stays as it was."""
    unanswered: int = 0
    last_error: RequestError | None = None
    endpoint: Endpoint | None = None
    client: Client | None = None
    meter: Meter | None = None

    def started(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.candidate = structs.replace(
            self.candidate,
            engine_version=endpoint.engine_version or self.candidate.engine_version,
            arguments=endpoint.arguments or self.candidate.arguments,
            load_ns=self.candidate.load_ns if self.candidate.load_ns is not None else endpoint.load_ns,
            load_kind=self.candidate.load_kind if self.candidate.load_ns is not None else endpoint.load_kind,
        )

    def saw(self, sample: Sample) -> str | None:
        """Learn from an ended request; a reason where the candidate is to be given up."""
        error = sample.error
        self.asked = True
        if error is None:
            self.unanswered = 0
            self.answered |= sample.phase == "measure"
            return None
        self.last_error = error
        if error.kind == "engine_died":
            return error.message
        silent = error.kind == "timeout" and sample.first_text_ns is None and not self.answered
        self.unanswered = self.unanswered + 1 if error.kind == "connect" or silent else 0
        if self.unanswered < GIVE_UP_AFTER:
            return None
        return f"was given up after {self.unanswered} requests in a row without an answer: {error.message}"

    def outcome(self) -> Candidate:
        if not self.asked and self.failure is None and self.candidate.status != "pending":
            return self.candidate
        reason = self.failure
        if reason is None and not self.answered:
            reason = f"no request succeeded; the last one: {self.last_error.message}" if self.last_error else None
        if reason is not None:
            return structs.replace(self.candidate, status="failed", reason=reason)
        status = "measured" if self.answered else self.candidate.status
        return structs.replace(self.candidate, status=status, reason=None)


@dataclass
class _Bench:
    workload: Workload
    prompts: dict[str, Prompt]
    lifecycle: Lifecycle
    sink: Sink
    reporter: Reporter
    headers: Mapping[CandidateKey, Mapping[str, str]]
    total: int
    next_i: int
    states: dict[CandidateKey, _State]
    ended: int = 0

    async def stage(self, stage: Stage) -> None:
        """Bring the stage's candidates up, run its blocks, and stop everything however it ends."""
        async with AsyncExitStack() as live:
            for key in stage.candidates:
                if self.states[key].failure is None:
                    await self._bring_up(self.states[key], live)
            alive = [self.states[key].candidate.label for key in stage.candidates if self.states[key].failure is None]
            if alive:
                self.reporter.stage(f"measuring {', '.join(alive)}")
            for block in stage.blocks:
                await self._run_block(block, self.states[block.candidate])
                self._collect()

    async def _bring_up(self, state: _State, live: AsyncExitStack) -> None:
        self.reporter.stage(f"starting {state.candidate.label}")
        try:
            endpoint = await self.lifecycle.start(state.candidate)
        except AssayError as error:
            told = error.message.removeprefix(f"{state.candidate.variant.id} did not start: ")
            self._give_up(state, f"did not start: {told}" + (f" ({error.why})" if error.why else ""))
            return
        except Exception as error:
            # The engine may be anybody's: its bug must not end the bench.
            self._give_up(state, f"did not start: {type(error).__name__}: {error}")
            return
        live.push_async_callback(self._bring_down, state, endpoint)
        state.started(endpoint)
        if endpoint.pid is not None:
            state.meter = Meter(*state.candidate.key, endpoint.pid)
            state.meter.start()
        headers = self.headers.get(state.candidate.key)
        connections = max(self.workload.concurrency)
        state.client = await live.enter_async_context(Client(endpoint, connections=connections, headers=headers))

    async def _bring_down(self, state: _State, endpoint: Endpoint) -> None:
        meter, state.meter, state.client, state.endpoint = state.meter, None, None, None
        try:
            if meter is not None:
                for reading in await asyncio.to_thread(meter.stop):
                    self.sink.reading(reading)
        finally:
            try:
                await self.lifecycle.stop(endpoint)
            except Exception as error:
                self.reporter.note(f"{state.candidate.label}: stopping it failed: {error}")

    async def _run_block(self, block: Block, state: _State) -> None:
        """Run the block's requests by ``concurrency`` workers, each asking for the next as soon as it is free.

        Nothing is asked of a candidate that was given up.
        """
        waiting = deque(block.requests)
        number = self.next_i

        async def worker() -> None:
            while waiting and state.failure is None:
                await self._request(waiting.popleft(), number, state)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(block.concurrency, len(block.requests))):
                group.create_task(worker())
        self.ended += len(waiting)

    async def _request(self, request: Request, block: int, state: _State) -> None:
        assert state.client is not None  # noqa: S101 - a stage runs blocks of what it brought up
        for attempt in range(self.workload.retries + 1):
            blank = Sample(
                i=-1,
                variant=request.candidate[0],
                engine=request.candidate[1],
                prompt=request.prompt,
                round=request.round,
                phase=request.phase,
                concurrency=request.concurrency,
                block=block,
                attempt=attempt,
                scheduled_ns=time.monotonic_ns(),
            )
            sample = await state.client.ask(
                self.prompts[request.prompt],
                self.workload.decoding,
                blank,
                stream=self.workload.stream,
                timeout_s=self.workload.request_timeout_s,
            )
            if await self._record(sample, state):
                break
        self.ended += 1
        self.reporter.progress(self.ended, self.total, state.candidate.label)

    async def _record(self, sample: Sample, state: _State) -> bool:
        """Number the sample and hand it on; whether nothing is left to try for its request."""
        death = await self._engine_death(state, sample.error) if sample.error is not None else None
        if death is not None:
            sample = structs.replace(sample, error=death)
        self.sink.sample(structs.replace(sample, i=self.next_i))
        self.next_i += 1
        self._collect()
        reason = state.saw(sample)
        if reason is not None and state.failure is None:
            self._give_up(state, reason)
        return sample.error is None or state.failure is not None

    async def _engine_death(self, state: _State, error: RequestError) -> RequestError | None:
        """The failure as the engine's death, where it has died; a broken connection may show before the exit does."""
        patience = DEATH_GRACE_S if error.kind in {"connect", "stream"} else 0.0
        deadline = time.monotonic() + patience
        while state.endpoint is not None:
            status = self.lifecycle.status(state.endpoint)
            if status is not None and status.state in {"dead", "stopped"}:
                code = f" with exit code {status.exit_code}" if status.exit_code is not None else ""
                message = f"the engine died{code}: {status.reason or 'it gave no reason'}"
                return RequestError(kind="engine_died", message=message)
            if status is None or time.monotonic() >= deadline:
                break
            await asyncio.sleep(0.05)
        return None

    def _give_up(self, state: _State, reason: str) -> None:
        state.failure = reason
        self.reporter.note(f"{state.candidate.label} {reason}")

    def _collect(self) -> None:
        """Hand on what the meters have read."""
        for state in self.states.values():
            if state.meter is not None:
                for reading in state.meter.take():
                    self.sink.reading(reading)
