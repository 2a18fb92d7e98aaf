"""Bars of downloads: what is told without a terminal, the rate of what really came, and calls from many threads."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from assay.report.columns import shown_width
from assay.report.transfers import EVERY_S, TransferReporter


class Clock:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(text: io.StringIO) -> list[str]:
    return text.getvalue().splitlines()


def test_without_a_terminal_the_whole_is_told_now_and_then() -> None:
    out, clock = io.StringIO(), Clock()
    with TransferReporter(Console(file=out, width=200), clock) as transfers:
        transfers.file("a.gguf", 0, 2_000_000)
        clock.now = 1.0
        transfers.file("a.gguf", 1_000_000, 2_000_000)
        assert told(out) == []
        clock.now = EVERY_S
        transfers.file("a.gguf", 1_000_000, 2_000_000)
        assert "1.00 MB of 2.00 MB" in told(out)[0]
        assert "100 kB/s, about 10 s left" in told(out)[0]
        transfers.file("a.gguf", 2_000_000, 2_000_000)
    assert told(out)[-1].startswith("1 of 1 file, 2.00 MB of 2.00 MB")


def test_what_was_here_already_is_no_speed() -> None:
    clock = Clock()
    transfers = TransferReporter(Console(file=io.StringIO()), clock)
    transfers.file("here.gguf", 900, 900)
    transfers.file("resumed.gguf", 500, 1000)
    assert transfers.rate() is None
    clock.now = 2.0
    transfers.file("resumed.gguf", 600, 1000)
    assert transfers.rate() == 50.0
    assert transfers.left() == 8.0


def test_a_file_that_begins_anew_is_told_as_it_is() -> None:
    clock = Clock()
    transfers = TransferReporter(Console(file=io.StringIO()), clock)
    transfers.file("a", 80, 100)
    clock.now = 1.0
    transfers.file("a", 0, 100)
    clock.now = 2.0
    transfers.file("a", 50, 100)
    rate = transfers.rate()
    assert rate is not None
    assert 0 < rate <= 50


def test_an_unknown_size_gives_no_time_left() -> None:
    clock = Clock()
    transfers = TransferReporter(Console(file=io.StringIO()), clock)
    transfers.file("a", 0, None)
    clock.now = 1.0
    transfers.file("a", 10, None)
    assert transfers.rate() == 10.0
    assert transfers.left() is None


def test_on_a_terminal_every_file_and_the_whole_have_a_bar() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    with TransferReporter(console) as transfers:
        transfers.file("one.gguf", 10, 1000)
        transfers.file("two.gguf", 20, 1000)
        transfers.note("one.gguf: trying again")
    drawn = out.getvalue()
    for part in ("one.gguf", "two.gguf", "all files", "trying again"):
        assert part in drawn


def test_many_threads_may_tell_at_once() -> None:
    out = io.StringIO()
    with TransferReporter(Console(file=out, width=200)) as transfers, ThreadPoolExecutor(8) as threads:

        def bring(name: str) -> None:
            for done in range(201):
                transfers.file(name, done, 200)

        for number in range(8):
            threads.submit(bring, f"file {number}")
    assert told(out)[-1].startswith("8 of 8 files, 1.60 kB of 1.60 kB")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_bars_fit_the_terminal_and_tell_parts_of_one_file_apart(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    clock = Clock()
    names = [f"a-model-with-a-long-name-Q8_0-{part:05}-of-00002.gguf" for part in (1, 2)]
    with TransferReporter(console, clock) as transfers:
        for name in names:
            transfers.file(name, 0, 34_400_000_000)
        clock.now = 10.0
        for name in names:
            transfers.file(name, 1_000_000_000, 34_400_000_000)
    frames = re.split(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n", out.getvalue())
    drawn = [line.rstrip() for line in frames if line.startswith("a-")]
    assert drawn
    if width >= 60:
        assert all(any(f"{part}-of-" in line for line in drawn) for part in (1, 2))
    assert all(shown_width(line) <= width for line in drawn)
    assert "?" not in "".join(frames), "what is not known yet is not drawn"
    if width >= 80:
        assert "1.0/34.4 GB" in out.getvalue()
        assert "200 MB/s, 5 min 34 s left" in out.getvalue()
