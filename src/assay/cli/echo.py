"""Lines for a stream that perhaps nobody reads: a stopped pager or terminal must hold up nothing but them."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TextIO

from assay.cli import drop
from assay.report.units import plural

MOST = 1000
"""Lines that wait for a reader."""
_PATIENCE_S = 1.0


class Echo:
    """Prints the lines it is called with, in their order, in a thread of its own; one caller at a time.

    Where ``most`` wait, further ones are left out, and the next that has room tells how many. Where nobody can read any
    more, all are.
    """

    def __init__(self, stream: TextIO, *, most: int = MOST) -> None:
        self._stream = stream
        self._most = most
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # the collector may log in its very midst
        self._left_out = 0
        self._thread = threading.Thread(target=self._print, name="echo", daemon=True)
        self._thread.start()

    def __call__(self, line: str) -> None:
        """Print it when its turn comes; never waits."""
        if not self._thread.is_alive():
            return
        if self._waiting.qsize() >= self._most:
            self._left_out += 1
            return
        self._tell_left_out()
        self._waiting.put(line)

    def close(self) -> None:
        """Wait for the lines that are read within a second; a stream that is not read then is dropped."""
        self._tell_left_out()
        self._waiting.put(None)
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            self._drop()

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._waiting.put(
                f"assay: {plural(self._left_out, 'line')} left out here: nobody read them; the log has all"
            )
            self._left_out = 0

    def _print(self) -> None:
        try:
            with self._opened() as own:
                for line in iter(self._waiting.get, None):
                    print(line, file=own, flush=True)
        except (OSError, ValueError):
            self._drop()

    def _opened(self) -> TextIO:
        """The stream anew: a print that waits keeps its file locked, and Python flushes its own stderr as it ends."""
        stream = self._stream
        return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors=stream.errors)

    def _drop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            drop(self._stream)
