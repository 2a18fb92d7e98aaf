"""The table over six dimensions as data."""

from __future__ import annotations

from msgspec.structs import replace

from assay.report import Report
from assay.report.dimensions import Cell, Row, dimensions
from assay.report.units import UNKNOWN
from assay.types import Figure


def cell(report: Report, variant: str, figure: str, level: int = 0) -> Cell:
    table = dimensions(report)
    at = [column.dimension.figure for column in table.columns].index(figure)
    return next(row.cells[at] for row in table.levels[level].rows if row.candidate.variant.id == variant)


def rows(report: Report) -> tuple[Row, ...]:
    return dimensions(report).levels[0].rows


def test_every_candidate_stands_in_every_level(report: Report) -> None:
    table = dimensions(report)
    assert [level.concurrency for level in table.levels] == [1, 4]
    for level in table.levels:
        assert {row.label for row in level.rows} == {c.label for c in report.candidates}


def test_the_winner_comes_first_and_the_failed_last(report: Report) -> None:
    assert [row.standing for row in rows(report)] == ["winner", "eligible", "eligible", "rejected", "failed"]
    assert [row.chance for row in rows(report)] == ["96.8%", "3.17%", "<0.1%", "rejected", "failed"]


def test_best_is_marked_once_a_column_and_the_right_way_round(report: Report) -> None:
    assert cell(report, "notes-4m:q8_0", "quality").best
    assert cell(report, "notes-0.5m:q8_0", "e2e_p50").best
    assert cell(report, "notes-0.5m:q8_0", "decode_tps").best
    assert not cell(report, "notes-4m:q8_0", "e2e_p50").best


def test_values_that_print_alike_are_marked_alike(report: Report) -> None:
    figures = {"notes-4m:int4": 0.91004, "notes-4m:q8_0": 0.91, "notes-1.5m:q8_0": 0.7, "notes-0.5m:q8_0": 0.4}
    near = replace(
        report,
        summaries=tuple(
            replace(s, figures={"quality": Figure(value=figures[s.variant.id], n=24)})
            for s in report.summaries
            if s.variant.id in figures
        ),
    )
    assert [row.cells[0].best for row in rows(near)] == [True, True, False, False, False]


def test_too_few_samples_are_marked_and_never_best(report: Report) -> None:
    few = replace(
        report,
        summaries=tuple(
            replace(s, figures={n: replace(f, enough=s.variant.id != "notes-0.5m:q8_0") for n, f in s.figures.items()})
            for s in report.summaries
        ),
    )
    assert cell(few, "notes-0.5m:q8_0", "e2e_p50").few
    assert not cell(few, "notes-0.5m:q8_0", "e2e_p50").best
    assert cell(few, "notes-1.5m:q8_0", "e2e_p50").best


def test_unknown_is_a_dash_and_never_nought(report: Report, bare: Report) -> None:
    assert cell(report, "notes-4m:int4", "peak_memory").text == UNKNOWN
    assert all(c.text == UNKNOWN and not c.known for row in rows(bare) for c in row.cells)
    assert {row.chance for row in rows(bare)} == {UNKNOWN}


def test_a_column_has_one_unit_and_its_points_in_line(report: Report) -> None:
    table = dimensions(report)
    for i in range(len(table.columns)):
        cells = [row.cells[i] for level in table.levels for row in level.rows if row.cells[i].known]
        assert len({len((c.text + c.pad).partition(".")[2]) for c in cells}) == 1


def test_the_level_decided_at_comes_first(report: Report) -> None:
    assert report.choice is not None
    policy = replace(report.choice.policy, concurrency=4)
    asked = replace(report, choice=replace(report.choice, policy=policy))
    assert [level.concurrency for level in dimensions(asked).levels] == [4, 1]
