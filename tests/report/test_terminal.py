"""The terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from assay.report import Report, print_report, terminal_text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_golden(report: Report, golden: Any, width: int) -> None:
    golden.check(f"terminal_{width}.txt", terminal_text(report, width=width, path="report.html"))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_nothing_is_wider_than_the_terminal(report: Report, hostile: Report, bare: Report, width: int) -> None:
    for made in (report, hostile, bare):
        assert max(cell_len(line) for line in terminal_text(made, width=width).splitlines()) <= width


def test_six_dimensions_at_any_width(report: Report) -> None:
    for width in (80, 100):
        text = terminal_text(report, width=width)
        for heading in ("Quality", "E2E p50", "decode", "Memory", "Disk", "Licence"):
            assert heading in text


def test_each_candidate_appears(report: Report) -> None:
    text = terminal_text(report, width=100)
    assert all(c.variant.id in text for c in report.candidates)


def test_hostile_texts_cannot_steer_the_terminal(hostile: Report) -> None:
    out = io.StringIO()
    print_report(hostile, Console(file=out, width=100, color_system=None, force_terminal=True))
    assert "\x1b[31m" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert "[bold]markup[/bold]" in out.getvalue()


def test_colours_are_used_where_there_are_some(report: Report) -> None:
    out = io.StringIO()
    print_report(report, Console(file=out, width=100, color_system="standard", force_terminal=True))
    assert "\x1b[1;32m" in out.getvalue()


def test_without_a_choice_it_says_so(bare: Report) -> None:
    text = terminal_text(bare)
    assert "not yet decided" in text
    assert "P(best)" not in text
