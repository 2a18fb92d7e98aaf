"""Carries a bench out: self-test, measuring, checks, all on disk as it ends; and finishes one that was cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from assay import __version__, judge, machine, measure, runs
from assay.app import loop
from assay.app.candidates import distinct
from assay.app.here import Here
from assay.app.learning import observations
from assay.app.lifecycle import Lifecycle
from assay.app.run import Run
from assay.app.upstream_keys import sent_with
from assay.errors import NothingMeasured, StoreError
from assay.types import Candidate, EngineOptions, Reporter, RunRecord, Score, Workload

TOGETHER_SHARE = 0.5
"""Most of the memory budget that the files of interleaved candidates may fill; the rest is for caches and buffers."""


def carry_out(
    workload: Workload,
    candidates: Sequence[Candidate],
    options: EngineOptions,
    here: Here,
    *,
    interleave: str,
    name: str | None,
    command: str | None,
    api_key: str | None,
    reporter: Reporter,
) -> Run:
    """Measure ``candidates`` into a new run.

    Raises:
        NothingMeasured: every candidate failed; the run with the reasons is kept.
    """
    reporter.stage("checking the instrument")
    instrument = loop.run(measure.self_test)
    for shortfall in measure.shortfalls(instrument):
        reporter.note(f"instrument: {shortfall}")
    host = machine.inspect()
    record = RunRecord(
        id=runs.new_id(),
        created=_now(),
        assay=__version__,
        workload=workload,
        machine=host,
        candidates=distinct(candidates),
        name=name,
        command=command,
        interleaved=_interleaved(interleave, candidates, host.memory_budget),
        selftest=instrument,
        options=options,
    )
    with runs.create(here.settings.runs, record) as writer:
        _fill(writer, here, api_key, reporter)
    return _finished(writer.path, here, reporter)


def finish(path: Path, here: Here, *, api_key: str | None, reporter: Reporter) -> Run:
    """Measure what an interrupted run lacks, under its own workload and options.

    Raises:
        RunInUse: a process is measuring it. NothingMeasured: every candidate failed.
    """
    with runs.reopen(path) as writer:
        writer.update(structs.replace(writer.record, status="running", finished=None))
        _fill(writer, here, api_key, reporter)
    return _finished(path, here, reporter)


def fresh_scores(run: Run) -> list[Score]:
    """Check scores that the run does not hold yet."""
    held = {(score.sample, score.judge, score.criterion) for score in run.data.scores}
    found = judge.score(run.data.samples, run.data.record.workload.prompts)
    return [score for score in found if (score.sample, score.judge, score.criterion) not in held]


def _fill(writer: runs.Writer, here: Here, api_key: str | None, reporter: Reporter) -> None:
    """Measure into an open run what it does not hold, then score it; the record tells how that ended."""
    record = writer.record
    try:
        outcomes = loop.run(
            lambda: measure.measure(
                record.workload,
                record.candidates,
                Lifecycle(record.options, here.hold),
                writer,
                reporter,
                interleave=record.interleaved,
                done=writer.done,
                next_i=writer.next_i,
                headers=_headers(record.candidates, api_key),
            )
        )
    except BaseException:
        writer.update(structs.replace(record, status="interrupted", finished=_now()))
        raise
    reporter.stage("scoring")
    for score in fresh_scores(Run(writer.path, runs.read(writer.path))):
        writer.score(score)
    measured = any(candidate.status == "measured" for candidate in outcomes)
    status = "complete" if measured else "failed"
    writer.update(structs.replace(record, candidates=_kept(record, outcomes), status=status, finished=_now()))


def _kept(record: RunRecord, outcomes: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Outcomes, with what an earlier part of the run knew of a candidate that was not started again."""
    before = {candidate.key: candidate for candidate in record.candidates}
    return tuple(
        structs.replace(
            after,
            load_ns=before[after.key].load_ns if before[after.key].load_ns is not None else after.load_ns,
            load_kind=before[after.key].load_kind if before[after.key].load_ns is not None else after.load_kind,
            engine_version=after.engine_version or before[after.key].engine_version,
            arguments=after.arguments or before[after.key].arguments,
        )
        for after in outcomes
    )


def _finished(path: Path, here: Here, reporter: Reporter) -> Run:
    run = Run(path, runs.read(path))
    try:
        for observation in observations(run.data):
            here.observed.remember(observation)
    except StoreError as error:
        reporter.note(error.sentence)
    if run.data.record.status == "failed":
        reasons = [f"{candidate.label} {candidate.reason}" for candidate in run.data.record.candidates]
        raise NothingMeasured(
            "no candidate could be measured",
            why="; ".join(reasons),
            remedy=f"assay doctor; the run is kept: assay run show {run.id}",
        )
    return run


def _interleaved(wish: str, candidates: Sequence[Candidate], budget: int | None) -> bool:
    if wish != "auto":
        return wish == "on"
    here = [candidate for candidate in candidates if candidate.variant.format != "remote"]
    share = int(budget * TOGETHER_SHARE) if budget is not None else None
    return len(candidates) > 1 and measure.fits_together([one.variant.disk for one in here], share)


def _headers(candidates: Iterable[Candidate], api_key: str | None) -> dict[tuple[str, str], Mapping[str, str]]:
    return {one.key: sent_with(one.variant, api_key) for one in candidates if one.variant.format == "remote"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
