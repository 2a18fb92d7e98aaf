"""A process of ours as its parent sees it: it gets a job on stdin, tells events on stdout, and ends when it is to."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple


class Ended(NamedTuple):
    """How it ended: its exit code (negative: the signal), whether that was because its time was up, and its log."""

    code: int
    late: bool
    log: str

    @property
    def how(self) -> str:
        return f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"

    def tail(self, lines: int = 8) -> str:
        """The last lines that it wrote to stderr."""
        return "\n".join(self.log.splitlines()[-lines:])


def spawn(
    command: Sequence[str], job: bytes, *, stderr: IO[bytes] | int, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``command`` and hand it ``job`` as one line; its stdin stays open: its end says that this process has died.

    ``environment`` is added to this process's own. Raise ``OSError`` where it cannot be started.
    """
    # A session of its own keeps Ctrl-C in the terminal away from it: this process decides when it ends.
    apart: dict[str, Any] = (
        {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    pipe, own = subprocess.PIPE, {**os.environ, **environment} if environment else None
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, env=own, **apart)
    if process.stdin:
        with contextlib.suppress(OSError):  # it died at once, which its exit code tells
            process.stdin.write(job + b"\n")
            process.stdin.flush()
    return process


def run_child(
    command: Sequence[str],
    job: bytes,
    on_line: Callable[[bytes], None],
    *,
    timeout_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run ``command`` to its end, ``on_line`` taking each line of its stdout; nothing is left of it, whatever happens.

    It is ended after ``timeout_s``, and where ``on_line`` raises.
    """
    late = threading.Event()
    with tempfile.TemporaryFile() as log:
        process = spawn(command, job, stderr=log, environment=environment)

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout_s, end) if timeout_s is not None else None
        if timer is not None:
            timer.start()
        try:
            for line in process.stdout or ():
                on_line(line)
            code = process.wait()
        finally:
            if timer is not None:
                timer.cancel()
            _kill(process)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        log.seek(0)
        return Ended(code, late.is_set(), log.read().decode("utf-8", "replace"))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it has started; no error where it is gone."""
    if process.poll() is None:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
