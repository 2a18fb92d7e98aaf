"""The service in words: scripts find its address first, and what is not known is a dash."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from assay.report.service import config_lines, diagnosis_lines, models_lines, status_lines

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RUNNING: dict[str, Any] = {
    "kind": "running",
    "home": "/h",
    "address": "http://127.0.0.1:5273",
    "pid": 7,
    "version": "0.1.0",
    "started": "2026-01-01T10:55:00+00:00",
    "answers": True,
    "problem": None,
    "told": {"models": ["notes-4m:q8_0", "b\x1b[31m"], "running": 1, "queued": 2},
}
ROW: dict[str, Any] = {
    "id": "notes-4m:q8_0",
    "state": "ready",
    "engine": "llamacpp",
    "running": 1,
    "waiting": 0,
    "reserved": 90_000_000,
    "resident": 85_000_000,
    "idle_s": None,
    "expires_s": 90.0,
    "pinned": False,
    "problem": None,
}


def test_a_running_one() -> None:
    assert status_lines(RUNNING, NOW) == [
        "the service is running at http://127.0.0.1:5273",
        "  process 7, assay 0.1.0, up 1 h 05 min",
        "  models: notes-4m:q8_0, b\N{REPLACEMENT CHARACTER}[31m",
        "  1 request under way, 2 waiting",
    ]


def test_one_without_models_or_work() -> None:
    lines = status_lines({**RUNNING, "told": {"models": [], "running": 0, "queued": 0}}, NOW)
    assert lines[2:] == ["  no model is loaded; one is when it is asked for"]


def test_a_preload_that_is_not_up_is_told_with_its_reason() -> None:
    preload: list[dict[str, Any]] = [
        {"name": "big", "model": "big:q8_0", "problem": "it needs 9 GB\nand 1 GB is free"},
        {"name": "slow", "model": "slow:q8_0", "problem": None},
    ]
    lines = status_lines({**RUNNING, "told": {"models": [], "preload": preload}}, NOW)
    assert lines[3:] == ["  big was to be preloaded and is not up: it needs 9 GB and 1 GB is free"]


def test_one_that_does_not_answer() -> None:
    lines = status_lines({**RUNNING, "answers": False, "problem": "timed out", "told": {}}, NOW)
    assert lines[2:] == ["  it does not answer: timed out", "  try: assay service logs; assay service restart"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("stopped", "the service is not running"),
        ("killed", "the service is not running: it was killed"),
        ("starting", "the service is starting (process 7)"),
    ],
)
def test_one_that_is_not_there(kind: str, said: str) -> None:
    lines = status_lines({"kind": kind, "pid": 7, "problem": "why\nso"}, NOW)
    assert lines[0] == said
    assert lines[1] == "  why so"
    assert (len(lines) == 3) == (kind != "starting")


@pytest.mark.parametrize("started", [None, "yesterday"])
def test_a_start_that_is_not_known_is_a_dash(started: str | None) -> None:
    assert status_lines({**RUNNING, "started": started}, NOW)[1].endswith("up \N{EN DASH}")


def test_models_in_columns() -> None:
    head, *rows = models_lines([ROW, {**ROW, "id": "b", "resident": None, "pinned": True, "idle_s": 61.0}])
    assert head.split() == ["Model", "State", "Engine", "Memory", "Running", "Waiting", "Idle", "Expires"]
    assert rows[0].split() == [
        "notes-4m:q8_0", "ready", "llamacpp", "85.0", "MB", "1", "0", "\N{EN DASH}", "1", "min", "30", "s",
    ]  # fmt: skip
    assert rows[1].split()[-5:] == ["1", "min", "01", "s", "never"]
    assert "90.0 MB" in rows[1]


def test_what_is_not_known_of_a_model_is_a_dash() -> None:
    _, row = models_lines([{"id": "a"}])
    assert row.split() == ["a", *["\N{EN DASH}"] * 7]


def test_a_models_problem_has_a_line_of_its_own() -> None:
    told = models_lines([{**ROW, "problem": "it crashed\nbadly"}])[-1]
    assert told == "notes-4m:q8_0, the last time it was down: it crashed badly"
    told = models_lines([{**ROW, "state": "backoff", "problem": "it crashed"}])[-1]
    assert told == "notes-4m:q8_0: it crashed"
    assert models_lines([]) == ["no model is loaded"]


def test_settings_in_columns() -> None:
    values: list[dict[str, Any]] = [
        {"key": "serve.port", "value": "5273", "source": "default", "env": ["ASSAY_SERVE_PORT"]},
        {"key": "serve.memory", "value": None, "source": "default", "env": []},
    ]
    _, port, memory = config_lines(values)
    assert port.split() == ["serve.port", "5273", "default", "ASSAY_SERVE_PORT"]
    assert memory.split() == ["serve.memory", "\N{EN DASH}", "default"]


def test_a_bundle_has_every_part() -> None:
    found: dict[str, Any] = {
        "assay": "0.1.0",
        "python": "3.11.7",
        "system": "Linux",
        "packages": {"aiohttp": "3.14", "winloop": None},
        "machine": {"cpu": "A processor", "cores": 4, "memory": 8_000_000_000, "memory_available": None},
        "settings": [{"key": "serve.port", "value": "5300", "source": "/c.toml", "env": []}],
        "settings_problem": None,
        "status": RUNNING,
        "models": [ROW],
        "open_files": None,
        "log": ["2026 serving"],
        "output": [],
    }
    text = "\n".join(diagnosis_lines(found))
    for part in (
        "assay 0.1.0, Python 3.11.7, Linux", "aiohttp 3.14", "A processor, 4 cores", "8.00 GB, \N{EN DASH} available",
        "serve.port = 5300 (/c.toml)", "running at http://127.0.0.1:5273", "open files: \N{EN DASH}", "notes-4m:q8_0",
        "2026 serving", "output\n  (nothing)",
    ):  # fmt: skip
        assert part in text
    assert "winloop" not in text
    broken = {**found, "settings": [], "settings_problem": "config.toml is broken", "models": []}
    assert "config.toml is broken" in "\n".join(diagnosis_lines(broken))
