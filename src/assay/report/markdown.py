"""The report as Markdown, and the short form that scripts in this field write as ``benchmark_report.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assay.report.dimensions import Cell, Table, dimensions
from assay.report.escape import markdown_text, one_line
from assay.report.findings import failures, notes, rejections
from assay.report.outliers import RULE, prompt_latencies
from assay.report.provenance import engine_rows, lag_rows, machine_facts, run_facts, workload_facts
from assay.report.subject import Report
from assay.report.units import UNKNOWN, duration, number
from assay.report.wording import day, policy_facts
from assay.types import SimpleRow

TEXT_LIMIT = 600
"""Characters of one foreign text; the JSON form has all of it."""


def to_markdown(report: Report) -> str:
    """The whole report but charts and answers; every foreign text is escaped and on one line."""
    parts = [
        [f"# {markdown_text(report.sentence, 400)}"],
        _facts(policy_facts(report)),
        [f"> {markdown_text(note, TEXT_LIMIT)}" for note in notes(report)],
        ["## Six dimensions"],
        *_dimensions(dimensions(report)),
        _rejected(report),
        _failed(report),
        _outliers(report),
        ["## Workload", "", *_facts(workload_facts(report))],
        ["## Machine", "", *_facts(machine_facts(report))],
        ["## Engines", "", *_engines(report)],
        ["## The instrument's own error", "", *_instrument(report)],
        ["## This run", "", *_facts([("Date", day(report.record.created)), *run_facts(report)])],
        ["```", one_line(report.bench_command, 2_000).replace("```", ""), one_line(report.report_command), "```"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def simple_markdown(rows: Sequence[SimpleRow], title: str = "Benchmark report") -> str:
    """``benchmark_report.md`` as scripts in this field write it: one table in seconds, then highlights."""
    headings = ("Model", "Avg Latency (s)", "p95 (s)", "Tokens/sec", "Rounds", "First Token (s)")
    table = _table(
        headings,
        [
            (
                markdown_text(row.alias),
                number(row.latency_avg),
                number(row.latency_p95),
                number(row.tokens_per_sec_avg),
                str(row.rounds),
                number(row.first_token_latency_avg),
            )
            for row in rows
        ],
        right=range(1, 6),
    )
    highlights = [
        ("Fastest", "latency_avg", min, "s on average"),
        ("Lowest p95", "latency_p95", min, "s"),
        ("Highest tokens/sec", "tokens_per_sec_avg", max, "tokens/sec"),
        ("Lowest first token", "first_token_latency_avg", min, "s"),
    ]
    found = []
    for name, field, best, unit in highlights:
        known = [(value, row.alias) for row in rows if (value := getattr(row, field)) is not None]
        if known:
            value, alias = best(known)
            found.append(f"- {name}: **{markdown_text(alias)}** ({number(value)} {unit})")
    notes = ["Tokens/sec counts prompt and output tokens over the time of the whole request."]
    body = [[f"# {markdown_text(title)}"], table, ["## Highlights", "", *(found or ["Nothing was measured."])], notes]
    return "\n\n".join("\n".join(part) for part in body) + "\n"


def _dimensions(table: Table) -> Iterable[list[str]]:
    headings = ["Candidate", *(f"{c.dimension.title}, {c.unit.name}".rstrip(", ") for c in table.columns)]
    headings[1] = "Quality"
    headings += ["Licence", "P(best)"]
    for level in table.levels:
        if len(table.levels) > 1:
            at = level.concurrency
            yield ["### 1 request at a time" if at == 1 else f"### {at} requests at once"]
        rows = [
            (
                markdown_text(row.label, 90) + (" **(chosen)**" if row.standing == "winner" else ""),
                *(_cell(cell) for cell in row.cells),
                markdown_text(row.licence, 40)
                + (f" ({markdown_text(row.licence_class)})" if row.licence_class else ""),
                row.chance,
            )
            for row in level.rows
        ]
        yield _table(headings, rows, right=(*range(1, len(table.columns) + 1), len(headings) - 1))
    few = " †: too few samples to rely on." if table.any_few else ""
    yield [f"**Bold**: best of its column. In brackets: bootstrap interval.{few} {UNKNOWN}: not measured."]


def _cell(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return text + ("†" if cell.few else "") + (f" ({cell.interval})" if cell.interval else "")


def _rejected(report: Report) -> list[str]:
    found = rejections(report)
    lines = [
        f"- **{markdown_text(r.label, 90)}**: {'; '.join(markdown_text(text, TEXT_LIMIT) for text in r.reasons)}"
        for r in found
    ]
    return ["## Rejected", "", *lines] if found else []


def _failed(report: Report) -> list[str]:
    rows = [
        (
            markdown_text(f.label, 90),
            "failed" if f.kind == "candidate" else markdown_text(f.kind),
            f.extent,
            markdown_text(f.message, 400),
        )
        for f in failures(report)
    ]
    none = ["Every candidate started and every measured request was answered."]
    return ["## Failures", "", *(_table(("Candidate", "What", "How much", "Reason"), rows) if rows else none)]


def _outliers(report: Report) -> list[str]:
    lines = [
        f"- {markdown_text(candidate.label, 90)}: {markdown_text(p.prompt, 60)}, {duration(p.latency)}"
        + (f", {number(p.times_typical)} times its median prompt" if p.times_typical else "")
        for candidate in report.candidates
        for p in prompt_latencies(report, candidate.key, report.level)
        if p.outlier
    ]
    return ["## Prompts that stand out", "", *(lines or ["None."]), "", RULE]


def _engines(report: Report) -> list[str]:
    headings = ("Candidate", "Engine", "Format", "Parameters", "Load time", "Arguments", "Variant")
    rows = [
        (
            markdown_text(row.label, 90),
            markdown_text(row.version),
            markdown_text(row.format),
            row.parameters,
            row.load_time,
            markdown_text(row.arguments, 400),
            row.digest,
        )
        for row in engine_rows(report)
    ]
    return _table(headings, rows)


def _instrument(report: Report) -> list[str]:
    rows = [(r.streams, r.rate, r.events, r.p50, r.p99, r.worst, r.counts) for r in lag_rows(report)]
    headings = ("Streams", "Events/s each", "Events", "Lag p50", "Lag p99", "Worst", "Counts")
    return _table(headings, rows, right=range(6)) if rows else ["Not tested before this run."]


def _facts(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"- {label}: {markdown_text(text, TEXT_LIMIT)}" for label, text in rows]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """A Markdown table; cells are escaped already, and columns in ``right`` are set to the right."""
    to_right = set(right)
    rule = ["---:" if i in to_right else "---" for i in range(len(headings))]
    return ["| " + " | ".join(cells or [UNKNOWN]) + " |" for cells in ([*headings], rule, *map(list, rows))]
