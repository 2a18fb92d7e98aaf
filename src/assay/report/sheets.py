"""The report as CSV: figures, raw samples, and the short table that scripts in this field write."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from assay.report.escape import spreadsheet_text
from assay.report.subject import Report
from assay.types import Sample, SimpleRow, Summary

SUMMARY_COLUMNS = (
    "run", "variant", "engine", "concurrency", "status", "reason", "licence", "licence_class", "p_best", "rejected",
    "figure", "value", "low", "high", "n", "enough",
)  # fmt: skip
SAMPLE_COLUMNS = (
    "run", "i", "variant", "engine", "prompt", "round", "phase", "concurrency", "attempt", "ttft_s", "ttfa_s", "e2e_s",
    "tpot_s", "decode_tps", "prompt_tokens", "output_tokens", "cached_tokens", "token_source", "finish", "error_kind",
    "error_status", "error_message", "text",
)  # fmt: skip

Value = str | int | float | bool | None


def to_csv(report: Report) -> str:
    """One line for each figure of each candidate and level, in base units (s, bytes, tokens/s, 0..1).

    A candidate without figures has one line with its status and reason. Unknown is an empty cell.
    """
    return _sheet(SUMMARY_COLUMNS, _summary_rows(report))


def samples_csv(report: Report) -> str:
    """One line for each raw sample, warm-up and failures included; durations in seconds."""
    return _sheet(SAMPLE_COLUMNS, (_sample_row(report.record.id, s) for s in report.run.samples))


def simple_csv(rows: Sequence[SimpleRow]) -> str:
    """The table of ``benchmark_report.md`` as CSV, unrounded."""
    headings = ("Model", "Avg Latency (s)", "p95 (s)", "Tokens/sec", "Rounds", "First Token (s)")
    cells = (
        (r.alias, r.latency_avg, r.latency_p95, r.tokens_per_sec_avg, r.rounds, r.first_token_latency_avg) for r in rows
    )
    return _sheet(headings, cells)


def _summary_rows(report: Report) -> Iterable[tuple[Value, ...]]:
    for candidate in report.candidates:
        verdict = report.verdict(candidate.key)
        licence = candidate.variant.licence
        own = [s for s in report.summaries if s.key == candidate.key]
        summaries: list[Summary | None] = [*sorted(own, key=lambda s: s.concurrency)] if own else [None]
        for summary in summaries:
            level = summary.concurrency if summary else None
            head = (
                report.record.id,
                candidate.variant.id,
                candidate.engine,
                level,
                summary.status if summary else candidate.status,
                (summary.reason if summary else None) or candidate.reason,
                licence,
                report.licence_class(licence),
                verdict.p_best if verdict and level == report.level else None,
                "; ".join(verdict.rejected) if verdict else None,
            )
            figures = summary.figures if summary else {}
            for name, f in figures.items():
                yield (*head, name, f.value, f.low, f.high, f.n, f.enough)
            if not figures:
                yield (*head, *[None] * 6)


def _sample_row(run: str, s: Sample) -> tuple[Value, ...]:
    return (
        run,
        s.i,
        s.variant,
        s.engine,
        s.prompt,
        s.round,
        s.phase,
        s.concurrency,
        s.attempt,
        s.ttft,
        s.ttfa,
        s.e2e,
        s.tpot,
        s.decode_tps,
        s.prompt_tokens,
        s.output_tokens,
        s.cached_tokens,
        s.token_source,
        s.finish,
        s.error.kind if s.error else None,
        s.error.status if s.error else None,
        s.error.message if s.error else None,
        s.text,
    )


def _sheet(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return spreadsheet_text(value) if isinstance(value, str) else str(value)
