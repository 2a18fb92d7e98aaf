"""The measuring room: what a live endpoint does under a workload, to the nanosecond at which bytes were read.

In: candidates, a workload, and the effects that bring engines up and take results.
Out: samples and meter readings as they end, what became of each candidate, and the instrument's own error.
"""

from __future__ import annotations

from assay.measure.address import base_url, bearer, list_models
from assay.measure.bench import Lifecycle, Sink, measure
from assay.measure.client import Client
from assay.measure.loop import run
from assay.measure.prompts import as_prompts, default_prompts, prompts_schema, read_prompts, single
from assay.measure.schedule import fits_together
from assay.measure.selftest import self_test, shortfalls

__all__ = [
    "Client",
    "Lifecycle",
    "Sink",
    "as_prompts",
    "base_url",
    "bearer",
    "default_prompts",
    "fits_together",
    "list_models",
    "measure",
    "prompts_schema",
    "read_prompts",
    "run",
    "self_test",
    "shortfalls",
    "single",
]
