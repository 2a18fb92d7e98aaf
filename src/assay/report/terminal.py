"""The report on a terminal: the choice, the six dimensions, what was rejected, what failed."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from assay.report.dimensions import Cell, Column, Level, Row, Table, dimensions
from assay.report.escape import one_line
from assay.report.findings import Failure, failures, notes, rejections
from assay.report.subject import Report
from assay.report.units import UNKNOWN
from assay.report.wording import policy_facts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

ROOMY, WIDE = 98, 136
"""Columns of the terminal from which intervals and TTFT are shown, and from which all figures and P(best) are."""
ALWAYS = {"quality", "e2e_p50", "decode_tps", "peak_memory", "disk"}
ROOMY_TOO = ALWAYS | {"ttft_p50"}


def print_report(report: Report, console: Console, *, path: str | None = None) -> None:
    """Print ``report``; ``path`` is where the full one lies. Needs neither colours nor a wide terminal."""
    from rich.text import Text

    console.print()
    chosen = bool(report.choice and report.choice.winner)
    console.print(Text(one_line(report.sentence), style="bold green" if chosen else "bold yellow"))
    for text in (text for label, text in policy_facts(report) if label == "How sure"):
        console.print(Text(text, style="dim"))
    _list(console, "", notes(report), "yellow", "! ")
    table = dimensions(report)
    for level in table.levels:
        console.print()
        console.print(_grid(table, level, console.width, titled=len(table.levels) > 1))
    console.print(Text(_legend(table, console.width), style="dim"))
    chances = [f"{row.label} {row.chance}" for row in table.levels[0].rows if row.standing in {"winner", "eligible"}]
    if chances and console.width < WIDE:
        _list(console, "P(best)", [", ".join(chances)], "", "")
    rejected = [f"{r.label}: {'; '.join(r.reasons)}" for r in rejections(report)]
    _list(console, "Rejected", rejected, "", "- ")
    _list(console, "Failures", map(_failure, failures(report)), "red", "- ")
    console.print()
    if path:
        console.print(Text.assemble("Report: ", (one_line(path), "bold")), soft_wrap=True)
    console.print(Text(f"Run: {one_line(report.record.id)}"), soft_wrap=True)


def terminal_text(report: Report, *, width: int = 100, path: str | None = None) -> str:
    """What ``print_report`` prints on a terminal of ``width`` columns without colours."""
    from rich.console import Console

    out = io.StringIO()
    print_report(report, Console(file=out, width=width, color_system=None, legacy_windows=False), path=path)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _grid(table: Table, level: Level, width: int, *, titled: bool) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    at = "1 request at a time" if level.concurrency == 1 else f"{level.concurrency} requests at once"
    grid = RichTable(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(at, style="bold") if titled else None,
        title_justify="left",
        show_edge=False,
    )
    shown = _shown(table.columns, width)
    grid.add_column("Candidate", overflow="fold", min_width=18, max_width=30)
    for _, column in shown:
        grid.add_column(_heading(column), justify="right", no_wrap=True)
    grid.add_column("Licence", overflow="ellipsis", no_wrap=True, max_width=14 if width >= ROOMY else 10)
    if width >= WIDE:
        grid.add_column("P(best)", justify="right", no_wrap=True)
    for row in level.rows:
        cells = (_cell(row.cells[i], roomy=width >= ROOMY) for i, _ in shown)
        licence = Text(one_line(row.licence, 40))
        if row.licence_class and width >= ROOMY:
            licence.append("\n" + one_line(row.licence_class, 40), style="dim")
        chance = [Text(row.chance)] if width >= WIDE else []
        grid.add_row(_who(row), *cells, licence, *chance, style="dim" if row.standing == "failed" else "")
    return grid


def _shown(columns: Iterable[Column], width: int) -> list[tuple[int, Column]]:
    names = ALWAYS if width < ROOMY else ROOMY_TOO
    return [(i, c) for i, c in enumerate(columns) if width >= WIDE or c.dimension.figure in names]


def _heading(column: Column) -> Text:
    from rich.text import Text

    group = column.dimension.group
    title = group if group in {"Quality", "Memory", "Disk"} else column.dimension.title
    return Text(f"{title}\n{column.unit.name}" if column.unit.name else title)


def _who(row: Row) -> Text:
    from rich.text import Text

    name = Text(one_line(row.candidate.variant.id, 60), style="bold" if row.standing == "winner" else "")
    chosen = " (chosen)" if row.standing == "winner" else ""
    return name.append(f"\n@ {one_line(row.candidate.engine, 40)}", style="dim not bold").append(chosen, style="green")


def _cell(cell: Cell, *, roomy: bool) -> Text:
    from rich.text import Text

    text = Text()
    if cell.best:
        text.append("*", style="bold green")
    text.append(cell.text, style="bold green" if cell.best else "")
    if cell.few:
        text.append("†", style="yellow")
    if roomy and cell.interval:
        text.append("\n" + cell.interval, style="dim")
    return text


def _legend(table: Table, width: int) -> str:
    """What the marks mean that were printed."""
    shown = [i for i, _ in _shown(table.columns, width)]
    cells = [row.cells[i] for level in table.levels for row in level.rows for i in shown]
    parts = [
        ("* best of its column", any(cell.best for cell in cells)),
        ("below: interval", width >= ROOMY and any(cell.interval for cell in cells)),
        ("† too few samples", any(cell.few for cell in cells)),
        (f"{UNKNOWN} not measured", not all(cell.known for cell in cells)),
    ]
    return "   ".join(text for text, used in parts if used)


def _failure(failure: Failure) -> str:
    what = "" if failure.kind == "candidate" else f"{failure.kind}, {failure.extent}: "
    return f"{failure.label}: {what}{failure.message}"


def _list(console: Console, title: str, lines: Iterable[str], style: str, lead: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    found = [one_line(line, 500) for line in lines]
    if not found:
        return
    console.print()
    if title:
        console.print(Text(title, style="bold"))
    for line in found:
        console.print(Padding(Text(lead + line, style=style), (0, 0, 0, 2 if title else 0), expand=False))
