"""Writes a run folder so that a kill at any moment loses nothing that had ended, and a resume doubles nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from assay.errors import RunError
from assay.runs.lines import Lines, mend
from assay.runs.lock import Lock
from assay.runs.migrate import decoder
from assay.runs.reader import METERS, RECORD, SAMPLES, SCORES, read
from assay.types import SCHEMA_VERSION, Reading, RunData, RunRecord, Sample, Score

Key = tuple[str, str, int, str, int, str]
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Writer:
    """The one process that writes a run; a context manager. Made by `create` and `reopen`.

    ``path`` is the run's folder, ``record`` what its ``run.json`` holds now.
    """

    def __init__(self, path: Path, data: RunData, lock: Lock) -> None:
        self.path = path
        self.record = data.record
        self._lock = lock
        self._samples = Lines(path / SAMPLES)
        self._scores = Lines(path / SCORES)
        self._readings = Lines(path / METERS)
        self._taken: set[int] = set()
        self._done: set[Key] = set()
        self._next_i = 0
        for sample in data.samples:
            self._remember(sample)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def done(self) -> frozenset[Key]:
        """Keys of the requests that need no more tries: one succeeded, or all that the workload allows have failed."""
        return frozenset(self._done)

    @property
    def next_i(self) -> int:
        """The lowest number from which on no sample of the run has one."""
        return self._next_i

    def sample(self, sample: Sample) -> None:
        """Append a sample; on disk when this returns. Raises `RunError`, and `ValueError` for a duplicate."""
        if sample.i in self._taken or sample.key in self._done:
            raise ValueError(f"sample {sample.i} ({', '.join(map(str, sample.key))}) is in the run already")
        self._samples.append(sample)
        self._remember(sample)

    def score(self, score: Score) -> None:
        """Append a score. Raises `RunError`."""
        self._scores.append(score)

    def reading(self, reading: Reading) -> None:
        """Append a meter reading. Raises `RunError`."""
        self._readings.append(reading)

    def update(self, record: RunRecord) -> None:
        """Put ``record`` in the place of the old one, at once or not at all. Raises `RunError`."""
        if record.id != self.record.id:
            raise ValueError(f"run {self.record.id} cannot become run {record.id}")
        write_record(self.path, record)
        self.record = record

    def close(self) -> None:
        """Bring everything to the disk itself and let others write; no error when that is done already."""
        for lines in (self._samples, self._scores, self._readings):
            lines.close()
        self._lock.release()

    def _remember(self, sample: Sample) -> None:
        self._taken.add(sample.i)
        self._next_i = max(self._next_i, sample.i + 1)
        if sample.ok or sample.attempt >= self.record.workload.retries:
            self._done.add(sample.key)


def create(folder: Path, record: RunRecord) -> Writer:
    """Make a new run in ``folder`` (``runs`` of an ``ASSAY_HOME``), with its record. Raises `RunError`."""
    if not _ID.fullmatch(record.id):
        raise ValueError(f"{record.id!r} is no run id: use `new_id`")
    if record.schema != SCHEMA_VERSION:
        raise ValueError(f"schema {record.schema} is not the one written: {SCHEMA_VERSION}")
    path = folder / record.id
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise RunError(
            f"cannot make {path}", why=error.strerror, remedy="set ASSAY_HOME to a place of yours"
        ) from error
    lock = Lock(path)
    try:
        write_record(path, record)
        return Writer(path, RunData(record=record), lock)
    except BaseException:
        lock.release()
        raise


def reopen(path: Path) -> Writer:
    """Go on with a run: mend what a kill has cut, and say what is done (`Writer.done`, `Writer.next_i`).

    Raises `RunInUse`, and as `read` does.
    """
    read(path)
    lock = Lock(path)
    try:
        for name, decode in (
            (SAMPLES, decoder("sample", Sample, SCHEMA_VERSION)),
            (SCORES, decoder("score", Score, SCHEMA_VERSION)),
            (METERS, decoder("reading", Reading, SCHEMA_VERSION)),
        ):
            mend(path / name, decode)
        return Writer(path, read(path), lock)
    except BaseException:
        lock.release()
        raise


def write_record(path: Path, record: RunRecord) -> None:
    """Replace ``run.json``: readers see the old one or the new one, after a power cut too. Raises `RunError`."""
    content = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    fresh = path / f".{RECORD}.new"
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path / RECORD)
        if os.name == "posix":
            folder = os.open(path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise RunError(
            f"cannot write {path / RECORD}", why=error.strerror, remedy="make room, then --resume"
        ) from error
