from __future__ import annotations

import pytest

from assay.types import Candidate, Machine, Prompt, RunRecord, Variant, Workload


@pytest.fixture
def record() -> RunRecord:
    """A run of one candidate that allows one retry."""
    return RunRecord(
        id="20261122-071501-4f2a",
        created="2026-11-22T07:15:01Z",
        assay="0.1.0",
        workload=Workload(prompts=(Prompt(id="p", prompt="?"),), rounds=1000, retries=1),
        machine=Machine(system="Linux", release="6", arch="x86_64", cpu="cpu", cores=4),
        candidates=(Candidate(variant=Variant(id="m:q8", alias="m", format="gguf", source="x"), engine="e"),),
    )
