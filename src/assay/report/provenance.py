"""Where the figures come from: the machine, the workload, the engines, the instrument."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from assay.report.subject import Report
from assay.report.units import UNKNOWN, count, duration, number, parameters, plural, size
from assay.types import NS

Facts = list[tuple[str, str]]
"""Label and text, in the order to print; an unknown fact is a dash."""


class EngineRow(Struct, frozen=True):
    """How one candidate was run."""

    index: int
    label: str
    version: str
    format: str
    parameters: str
    load_time: str
    arguments: str
    digest: str
    source: str


class LagRow(Struct, frozen=True):
    """The self-test at one level, as printed."""

    streams: str
    rate: str
    events: str
    p50: str
    p99: str
    worst: str
    counts: str


def run_facts(report: Report) -> Facts:
    record = report.record
    return [
        ("Run", record.id),
        *([("Name", record.name)] if record.name else []),
        ("Started (UTC)", record.created),
        ("Ended (UTC)", record.finished or UNKNOWN),
        ("Status", record.status),
        ("Assay", record.assay),
    ]


def machine_facts(report: Report) -> Facts:
    machine = report.record.machine
    physical = f" ({machine.physical_cores} physical)" if machine.physical_cores else ""
    gpus = [f"{gpu.name}, {size(gpu.memory)}" if gpu.memory else gpu.name for gpu in machine.gpus]
    battery = {True: "battery", False: "mains", None: UNKNOWN}[machine.on_battery]
    return [
        ("System", f"{machine.system} {machine.release}"),
        ("Architecture", machine.arch),
        ("Processor", machine.cpu or UNKNOWN),
        ("Cores", f"{machine.cores}{physical}"),
        ("Memory", size(machine.memory)),
        ("Memory free at start", size(machine.memory_available)),
        ("Memory limit", size(machine.memory_limit) if machine.memory_limit else "none"),
        ("GPU", "; ".join(gpus) or "none"),
        ("Frequency governor", machine.governor or UNKNOWN),
        ("Load average at start", UNKNOWN if machine.load_average is None else f"{machine.load_average:.2f}"),
        ("Power", battery),
        ("Python", machine.python or UNKNOWN),
    ]


def workload_facts(report: Report) -> Facts:
    work = report.record.workload
    warmup = plural(work.warmup, "warm-up round") + " before, not counted"
    levels = ", ".join(map(str, work.concurrency))
    return [
        ("Prompts", count(len(work.prompts))),
        ("Rounds", f"{work.rounds} ({warmup if work.warmup else 'no warm-up'})"),
        ("Requests at once", levels),
        ("Decoding", decoding(report)),
        ("Answers", "streamed" if work.stream else "whole, so there is no time to first text"),
        (
            "Order",
            f"shuffled with seed {work.seed}" + (", candidates interleaved" if report.record.interleaved else ""),
        ),
        ("Time limit of a request", f"{work.request_timeout_s:g} s"),
        ("Retries allowed", count(work.retries)),
        ("Workload digest", f"sha256:{work.digest[:16]}"),
    ]


def decoding(report: Report) -> str:
    """The decoding parameters that were sent: ``max_tokens 256, temperature 0``."""
    sent = report.record.workload.decoding
    parts = [f"max_tokens {sent.max_tokens}"]
    for name in ("temperature", "top_p", "top_k", "seed"):
        value = getattr(sent, name)
        if value is not None:
            parts.append(f"{name} {value:g}")
    if sent.stop:
        parts.append("stop " + json.dumps(sent.stop, ensure_ascii=False))
    return ", ".join(parts)


def engine_rows(report: Report) -> list[EngineRow]:
    rows = []
    for index, candidate in enumerate(report.candidates):
        variant = candidate.variant
        loaded = duration(candidate.load_ns / NS) if candidate.load_ns is not None else UNKNOWN
        kind = f" ({candidate.load_kind})" if candidate.load_kind and candidate.load_ns is not None else ""
        rows.append(
            EngineRow(
                index=index,
                label=candidate.label,
                version=" ".join(part for part in (candidate.engine, candidate.engine_version) if part),
                format=" ".join(part for part in (variant.format, variant.quantisation) if part),
                parameters=parameters(variant.parameters),
                load_time=loaded + kind,
                arguments=_arguments(candidate.arguments),
                digest=f"sha256:{variant.digest[:16]}",
                source=variant.source + (f" at {variant.revision}" if variant.revision else ""),
            )
        )
    return rows


def lag_rows(report: Report) -> list[LagRow]:
    """The self-test's levels; empty when the instrument was not tested."""
    selftest = report.record.selftest
    return [
        LagRow(
            streams=count(lag.streams),
            rate=number(lag.events_per_s),
            events=count(lag.events),
            p50=duration(lag.p50),
            p99=duration(lag.p99),
            worst=duration(lag.worst),
            counts="exact" if lag.counts_exact else "not exact",
        )
        for lag in (selftest.lags if selftest else ())
    ]


def _arguments(arguments: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

    return ", ".join(f"{name}={text(value)}" for name, value in sorted(arguments.items())) or "defaults"
