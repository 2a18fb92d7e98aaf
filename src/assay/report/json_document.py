"""The report as JSON: one stable object for programs."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, structs

from assay.report.findings import failures, notes
from assay.report.subject import Report
from assay.types import Candidate, SimpleRow, Summary

DOCUMENT_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields may come at any time."""


def to_json(report: Report, *, indent: int = 2) -> str:
    """The report as one JSON object; keys always stand in the order given here, unknown is null.

    - ``version``: of this layout; ``run``: id, name, created, finished, status, assay, workload_digest, machine_digest
    - ``choice``: the ``Choice`` as it is, or null; ``notes``: warnings in words
    - ``candidates``: for each variant on an engine ``variant, alias, engine, engine_version, status, reason, licence,
      licence_class, quantisation, format, parameters, disk, p_best, rejected, levels``; a level has ``concurrency,
      requests, failures, retries, output_tokens, figures``, and a figure ``value, low, high, n, enough`` in base units
    - ``failures``: ``label, kind, message, count, out_of, prompts``
    - ``instrument``: the self-test, or null; ``models``: rows as simple scripts print them (``alias, rounds,
      latency_avg, latency_p95, tokens_per_sec_avg, first_token_latency_avg``), and beside these ``variant, engine,
      status, reason`` and the candidate's own ``figures`` at its lowest level
    """
    return msgspec.json.format(msgspec.json.encode(document(report)), indent=indent).decode() + "\n"


def document(report: Report) -> dict[str, Any]:
    """The object that ``to_json`` writes."""
    record = report.record
    return {
        "version": DOCUMENT_VERSION,
        "run": {
            "id": record.id,
            "name": record.name,
            "created": record.created,
            "finished": record.finished,
            "status": record.status,
            "assay": record.assay,
            "workload_digest": record.workload.digest,
            "machine_digest": record.machine.digest,
        },
        "choice": _plain(report.choice) if report.choice else None,
        "notes": notes(report),
        "candidates": [_candidate(report, candidate) for candidate in report.candidates],
        "failures": [_plain(failure) for failure in failures(report)],
        "instrument": _plain(record.selftest) if record.selftest else None,
        "models": [_model(report, row) for row in report.simple],
    }


def _model(report: Report, row: SimpleRow) -> dict[str, Any]:
    key = (row.variant, row.engine)
    candidate = next((one for one in report.candidates if one.key == key), None)
    levels = sorted((s for s in report.summaries if s.key == key), key=lambda s: s.concurrency)
    return _plain(row) | {
        "status": candidate.status if candidate else None,
        "reason": candidate.reason if candidate else None,
        "figures": _figures(levels[0]) if levels else {},
    }


def _candidate(report: Report, candidate: Candidate) -> dict[str, Any]:
    variant, verdict = candidate.variant, report.verdict(candidate.key)
    return {
        "variant": variant.id,
        "alias": variant.alias,
        "engine": candidate.engine,
        "engine_version": candidate.engine_version,
        "status": candidate.status,
        "reason": candidate.reason,
        "licence": variant.licence,
        "licence_class": report.licence_class(variant.licence),
        "quantisation": variant.quantisation,
        "format": variant.format,
        "parameters": variant.parameters,
        "disk": variant.disk,
        "p_best": verdict.p_best if verdict else None,
        "rejected": list(verdict.rejected) if verdict else [],
        "levels": [_level(s) for s in report.summaries if s.key == candidate.key],
    }


def _level(summary: Summary) -> dict[str, Any]:
    return {
        "concurrency": summary.concurrency,
        "requests": summary.requests,
        "failures": summary.failures,
        "retries": summary.retries,
        "output_tokens": summary.output_tokens,
        "figures": _figures(summary),
    }


def _figures(summary: Summary) -> dict[str, Any]:
    return {name: _plain(summary.figures[name]) for name in sorted(summary.figures)}


def _plain(value: Struct) -> dict[str, Any]:
    """A struct with every field written out, also those that its own encoding would leave out."""
    plain: dict[str, Any] = msgspec.to_builtins(structs.asdict(value))
    return plain
