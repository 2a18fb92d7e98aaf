from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.errors import RunDamaged, RunTooNew
from assay.runs import read
from assay.runs.migrate import STEPS, Step, decoder
from assay.types import SCHEMA_VERSION, Sample

GOLDEN = Path(__file__).parent / "golden"


def test_there_is_a_golden_run_and_a_way_up_for_every_schema() -> None:
    released = range(1, SCHEMA_VERSION + 1)
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(f"schema-{version}" for version in released)
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("path", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_every_golden_run_is_read(path: Path) -> None:
    data = read(path)
    assert data.record.schema == SCHEMA_VERSION
    assert (data.record.id, data.record.name, data.record.status) == ("20261122-071501-4f2a", "golden", "complete")
    assert [candidate.label for candidate in data.record.candidates] == [
        "notes-4m:q8_0 @ llamacpp",
        "other:int4 @ ortgenai",
    ]
    assert data.record.candidates[0].variant.disk == 4_000_000
    assert data.record.workload.prompts[1].expect is not None
    assert data.record.workload.prompts[1].expect.records == ({"who": "Ann", "when": None},)
    assert data.record.selftest is not None
    assert data.record.selftest.error_s == 0.002
    assert [(s.i, s.phase, s.attempt, s.ok) for s in data.samples] == [
        (0, "warmup", 0, True),
        (1, "measure", 0, True),
        (2, "measure", 0, False),
        (3, "measure", 1, False),
    ]
    assert data.samples[1].text == "Ann\u00e9"
    assert data.samples[1].tpot == 0.01
    assert [(s.sample, s.judge, s.value) for s in data.scores] == [(1, "check", 0.0), (1, "person", 0.75)]
    assert data.readings[0].memory == 120_000_000


def with_record(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "run"
    shutil.copytree(GOLDEN / "schema-1", path)
    (path / "run.json").write_bytes(content)
    return path


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads((GOLDEN / "schema-1" / "run.json").read_bytes()) | fields).encode()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = with_record(tmp_path, changed(schema=99, workload="of a form that nobody knows yet"))
    with pytest.raises(RunTooNew) as caught:
        read(path)
    assert str(caught.value) == (
        "run run was written by a newer Assay\n"
        f"  why: it has schema 99, and this version reads schemas up to {SCHEMA_VERSION}\n"
        "  try: pip install --upgrade assay"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", changed(schema=None), changed(schema=0), changed(schema="1"), changed(machine=3)],
)
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RunDamaged, match=r"run\.json"):
        read(with_record(tmp_path, content))


def test_steps_are_applied_in_turn() -> None:
    def named(raw: dict[str, Any]) -> dict[str, Any]:
        return {("variant" if name == "model" else name): value for name, value in raw.items()}

    def in_ns(raw: dict[str, Any]) -> dict[str, Any]:
        return raw | {"sent_ns": raw.pop("sent_us") * 1000}

    steps = {1: Step(sample=named), 2: Step(), 3: Step(sample=in_ns)}
    line = b'{"i":1,"model":"v","engine":"e","prompt":"p","round":0,"phase":"measure","sent_us":5}'
    decode = decoder("sample", Sample, 1, steps=steps, newest=4)
    assert decode(line) == Sample(i=1, variant="v", engine="e", prompt="p", round=0, phase="measure", sent_ns=5000)
    with pytest.raises(msgspec.DecodeError):
        decoder("sample", Sample, 2, steps=steps, newest=4)(line)


def test_an_upgraded_record_has_the_newest_schema() -> None:
    class Record(msgspec.Struct):
        schema: int
        id: str

    assert decoder("record", Record, 1, steps={1: Step()}, newest=2)(b'{"schema":1,"id":"x"}') == Record(2, "x")
