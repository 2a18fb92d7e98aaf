"""The table over the six dimensions as data: terminal, Markdown and HTML print the same cells."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from assay.report.subject import Report
from assay.report.units import UNKNOWN, Kind, Unit, interval, number, probability, unit_for
from assay.types import Candidate, Figure, Summary


class Dimension(Struct, frozen=True):
    """One figure of the table: its name in a summary, the heading it stands under, and which way is better."""

    figure: str
    group: str
    title: str
    kind: Kind
    better: Literal["low", "high"]


DIMENSIONS = (
    Dimension("quality", "Quality", "mean score", "share", "high"),
    Dimension("ttft_p50", "Latency", "TTFT p50", "duration", "low"),
    Dimension("e2e_p50", "Latency", "E2E p50", "duration", "low"),
    Dimension("e2e_p95", "Latency", "E2E p95", "duration", "low"),
    Dimension("decode_tps", "Throughput", "decode", "rate", "high"),
    Dimension("throughput", "Throughput", "overall", "rate", "high"),
    Dimension("peak_memory", "Memory", "peak", "bytes", "low"),
    Dimension("disk", "Disk", "files", "bytes", "low"),
)
"""Licence, the sixth dimension, is no figure and stands in the row itself."""


class Column(Struct, frozen=True):
    """A dimension and the one unit that all its cells are printed in."""

    dimension: Dimension
    unit: Unit

    @property
    def heading(self) -> str:
        """``TTFT p50, ms``."""
        return ", ".join(part for part in (self.dimension.title, self.unit.name) if part)


class Cell(Struct, frozen=True):
    """A figure as printed. ``few``: too few samples for the figure to stand unmarked; ``best`` of its level."""

    text: str
    interval: str = ""
    known: bool = True
    few: bool = False
    best: bool = False
    n: int = 0
    pad: str = ""
    """What the text lacks on the right for the decimal points of its column to stand in line."""


class Row(Struct, frozen=True, kw_only=True):
    """One candidate at one concurrency level; ``index`` is its place in the run, which decides its colour."""

    index: int
    candidate: Candidate
    cells: tuple[Cell, ...]
    licence: str
    licence_class: str | None
    chance: str
    """P(best) in words, ``rejected`` or ``failed``; empty at levels that were not decided at."""
    standing: Literal["winner", "eligible", "rejected", "failed", "undecided"]

    @property
    def label(self) -> str:
        return self.candidate.label


class Level(Struct, frozen=True):
    """The rows of one concurrency level, best chance first and failed ones last."""

    concurrency: int
    rows: tuple[Row, ...]


class Table(Struct, frozen=True):
    columns: tuple[Column, ...]
    levels: tuple[Level, ...]

    @property
    def any_few(self) -> bool:
        return any(cell.few for level in self.levels for row in level.rows for cell in row.cells)


def dimensions(report: Report) -> Table:
    """The six dimensions of every candidate at every level; a column has one unit, best values are marked per level.

    A best value is one that prints the same as the best of its column, so that ties by eye are marked alike. Figures
    with too few samples are never marked best, and nothing is where all print the same.
    """
    columns = tuple(Column(d, unit_for(d.kind, [s.value(d.figure) for s in report.summaries])) for d in DIMENSIONS)
    levels = [_level(report, columns, level) for level in report.levels]
    rows = [row for level in levels for row in level.rows]
    pads = [_decimals([row.cells[i].text for row in rows if row.cells[i].known]) for i in range(len(columns))]
    return Table(columns, tuple(Level(lv.concurrency, tuple(_padded(row, pads) for row in lv.rows)) for lv in levels))


def standing(report: Report, candidate: Candidate) -> Literal["winner", "eligible", "rejected", "failed", "undecided"]:
    """What became of a candidate, failures first."""
    verdict = report.verdict(candidate.key)
    if candidate.status == "failed":
        return "failed"
    if report.choice and report.choice.winner == candidate.key:
        return "winner"
    if verdict and verdict.rejected:
        return "rejected"
    return "eligible" if verdict and verdict.p_best is not None else "undecided"


def _level(report: Report, columns: tuple[Column, ...], level: int) -> Level:
    found = {c.key: report.summary(c.key, level) for c in report.candidates}
    best = {column: _best_text(column, list(found.values())) for column in columns}
    rows = [
        Row(
            index=index,
            candidate=candidate,
            cells=tuple(_cell(column, _figure(found[candidate.key], column), best[column]) for column in columns),
            licence=candidate.variant.licence or UNKNOWN,
            licence_class=report.licence_class(candidate.variant.licence),
            chance=_chance(report, candidate) if level == report.level else "",
            standing=standing(report, candidate),
        )
        for index, candidate in enumerate(report.candidates)
    ]
    return Level(level, tuple(sorted(rows, key=lambda row: _rank(report, row))))


def _figure(summary: Summary | None, column: Column) -> Figure | None:
    return summary.figures.get(column.dimension.figure) if summary else None


def _cell(column: Column, figure: Figure | None, best: str | None) -> Cell:
    text = number(figure.value, column.unit) if figure else UNKNOWN
    if figure is None or text == UNKNOWN:
        return Cell(UNKNOWN, known=False)
    return Cell(
        text,
        interval=interval(figure.low, figure.high, column.unit),
        few=not figure.enough,
        best=figure.enough and text == best,
        n=figure.n,
    )


def _decimals(texts: list[str]) -> int:
    return max((len(text.partition(".")[2]) for text in texts), default=0)


def _padded(row: Row, decimals: list[int]) -> Row:
    """The row with its decimal points in line: ``11.9`` lacks ``0`` beside ``6.43``, ``126`` lacks ``.00``."""

    def pad(text: str, wanted: int) -> str:
        lacking = "0" * (wanted - _decimals([text]))
        return f".{lacking}" if lacking and "." not in text else lacking

    cells = zip(row.cells, decimals, strict=True)
    return replace(row, cells=tuple(replace(c, pad=pad(c.text, wanted)) if c.known else c for c, wanted in cells))


def _best_text(column: Column, summaries: list[Summary | None]) -> str | None:
    figures = [figure for s in summaries if (figure := _figure(s, column))]
    values = [figure.value for figure in figures if figure.enough]
    if len({number(value, column.unit) for value in values}) < 2:
        return None
    return number(min(values) if column.dimension.better == "low" else max(values), column.unit)


def _chance(report: Report, candidate: Candidate) -> str:
    if candidate.status == "failed":
        return "failed"
    verdict = report.verdict(candidate.key)
    if verdict and verdict.rejected:
        return "rejected"
    return probability(verdict.p_best) if verdict else UNKNOWN


def _rank(report: Report, row: Row) -> tuple[int, float, int]:
    order = ("winner", "eligible", "undecided", "rejected", "failed").index(row.standing)
    verdict = report.verdict(row.candidate.key)
    return (order, -(verdict.p_best or 0.0) if verdict else 0.0, row.index)
