"""Runs on disk: one folder each, with the record, every raw line, and nothing that could be recomputed.

In: a run's record, then samples, scores and meter readings as they come, line by line.
Out: `RunData` as read back after anything, a kill included; the list of runs; an export that is stable enough for git.
"""

from __future__ import annotations

from assay.runs.export import dump, export
from assay.runs.index import ListedRun, find, list_runs, new_id
from assay.runs.reader import read
from assay.runs.writer import Writer, create, reopen

__all__ = [
    "ListedRun",
    "Writer",
    "create",
    "dump",
    "export",
    "find",
    "list_runs",
    "new_id",
    "read",
    "reopen",
]
