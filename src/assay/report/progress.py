"""Live progress: a bar with time left on a terminal, sparse lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from assay.report.escape import one_line
from assay.report.transfers import TransferReporter
from assay.report.units import clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

STAGE_LIMIT = 72
WIDE = 100
"""Columns of a terminal that has room for a whole bar."""
EVERY_S = 10.0
"""Without a terminal, a line at most so often, besides the first and the last of a step."""


class ProgressReporter:
    """An ``assay.types.Reporter``, and ``Transfers``, that writes to ``console``, which is stderr unless one is given.

    Use it as a context, so that the bar is taken away at the end. ``now`` is a monotonic clock in seconds.
    """

    def __init__(self, console: Console | None = None, now: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console as RichConsole

        self._console = console or RichConsole(stderr=True)
        self._now = now
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._started = now()
        self._said: float | None = None
        self._last = (0, 0)
        self._before = (0, 0)
        self._transfers = TransferReporter(self._console, now)

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._bar = _bar(self._console)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away; a later step has none."""
        self._transfers.stop()
        if self._bar:
            self._bar.stop()
            self._bar = self._task = None

    def stage(self, text: str, /) -> None:
        """A new step: the bar starts anew, and those of files go."""
        self._transfers.stop()
        self._stage, self._started, self._said = one_line(text, STAGE_LIMIT), self._now(), None
        self._before = self._last
        if self._bar is None:
            self._line(self._stage)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("", total=None, stage=self._stage, count="", text="", left="")

    def progress(self, done: int, total: int, text: str = "", /) -> None:
        """``done`` of ``total`` units of the step, with the time left by the pace so far."""
        left = self.time_left(done, total)
        self._last = (done, total)
        words = one_line(text, 60)
        if self._bar is not None:
            if self._task is None:
                self.stage("")
            if self._task is not None:
                about = f"{clock(left)} left" if left else ""
                count = f"{done:,}/{total:,}"
                self._bar.update(self._task, completed=done, total=total, count=count, text=words, left=about)
            return
        now = self._now()
        if done < total and self._said is not None and now - self._said < EVERY_S:
            return
        self._said = now
        about = f", about {clock(left)} left" if left else ""
        self._line(f"{self._stage}: {done:,} of {total:,}{about}" + (f" ({words})" if words else ""))

    def note(self, text: str, /) -> None:
        """A line that stays above the bar."""
        self._line(one_line(text, 600))

    def file(self, name: str, done: int, total: int | None, /) -> None:
        """``done`` of ``total`` bytes of a file that is fetched or copied."""
        self._transfers.file(name, done, total)

    def time_left(self, done: int, total: int) -> float | None:
        """Seconds left if the rest goes at the pace of this step; None while that is unknown.

        A step may go on counting where the one before it stopped; its pace is that of its own units.
        """
        counted = done - (self._before[0] if self._before[1] == total and self._before[0] <= done else 0)
        return (self._now() - self._started) / counted * (total - done) if counted > 0 and done <= total else None

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    def column(name: str, style: str) -> TextColumn:
        shape = Column(no_wrap=True, overflow="ellipsis")
        return TextColumn("{task.fields[" + name + "]}", style=style, markup=False, table_column=shape)

    class Waited(ProgressColumn):
        """Seconds of a step of which nobody can say how long it takes."""

        def render(self, task: Task) -> Text:
            return Text("" if task.total or task.elapsed is None else clock(task.elapsed), style="cyan")

    return Progress(
        SpinnerColumn(),
        column("stage", "bold"),
        BarColumn(bar_width=28 if console.width >= WIDE else 8),
        Waited(),
        column("count", "green"),
        column("left", "cyan"),
        column("text", "dim"),
        console=console,
        transient=True,
    )
