"""Reads a run folder, whatever became of its writer. Changes nothing, so a run can be read while it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from assay.errors import RunDamaged, RunNotFound
from assay.runs.lines import read_lines
from assay.runs.migrate import decoder, schema_of
from assay.types import Reading, RunData, RunRecord, Sample, Score

RECORD: Final = "run.json"
SAMPLES: Final = "samples.jsonl"
SCORES: Final = "scores.jsonl"
METERS: Final = "meters.jsonl"


def read(path: Path) -> RunData:
    """Everything in the run folder ``path``.

    Raises `RunNotFound` where it is no run folder, `RunTooNew`, and `RunDamaged` (see `read_lines` for what is
    skipped instead).
    """
    record, schema = read_record(path)
    samples = read_lines(path / SAMPLES, decoder("sample", Sample, schema))
    scores = read_lines(path / SCORES, decoder("score", Score, schema))
    readings = read_lines(path / METERS, decoder("reading", Reading, schema))
    return RunData(
        record=record,
        samples=samples.items,
        scores=scores.items,
        readings=readings.items,
        damaged_lines=samples.cut + scores.cut + readings.cut,
    )


def read_record(path: Path) -> tuple[RunRecord, int]:
    """The record of the run folder ``path``, and the schema it was written under. Raises as `read` does."""
    file = path / RECORD
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunNotFound(f"{path} is no run", why=f"there is no {RECORD} in it", remedy="assay run list") from error
    except OSError as error:
        raise RunDamaged(f"{file} cannot be read", why=error.strerror) from error
    schema = schema_of(file, content)
    try:
        return decoder("record", RunRecord, schema)(content), schema
    except msgspec.DecodeError as error:
        raise RunDamaged(f"{file} cannot be read", why=str(error)) from error
