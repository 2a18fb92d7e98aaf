"""The service in words: how it stands, what is loaded, what its settings are, a bundle for a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from assay.report import units
from assay.report.columns import columns
from assay.report.escape import one_line

UNKNOWN = units.UNKNOWN


def status_lines(status: Mapping[str, Any], now: datetime | None = None) -> list[str]:
    """How the service stands; the address is the first that looks like one, since scripts look for it."""
    kind = status["kind"]
    if kind in {"stopped", "killed", "starting"}:
        said = {
            "stopped": "the service is not running",
            "killed": "the service is not running: it was killed",
            "starting": f"the service is starting (process {status.get('pid')})",
        }[kind]
        problem = status.get("problem")
        return [said, *([f"  {one_line(problem)}"] if problem else []), *_try(kind)]
    lines = [f"the service is {kind} at {status['address']}"]
    started = status.get("started")
    uptime = _since(started, now or datetime.now(UTC)) if started else None
    lines.append(
        f"  process {status['pid']}, assay {status.get('version') or UNKNOWN}, "
        f"up {units.clock(uptime) if uptime is not None else UNKNOWN}"
    )
    if not status.get("answers"):
        return [*lines, f"  it does not answer: {one_line(status.get('problem') or '')}", *_try("mute")]
    told = status.get("told") or {}
    names = ", ".join(one_line(str(name)) for name in told.get("models") or [])
    lines.append(f"  models: {names}" if names else "  no model is loaded; one is when it is asked for")
    lines += [f"  {line}" for line in preload_lines(told.get("preload") or [])]
    running, queued = _whole(told, "running"), _whole(told, "queued")
    if running or queued:
        lines.append(f"  {units.plural(running or 0, 'request')} under way, {units.count(queued)} waiting")
    return lines


def preload_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why models that were to be loaded at once are not up, a line each; nothing of those that are on their way."""
    return [
        f"{one_line(str(row['name']))} was to be preloaded and is not up: {one_line(str(row['problem']))}"
        for row in rows
        if row["problem"]
    ]


def models_lines(rows: Sequence[Mapping[str, Any]], *, width: int | None = None) -> list[str]:
    """What is loaded or about to be, a line each; a dash is what is not known."""
    if not rows:
        return ["no model is loaded"]
    head = ("Model", "State", "Engine", "Memory", "Running", "Waiting", "Idle", "Expires")
    cells = [
        (
            one_line(_name(row)),
            str(row.get("state") or UNKNOWN),
            str(row.get("engine") or UNKNOWN),
            units.size(_number(row, "resident", "reserved")),
            units.count(_whole(row, "running")),
            units.count(_whole(row, "waiting")),
            _time(row, "idle_s"),
            "never" if row.get("pinned") else _time(row, "expires_s"),
        )
        for row in rows
    ]
    problems = [
        f"{one_line(_name(row))}{', the last time it was down' if row.get('state') == 'ready' else ''}: "
        f"{one_line(str(row['problem']))}"
        for row in rows
        if row.get("problem")
    ]
    return [*columns(head, cells, right=(3, 4, 5, 6, 7), width=width), *problems]


def config_lines(values: Iterable[Mapping[str, Any]], *, width: int | None = None) -> list[str]:
    """Every setting, its value, where that comes from."""
    rows = [(str(v["key"]), _text(v["value"]), str(v["source"]), ", ".join(v["env"])) for v in values]
    return columns(("Setting", "Value", "From", "Variable"), rows, width=width)


def diagnosis_lines(found: Mapping[str, Any]) -> list[str]:
    """The bundle as text, a section each."""
    machine = found["machine"]
    lines = [f"assay {found['assay']}, Python {found['python']}, {found['system']}"]
    lines.append(", ".join(f"{name} {version}" for name, version in found["packages"].items() if version))
    lines += ["", "machine"]
    lines.append(f"  {machine.get('cpu') or 'unknown processor'}, {machine.get('cores') or UNKNOWN} cores")
    lines.append(
        f"  memory {units.size(machine.get('memory'))}, {units.size(machine.get('memory_available'))} available"
    )
    lines += ["", "settings that are not defaults"]
    lines += [f"  {one_line(found['settings_problem'])}"] if found["settings_problem"] else []
    lines += [f"  {v['key']} = {_text(v['value'])} ({v['source']})" for v in found["settings"]]
    lines += ["", "service", *(f"  {line}" for line in status_lines(found["status"]))]
    lines += [f"  open files: {units.count(found['open_files'])}"]
    if found["models"]:
        lines += ["", "models", *(f"  {line}" for line in models_lines(found["models"]))]
    for title, key in (("log", "log"), ("output", "output")):
        lines += ["", title, *(f"  {one_line(line)}" for line in found[key] or ["(nothing)"])]
    return lines


def _try(kind: str) -> list[str]:
    return {
        "stopped": ["  try: assay service start"],
        "killed": ["  try: assay service start; assay service logs tells what it did last"],
        "mute": ["  try: assay service logs; assay service restart"],
    }.get(kind, [])


def _since(started: str, now: datetime) -> float | None:
    try:
        return max(0.0, (now - datetime.fromisoformat(started)).total_seconds())
    except (TypeError, ValueError):
        return None


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("id") or UNKNOWN)


def _number(row: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _whole(row: Mapping[str, Any], name: str) -> int | None:
    value = _number(row, name)
    return round(value) if value is not None else None


def _time(row: Mapping[str, Any], name: str) -> str:
    value = _number(row, name)
    return units.clock(value) if value is not None else UNKNOWN


def _text(value: Any) -> str:
    return UNKNOWN if value in (None, "") else str(value)
