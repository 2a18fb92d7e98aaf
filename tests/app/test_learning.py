"""What loads took is remembered after a bench, and decides the next estimate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay import app
from assay.app.learning import observations
from assay.types import Candidate, EngineOptions, Machine, Reading, RunData, RunRecord, Variant, Workload

HOST = Machine(system="Linux", release="6", arch="x86_64", cpu=None, cores=2)
HERE = Variant(id="a:q8_0", alias="a", format="gguf", source="a.gguf", path="/models/a.gguf")


def candidate(**more: object) -> Candidate:
    known = {"variant": HERE, "engine": "llamacpp", "engine_version": "1", "status": "measured"}
    return Candidate(**{**known, "arguments": {"context_per_slot": 2048}, **more})  # type: ignore[arg-type]


def run_of(one: Candidate, *peaks: int) -> RunData:
    record = RunRecord(
        id="r",
        created="2026-11-01T00:00:00+00:00",
        assay="0",
        workload=Workload(prompts=()),
        machine=HOST,
        candidates=(one,),
        options=EngineOptions(slots=4),
    )
    readings = tuple(Reading(variant="a:q8_0", engine="llamacpp", t_ns=n, memory=peak) for n, peak in enumerate(peaks))
    return RunData(record=record, readings=readings)


def test_the_peak_of_a_measured_candidate_is_learnt() -> None:
    (found,) = observations(run_of(candidate(), 100, 300, 200))
    assert (found.peak, found.slots, found.context_length, found.engine_version) == (300, 4, 2048, "1")
    assert found.digest == HERE.digest


@pytest.mark.parametrize(
    "one",
    [
        candidate(status="failed"),
        candidate(arguments={}),
        candidate(variant=Variant(id="a:q8_0", alias="a", format="remote", source="http://h/v1")),
    ],
    ids=["failed", "context not told", "remote"],
)
def test_what_cannot_be_told_teaches_nothing(one: Candidate) -> None:
    assert observations(run_of(one, 100)) == []
    assert observations(run_of(candidate())) == []


@pytest.mark.engines
def test_what_a_bench_saw_stands_beside_the_formula(tmp_path: Path) -> None:
    before = app.model_info("notes-0.5m", home=tmp_path)
    assert before.variants[0].estimate is not None
    assert before.variants[0].estimate.observed is None
    app.bench("notes-0.5m", prompt="Who will go?", rounds=1, max_tokens=8, home=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "models" / "observed.jsonl").read_text().splitlines()]
    after = app.model_info("notes-0.5m", home=tmp_path).variants[0].estimate
    assert after is not None
    assert after.observed == lines[-1]["peak"] > 0
    assert after.best == after.observed
    assert after.likely == before.variants[0].estimate.likely
