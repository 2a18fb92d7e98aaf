"""A program at a terminal of its own, as a person sits before it: type, read, press Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

CTRL_C, CTRL_D, UP, ALT_ENTER = "\x03", "\x04", "\x1b[A", "\x1b\r"
PROMPT = ">>>"
CAP_S = 30.0
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>])")
_OWN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes the terminal the one whose Ctrl-C the program gets."""


def _sized(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables less the size of another terminal."""
    return {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}


class AtTerminal:
    """``words`` run by this Python at a terminal of ``columns``; killed at the end of the context if it still runs."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], folder: Path, columns: int = 120) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN, sys.executable, *words],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, start_new_session=True,
            env=_sized({**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **environment}),
        )  # fmt: skip
        os.close(theirs)
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._own)

    @property
    def text(self) -> str:
        """Everything that was shown, without terminal controls."""
        return _ESCAPE.sub("", self.raw).replace("\r", "")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._own, text.encode())

    def wait(self, shown: str) -> str:
        """Read until ``shown`` stands there, after what was waited for last; gives all since then."""
        end = time.monotonic() + CAP_S
        while shown not in self.text[self._seen :]:
            if not self._read() or time.monotonic() > end:
                raise AssertionError(f"{shown!r} was never shown after: {self.text[self._seen :]}")
        start = self._seen
        self._seen = self.text.index(shown, start) + len(shown)
        return self.text[start : self._seen]

    def ask(self, line: str) -> None:
        """Wait for the prompt, type ``line`` and press Enter."""
        self.wait(PROMPT)
        self.type(f"{line}\r")

    def children(self) -> list[psutil.Process]:
        """What the program has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def ended(self) -> int:
        """Read until the program has ended; its exit code."""
        end = time.monotonic() + CAP_S
        while self._read():
            assert time.monotonic() < end, f"it goes on: {self.text}"
        return self.process.wait(timeout=CAP_S)

    def _read(self) -> bool:
        """Take what has come; False at the end."""
        ready, _, _ = select.select([self._own], [], [], 1.0)
        if not ready:
            return True
        try:
            data = os.read(self._own, 65536)
        except OSError:  # how Linux tells that the other side is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)
