"""The nouns of Assay: frozen data that every stage passes on, and the figures that one request yields.

Imports nothing of ours. Durations in raw records are integer nanoseconds of the monotonic clock; figures are in
seconds, bytes and tokens per second. Unknown is ``None``, never zero.
"""

from __future__ import annotations

from assay.types.decision import Choice, Figure, Limit, Policy, SimpleRow, Summary, Verdict
from assay.types.find import Discovery, Find, Fold, Packaging
from assay.types.hub import Digests, RemoteFile, Repo
from assay.types.memory import Estimate, Observation
from assay.types.probe import Probed, ProbeRequest, Scored
from assay.types.progress import Reporter, Silent, Transfers
from assay.types.run import SCHEMA_VERSION, Candidate, Gpu, Lag, Machine, RunData, RunRecord, SelfTest
from assay.types.sample import NS, Phase, Reading, RequestError, Sample, Score, TokenSource
from assay.types.stored import CheckScore, Interval, Proof, Stored
from assay.types.variant import (
    PROMPT_TOKENS,
    Availability,
    Endpoint,
    Engine,
    EngineOptions,
    EngineStatus,
    File,
    Format,
    Variant,
)
from assay.types.workload import Decoding, Expect, Prompt, Workload

__all__ = [
    "NS",
    "PROMPT_TOKENS",
    "SCHEMA_VERSION",
    "Availability",
    "Candidate",
    "CheckScore",
    "Choice",
    "Decoding",
    "Digests",
    "Discovery",
    "Endpoint",
    "Engine",
    "EngineOptions",
    "EngineStatus",
    "Estimate",
    "Expect",
    "Figure",
    "File",
    "Find",
    "Fold",
    "Format",
    "Gpu",
    "Interval",
    "Lag",
    "Limit",
    "Machine",
    "Observation",
    "Packaging",
    "Phase",
    "Policy",
    "ProbeRequest",
    "Probed",
    "Prompt",
    "Proof",
    "Reading",
    "RemoteFile",
    "Repo",
    "Reporter",
    "RequestError",
    "RunData",
    "RunRecord",
    "Sample",
    "Score",
    "Scored",
    "SelfTest",
    "Silent",
    "SimpleRow",
    "Stored",
    "Summary",
    "TokenSource",
    "Transfers",
    "Variant",
    "Verdict",
    "Workload",
]
