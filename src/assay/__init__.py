"""Assay finds, runs, measures and chooses open language models on your own hardware.

import assay

run = assay.bench(["notes-0.5m", "notes-1.5m"])
print(assay.choose(run).sentence)
run.report("report.html")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.app import (
        Run,
        bench,
        choose,
        compare,
        compile_model,
        discover,
        doctor,
        download,
        import_models,
        list_models,
        load,
        model_info,
        quickstart,
        resume,
        run_model,
        selftest,
    )

__version__ = "0.1.0"

__all__ = [
    "Run",
    "bench",
    "choose",
    "compare",
    "compile_model",
    "discover",
    "doctor",
    "download",
    "import_models",
    "list_models",
    "load",
    "model_info",
    "quickstart",
    "resume",
    "run_model",
    "selftest",
]


def __getattr__(name: str) -> Any:
    # The app imports every stage; the command's help and version must not wait for that.
    if name in __all__:
        return getattr(importlib.import_module("assay.app"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
