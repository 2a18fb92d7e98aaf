"""A process of ours that does one job, as its parent sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from msgspec.json import decode

from assay.errors import CompileError

LOG_LINES = 8


def run_child(
    module: str,
    job: bytes,
    on_event: Callable[[Mapping[str, Any]], None],
    *,
    what: str,
    timeout_s: float,
    environment: Mapping[str, str],
) -> None:
    """Run ``python -m module`` to its end; nothing is left of it, whatever happens.

    ``job`` goes to its stdin as one line, which then stays open: its end tells the child that this process has died.
    Each line of its stdout is one event as JSON.

    Raises:
        CompileError: it ended with an error, or was ended after ``timeout_s``; ``what`` names its work.
    """
    # A session of its own keeps Ctrl-C in the terminal away from it: this process ends it then.
    apart: dict[str, Any] = (
        {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    command = (sys.executable, "-P", "-m", module)
    pipe, late = subprocess.PIPE, threading.Event()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, env={**os.environ, **environment}, **apart
        )

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_s, end)
        timer.start()
        try:
            _talk(process, job, on_event)
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
        if late.is_set():
            raise CompileError(f"{what} was not done after {timeout_s:g} s, and was ended")
        if code != 0:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise CompileError(f"{what} failed ({how})", why=f"last lines of its log:\n{_tail(log)}")


def _talk(process: subprocess.Popen[bytes], job: bytes, on_event: Callable[[Mapping[str, Any]], None]) -> None:
    if process.stdin is None or process.stdout is None:
        return
    try:
        process.stdin.write(job + b"\n")
        process.stdin.flush()
    except OSError:
        return  # it died at once; the exit is reported as such
    for line in process.stdout:
        on_event(decode(line))


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:])
