"""The room that joins the stages: what ``import assay`` offers, and what the command line calls.

In: names, settings, run ids. Out: a ``Run`` with its figures, a ``Choice``, models on this machine, its state. A module
is imported when something of it is first used: a list of models needs no engine, no charts and no numbers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.app.answer import Answer
    from assay.app.asking import run_model
    from assay.app.benchmark import bench, quickstart, resume
    from assay.app.caches import (
        Contents,
        Kept,
        Move,
        cache_location,
        cached,
        move_cache,
        prune,
        prune_plan,
        remove_models,
        verify_models,
    )
    from assay.app.choosing import Fit, choose, compare, fits
    from assay.app.compiling import Compiled, Limits, compile_model
    from assay.app.discovery import add_to_registry, bench_finds, discover, machine_line
    from assay.app.health import EngineHealth, Health, doctor, selftest
    from assay.app.models import Info, download, import_models, importable, list_models, model_info, names_in
    from assay.app.run import Run, as_policy, choose_between, load, report_form
    from assay.app.shelf import ListedRun, list_runs, rate, rescore, stable_files, write_sheet

__all__ = [
    "Answer",
    "Compiled",
    "Contents",
    "EngineHealth",
    "Fit",
    "Health",
    "Info",
    "Kept",
    "Limits",
    "ListedRun",
    "Move",
    "Run",
    "add_to_registry",
    "as_policy",
    "bench",
    "bench_finds",
    "cache_location",
    "cached",
    "choose",
    "choose_between",
    "compare",
    "compile_model",
    "discover",
    "doctor",
    "download",
    "fits",
    "import_models",
    "importable",
    "list_models",
    "list_runs",
    "load",
    "machine_line",
    "model_info",
    "move_cache",
    "names_in",
    "prune",
    "prune_plan",
    "quickstart",
    "rate",
    "remove_models",
    "report_form",
    "rescore",
    "resume",
    "run_model",
    "selftest",
    "stable_files",
    "verify_models",
    "write_sheet",
]

_MODULES = {
    "answer": ("Answer",),
    "asking": ("run_model",),
    "benchmark": ("bench", "quickstart", "resume"),
    "caches": (
        "Contents",
        "Kept",
        "Move",
        "cache_location",
        "cached",
        "move_cache",
        "prune",
        "prune_plan",
        "remove_models",
        "verify_models",
    ),
    "choosing": ("Fit", "choose", "compare", "fits"),
    "compiling": ("Compiled", "Limits", "compile_model"),
    "discovery": ("add_to_registry", "bench_finds", "discover", "machine_line"),
    "health": ("EngineHealth", "Health", "doctor", "selftest"),
    "models": ("Info", "download", "import_models", "importable", "list_models", "model_info", "names_in"),
    "run": ("Run", "as_policy", "choose_between", "load", "report_form"),
    "shelf": ("ListedRun", "list_runs", "rate", "rescore", "stable_files", "write_sheet"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
