"""The room that joins the stages: what ``import assay`` offers, and what the command line calls.

In: names, settings, run ids. Out: a ``Run`` with its figures, a ``Choice``, the state of this installation.
"""

from __future__ import annotations

from assay.app.benchmark import bench, quickstart, resume
from assay.app.choosing import Fit, choose, compare, fits
from assay.app.health import EngineHealth, Health, doctor, selftest
from assay.app.run import Run, as_policy, choose_between, load, report_form
from assay.app.shelf import ListedRun, list_runs, rate, rescore, stable_files, write_sheet

__all__ = [
    "EngineHealth",
    "Fit",
    "Health",
    "ListedRun",
    "Run",
    "as_policy",
    "bench",
    "choose",
    "choose_between",
    "compare",
    "doctor",
    "fits",
    "list_runs",
    "load",
    "quickstart",
    "rate",
    "report_form",
    "rescore",
    "resume",
    "selftest",
    "stable_files",
    "write_sheet",
]
