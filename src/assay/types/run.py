"""Where and with what it was measured: machine, instrument, candidates, the run."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from msgspec import Struct, structs
from msgspec.json import encode as to_json

from assay.types.sample import Reading, Sample, Score
from assay.types.variant import EngineOptions, Variant
from assay.types.workload import Workload

SCHEMA_VERSION = 1
"""Version of the run folder's layout; raised when a released reader could not read what is written."""


class Lag(Struct, frozen=True, kw_only=True):
    """Self-test at one level: one-way lag from the server's send stamp to the client's read stamp, in seconds."""

    streams: int
    events_per_s: float
    events: int
    p50: float
    p99: float
    worst: float
    counts_exact: bool


class SelfTest(Struct, frozen=True, kw_only=True):
    """The instrument's own error, measured against a server with known timings."""

    lags: tuple[Lag, ...]
    loop: str
    """Event loop used: uvloop, winloop or asyncio."""

    @property
    def error_s(self) -> float:
        """What a latency difference must exceed to be called real: the largest p99 lag."""
        return max((lag.p99 for lag in self.lags), default=0.0)


class Gpu(Struct, frozen=True, kw_only=True):
    name: str
    memory: int | None = None
    driver: str | None = None


class Machine(Struct, frozen=True, kw_only=True):
    """What this computer is. Memory in bytes; ``memory_limit`` is the cgroup's, None where there is none."""

    system: str
    release: str
    arch: str
    cpu: str | None
    cores: int
    physical_cores: int | None = None
    memory: int | None = None
    memory_available: int | None = None
    memory_limit: int | None = None
    gpus: tuple[Gpu, ...] = ()
    governor: str | None = None
    load_average: float | None = None
    on_battery: bool | None = None
    python: str = ""
    cpu_flags: tuple[str, ...] = ()

    @property
    def memory_budget(self) -> int | None:
        """Bytes that models may take: the smaller of what is available and the cgroup's limit."""
        known = [m for m in (self.memory_available, self.memory_limit) if m is not None]
        return min(known) if known else None

    @property
    def digest(self) -> str:
        """Identity for comparing runs: the hardware, not the load of the moment."""
        same = [self.system, self.arch, self.cpu, self.cores, self.memory, [structs.asdict(g) for g in self.gpus]]
        return hashlib.sha256(to_json(same)).hexdigest()


class Candidate(Struct, frozen=True, kw_only=True):
    """A variant on one engine within a run, with what became of it."""

    variant: Variant
    engine: str
    engine_version: str | None = None
    arguments: dict[str, Any] = {}
    status: Literal["pending", "measured", "failed"] = "pending"
    reason: str | None = None
    load_ns: int | None = None
    load_kind: Literal["cold", "warm"] | None = None

    @property
    def label(self) -> str:
        """How people see it: ``variant @ engine``."""
        return f"{self.variant.id} @ {self.engine}"

    @property
    def key(self) -> tuple[str, str]:
        return (self.variant.id, self.engine)


class RunRecord(Struct, frozen=True, kw_only=True):
    """``run.json``: provenance and status of a run."""

    id: str
    created: str
    assay: str
    workload: Workload
    machine: Machine
    candidates: tuple[Candidate, ...]
    schema: int = SCHEMA_VERSION
    name: str | None = None
    command: str | None = None
    """The command line that began the run; None where Python code did."""
    status: Literal["running", "complete", "interrupted", "failed"] = "running"
    finished: str | None = None
    interleaved: bool = False
    selftest: SelfTest | None = None
    options: EngineOptions = EngineOptions()


class RunData(Struct, frozen=True, kw_only=True):
    """A run as read from disk: the record and every raw line."""

    record: RunRecord
    samples: tuple[Sample, ...] = ()
    scores: tuple[Score, ...] = ()
    readings: tuple[Reading, ...] = ()
    damaged_lines: int = 0
    """Lines cut off by a kill, skipped on reading."""
