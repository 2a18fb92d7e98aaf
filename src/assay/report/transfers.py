"""Downloads and copies as they go: a bar for each file and one for all, with rate and time left."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from assay.report.escape import one_line
from assay.report.units import clock, plural, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

NAME_LIMIT, LEAST_NAME = 44, 20
FIGURES, LEAST_FIGURES = 48, 44
"""Columns that a line's amounts, rate and time left take at most, and mostly; what is left is for name and bar."""
BAR, LEAST_BAR = 28, 8
EVERY_S = 10.0
"""Without a terminal, a line about the whole at most so often."""
WINDOW_S = 20.0
"""The rate is that of so many last seconds, so that a stall shows in it."""
WHOLE = "all files"


class TransferReporter:
    """An ``assay.types.Transfers`` that writes to ``console``, which is stderr unless one is given.

    Bars are there from the first file until ``stop``; used as a context, it stops at its end. Files that are there when
    they are first told of (``done`` equals ``total``) count as done, and not into the rate. ``now`` gives monotonic
    seconds.
    """

    def __init__(self, console: Console | None = None, now: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console as RichConsole

        self._console = console or RichConsole(stderr=True)
        self._now = now
        self._lock = threading.Lock()
        self._files: dict[str, tuple[int, int | None]] = {}
        self._first: dict[str, int] = {}
        self._moments: deque[tuple[float, int]] = deque()
        self._said: float | None = None
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bars away, and say in one line what came; nothing where there was nothing."""
        with self._lock:
            self._end()

    def file(self, name: str, done: int, total: int | None, /) -> None:
        """``done`` of ``total`` bytes of ``name``; may be called from any thread."""
        with self._lock:
            self._first.setdefault(name, done)
            self._first[name] = min(self._first[name], done)
            self._files[name] = (done, total)
            self._moments.append((self._now(), self._arrived()))
            while self._moments[0][0] < self._moments[-1][0] - WINDOW_S:
                self._moments.popleft()
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                self._draw(name, done, total)
            else:
                self._tell()

    def note(self, text: str, /) -> None:
        """A line that stays above the bars."""
        with self._lock:
            self._line(one_line(text, 600))

    def rate(self) -> float | None:
        """Bytes per second over the last seconds; None while nothing has come."""
        if len(self._moments) < 2:
            return None
        (began, before), (now, after) = self._moments[0], self._moments[-1]
        return (after - before) / (now - began) if now > began and after > before else None

    def left(self) -> float | None:
        """Seconds left at that rate; None while the rate or a file's size is unknown."""
        rate = self.rate()
        totals = [total for _, total in self._files.values()]
        if rate is None or any(total is None for total in totals):
            return None
        return sum((total or 0) - done for done, total in self._files.values()) / rate

    def _arrived(self) -> int:
        return sum(done - self._first[name] for name, (done, _) in self._files.items())

    def _summary(self) -> str:
        done = sum(done for done, _ in self._files.values())
        totals = [total for _, total in self._files.values() if total is not None]
        whole = f" of {size(sum(totals))}" if len(totals) == len(self._files) else ""
        ready = sum(total is not None and done >= total for done, total in self._files.values())
        return f"{ready} of {plural(len(self._files), 'file')}, {size(done)}{whole}{self._pace()}"

    def _pace(self) -> str:
        rate, left = self.rate(), self.left()
        told = f", {size(rate)}/s" if rate else ""
        return told + (f", about {clock(left)} left" if left and left >= 1 else "")

    def _tell(self) -> None:
        now = self._now()
        if self._said is None:
            self._said = now
        elif now - self._said >= EVERY_S:
            self._said = now
            self._line(self._summary())

    def _end(self) -> None:
        if self._bars:
            self._bars.stop()
        if self._files:
            self._line(self._summary())
        self._bars, self._said = None, None
        for kept in (self._tasks, self._files, self._first, self._moments):
            kept.clear()

    def _draw(self, name: str, done: int, total: int | None) -> None:
        if self._bars is None:
            self._bars = _bars(self._console)
            self._tasks[WHOLE] = self._bars.add_task("", name=WHOLE, total=None, pace="")
        bars = self._bars
        if name not in self._tasks:
            shown = _short(one_line(name), max(LEAST_NAME, min(NAME_LIMIT, self._console.width - LEAST_FIGURES)))
            self._tasks[name] = bars.add_task("", name=shown, total=total, pace="")
        bars.update(self._tasks[name], completed=done, total=total, visible=total is None or done < total)
        totals = [total for _, total in self._files.values()]
        bars.update(
            self._tasks[WHOLE],
            completed=sum(done for done, _ in self._files.values()),
            total=None if None in totals else sum(total or 0 for total in totals),
            pace=self._pace().removeprefix(", ").replace("about ", ""),
        )
        bars.start()

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(name: str, limit: int) -> str:
    """A name with its middle left out where it is too long: parts of one file differ at their ends."""
    end = limit - 1 - limit // 6
    return name if len(name) <= limit else f"{name[: limit - end - 1]}…{name[-end:]}"


def _bars(console: Console) -> Progress:
    """Bars in lines that never wrap: a narrow terminal has none, and the figures alone."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.table import Column

    def cell(**how: Any) -> Column:
        return Column(no_wrap=True, overflow="ellipsis", **how)

    room = console.width - FIGURES - NAME_LIMIT
    bar = (BarColumn(bar_width=min(BAR, room), table_column=cell()),) if room >= LEAST_BAR else ()
    return Progress(
        TextColumn("{task.fields[name]}", markup=False, table_column=cell()),
        *bar,
        DownloadColumn(table_column=cell(justify="right")),
        TextColumn("{task.fields[pace]}", style="cyan", markup=False, table_column=cell()),
        console=console,
        transient=True,
    )
