"""Live progress."""

from __future__ import annotations

import io

from rich.console import Console

from assay.report import ProgressReporter
from assay.types import Reporter


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def plain(clock: Clock) -> tuple[ProgressReporter, io.StringIO]:
    out = io.StringIO()
    return ProgressReporter(Console(file=out, width=100, force_terminal=False), clock), out


def test_it_is_a_reporter() -> None:
    reporter: Reporter = plain(Clock())[0]
    reporter.note("hello")


def test_without_a_terminal_lines_are_sparse() -> None:
    clock = Clock()
    reporter, out = plain(clock)
    with reporter:
        reporter.stage("Measuring")
        for done in range(1, 61):
            clock.at += 1
            reporter.progress(done, 60, "notes-4m")
    lines = out.getvalue().splitlines()
    assert lines[0] == "Measuring"
    assert lines[1] == "Measuring: 1 of 60, about 59 s left (notes-4m)"
    assert lines[-1] == "Measuring: 60 of 60 (notes-4m)"
    assert len(lines) == 8


def test_time_left_goes_by_the_pace_so_far_and_is_unknown_at_first() -> None:
    clock = Clock()
    reporter, _ = plain(clock)
    reporter.stage("x")
    assert reporter.time_left(0, 10) is None
    clock.at += 30
    assert reporter.time_left(3, 10) == 70
    assert reporter.time_left(10, 10) == 0


def test_a_step_that_goes_on_counting_goes_by_its_own_pace() -> None:
    clock = Clock()
    reporter, _ = plain(clock)
    reporter.stage("slow start")
    clock.at += 100
    reporter.progress(2, 12)
    reporter.stage("the rest")
    clock.at += 4
    assert reporter.time_left(4, 12) == 16
    reporter.stage("another count")
    clock.at += 4
    assert reporter.time_left(1, 3) == 8


def test_a_stage_begins_anew() -> None:
    clock = Clock()
    reporter, out = plain(clock)
    reporter.stage("one")
    reporter.progress(1, 9)
    reporter.stage("two")
    reporter.progress(1, 9)
    assert [line.split(":")[0] for line in out.getvalue().splitlines()] == ["one", "one", "two", "two"]


def test_on_a_terminal_there_is_a_bar_that_goes_away_and_notes_that_stay() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    with ProgressReporter(console, Clock()) as reporter:
        reporter.progress(1, 4)
        reporter.stage("Measuring [bold]x[/bold]\x1b[31m")
        reporter.progress(1, 4, "text")
        reporter.note("one [red]failed[/red]")
        reporter.progress(2, 4)
    text = out.getvalue()
    assert "Measuring [bold]x[/bold]" in text
    assert "\x1b[31m" not in text
    assert "one [red]failed[/red]" in text


def test_a_step_of_unknown_length_shows_no_count() -> None:
    out = io.StringIO()
    console = Console(file=out, width=60, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    with ProgressReporter(console, Clock()) as reporter:
        reporter.stage("Loading a model")
        assert "0/" not in out.getvalue()
        reporter.progress(1, 4)
    assert "1/4" in out.getvalue()
