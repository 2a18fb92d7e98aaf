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
    from assay.app.background import (
        ServiceStatus,
        Started,
        log_lines,
        restart_service,
        service_status,
        start_service,
        stop_service,
    )
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
    from assay.app.chat import Chat, Spoken
    from assay.app.chatting import load_in_service, open_chat, typed_lines, unload_in_service
    from assay.app.choosing import Fit, choose, compare, fits
    from assay.app.compiling import Compiled, Limits, compile_model
    from assay.app.configuring import Value, config_values, reset_config, set_config
    from assay.app.diagnosis import Diagnosis, diagnose
    from assay.app.discovery import add_to_registry, bench_finds, discover, machine_line
    from assay.app.health import EngineHealth, Health, doctor, selftest
    from assay.app.keys import ListedKey, NewKey, RevokedKey, add_key, list_keys, revoke_key
    from assay.app.models import Info, download, import_models, importable, list_models, model_info, names_in
    from assay.app.run import Run, as_policy, choose_between, load, report_form
    from assay.app.saved_chats import TypedLines
    from assay.app.serve_options import Asked, ServeOptions, options_for, wanted_service
    from assay.app.service_client import ServiceClient, ServiceState, find_service, need_service, place_of
    from assay.app.serving import serve
    from assay.app.shelf import ListedRun, list_runs, rate, rescore, stable_files, write_sheet
    from assay.app.talking import Wishes
    from assay.app.tuning import tuning_rows
    from assay.app.user_service import UserService, install_service, uninstall_service, unit_for

__all__ = [
    "Answer",
    "Asked",
    "Chat",
    "Compiled",
    "Contents",
    "Diagnosis",
    "EngineHealth",
    "Fit",
    "Health",
    "Info",
    "Kept",
    "Limits",
    "ListedKey",
    "ListedRun",
    "Move",
    "NewKey",
    "RevokedKey",
    "Run",
    "ServeOptions",
    "ServiceClient",
    "ServiceState",
    "ServiceStatus",
    "Spoken",
    "Started",
    "TypedLines",
    "UserService",
    "Value",
    "Wishes",
    "add_key",
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
    "config_values",
    "diagnose",
    "discover",
    "doctor",
    "download",
    "find_service",
    "fits",
    "import_models",
    "importable",
    "install_service",
    "list_keys",
    "list_models",
    "list_runs",
    "load",
    "load_in_service",
    "log_lines",
    "machine_line",
    "model_info",
    "move_cache",
    "names_in",
    "need_service",
    "open_chat",
    "options_for",
    "place_of",
    "prune",
    "prune_plan",
    "quickstart",
    "rate",
    "remove_models",
    "report_form",
    "rescore",
    "reset_config",
    "restart_service",
    "resume",
    "revoke_key",
    "run_model",
    "selftest",
    "serve",
    "service_status",
    "set_config",
    "stable_files",
    "start_service",
    "stop_service",
    "tuning_rows",
    "typed_lines",
    "uninstall_service",
    "unit_for",
    "unload_in_service",
    "verify_models",
    "wanted_service",
    "write_sheet",
]

_MODULES = {
    "answer": ("Answer",),
    "asking": ("run_model",),
    "chat": ("Chat", "Spoken"),
    "chatting": ("load_in_service", "open_chat", "typed_lines", "unload_in_service"),
    "saved_chats": ("TypedLines",),
    "talking": ("Wishes",),
    "tuning": ("tuning_rows",),
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
    "keys": ("ListedKey", "NewKey", "RevokedKey", "add_key", "list_keys", "revoke_key"),
    "models": ("Info", "download", "import_models", "importable", "list_models", "model_info", "names_in"),
    "run": ("Run", "as_policy", "choose_between", "load", "report_form"),
    "shelf": ("ListedRun", "list_runs", "rate", "rescore", "stable_files", "write_sheet"),
    "background": (
        "ServiceStatus",
        "Started",
        "log_lines",
        "restart_service",
        "service_status",
        "start_service",
        "stop_service",
    ),
    "configuring": (
        "Value",
        "config_values",
        "reset_config",
        "set_config",
    ),
    "diagnosis": (
        "Diagnosis",
        "diagnose",
    ),
    "serve_options": (
        "Asked",
        "ServeOptions",
        "options_for",
        "wanted_service",
    ),
    "service_client": (
        "ServiceClient",
        "ServiceState",
        "find_service",
        "need_service",
        "place_of",
    ),
    "serving": ("serve",),
    "user_service": (
        "UserService",
        "install_service",
        "uninstall_service",
        "unit_for",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
