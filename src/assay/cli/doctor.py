"""This machine, its memory limits, the engines and why others are not there, the instrument, where things lie."""

from __future__ import annotations

import argparse

from assay import app
from assay.cli import output
from assay.report import units


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags of its own."""


def run(args: argparse.Namespace) -> int:
    """Inspect and print; 1 when no engine can run."""
    health = app.doctor(home=args.home)
    if args.output == "json":
        output.as_json(health)
    else:
        output.lines(_lines(health))
    return 0 if health.usable else 1


def _lines(health: app.Health) -> list[str]:
    here = health.machine
    lines = [f"assay {health.assay} on Python {here.python}", "", "machine"]
    facts = {
        "system": f"{here.system} {here.release} {here.arch}",
        "processor": f"{here.cpu or 'unknown'}, {here.cores} cores" + _also(here.physical_cores, " ({} physical)"),
        "memory": f"{units.size(here.memory)}, {units.size(here.memory_available)} available",
        "memory limit": units.size(here.memory_limit) if here.memory_limit else "none beyond the machine's",
        "for models": units.size(health.memory_budget),
        "GPU": ", ".join(f"{gpu.name} {units.size(gpu.memory)}" for gpu in here.gpus) or "none found",
        "governor": here.governor or "unknown",
        "load": f"{here.load_average:.2f}" if here.load_average is not None else "unknown",
    }
    lines += [f"  {name:<13} {fact}" for name, fact in facts.items()]
    lines += ["", "engines"]
    for engine in health.engines:
        state = engine.availability
        lines.append(f"  {engine.name:<18} {_state(state.ok, state.version)}  reads {', '.join(engine.formats)}")
        lines += [f"  {'':<18} why: {state.why}"] if state.why else []
        lines += [f"  {'':<18} try: {state.remedy}"] if state.remedy else []
    lines += ["", f"instrument ({health.selftest.loop})"]
    for lag in health.selftest.lags:
        lines.append(
            f"  {lag.streams:>2} streams x {lag.events_per_s:.0f} events/s: lag p50 {units.duration(lag.p50)}, "
            f"p99 {units.duration(lag.p99)}, counts {'exact' if lag.counts_exact else 'WRONG'}"
        )
    lines += [f"  {shortfall}" for shortfall in health.shortfalls]
    lines += ["", "places"] + [f"  {name:<13} {place}" for name, place in health.places.items()]
    lines += ["", "set by"] + [f"  {name:<13} {source}" for name, source in health.settings.items()]
    return lines


def _state(ok: bool, version: str | None) -> str:
    return f"present {version or ''}".strip() if ok else "not here"


def _also(value: int | None, text: str) -> str:
    return text.format(value) if value is not None else ""
