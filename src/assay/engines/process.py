"""One worker process as its parent sees it: started, watched, told to stop, killed with its whole tree."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from typing import IO, Any, BinaryIO, cast

import psutil
from msgspec import DecodeError
from msgspec.json import decode, encode

from assay.child import spawn
from assay.engines.worker.model import Spec
from assay.errors import EngineStartFailed, EngineStartKilled

LOG_LINES = 200
LOG_LINE = 4096
"""Characters of a line that are kept as one; progress bars write none that ends."""
GRACE_S = 5.0
FROM_OUTSIDE = frozenset({-signal.SIGTERM, -signal.SIGINT} | ({-signal.SIGKILL} if sys.platform != "win32" else set()))
"""Exit codes of a process that others ended; what it does wrong itself ends in other signals."""
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(4 << 20)}
"""Has glibc give large pieces back to the system at once. By itself it keeps more the larger what it was asked for was,
so that some large requests at once would leave a worker larger for good. What the user has set stays.
"""
COMMAND = (sys.executable, "-P", "-m", "assay.engines.worker")
"""``-P`` keeps the folder of the moment off the import path: a stray ``types.py`` there must break nothing."""


class WorkerProcess:
    """A worker and the thread that keeps it.

    The keeper thread starts the process and lives as long as it does, because Linux ends a child with the *thread*
    that started it (parent-death signal), not with the process. ``ready`` holds the worker's ready event.
    """

    def __init__(self, spec: Spec, command: tuple[str, ...] = COMMAND) -> None:
        self.spec = spec
        self.ready: dict[str, Any] | None = None
        self.load_ns: int | None = None
        """From just before the process was started to its ready event."""
        self.broken: str | None = None
        self.stopped = False
        self._command = command
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._failed: dict[str, Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._spawn_error: OSError | None = None
        self._spawned = threading.Event()
        self._gone = threading.Event()
        self._on_settled: Callable[[], None] = lambda: None

    async def start(self, timeout_s: float) -> None:
        """Start the process and wait until it is ready; raise ``EngineStartFailed``, and then nothing is left of it."""
        loop, settled = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by a caller that gave up waiting
                loop.call_soon_threadsafe(settled.set)

        self._on_settled = wake
        threading.Thread(target=self._keep, name=f"keep {self.spec.model}", daemon=True).start()
        try:
            async with asyncio.timeout(timeout_s):
                await settled.wait()
        except TimeoutError:
            await self._abandon()
            raise self._start_failed(f"it was not ready within {timeout_s:g} s, and was killed") from None
        except BaseException:
            await asyncio.shield(self._abandon())
            raise
        if self.ready is None:
            code = self.exit_code
            await self._abandon()
            killed = code in FROM_OUTSIDE and not self._failed
            raise self._start_failed(self._why_not_started(), EngineStartKilled if killed else EngineStartFailed)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask the worker to end, kill its whole tree after ``grace_s``, reap it. Harmless when it is gone."""
        self.stopped = self.stopped or self.exit_code is None
        await asyncio.to_thread(self._stop, grace_s)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return _exit_code(self._process) if self._process else None

    @property
    def log_tail(self) -> str:
        """The last lines that the worker wrote to stderr, a long one in pieces."""
        return "\n".join(self._log)

    def _keep(self) -> None:
        """Body of the keeper thread."""
        started = time.monotonic_ns()
        try:
            process = self._spawn()
        except OSError as error:
            self._spawn_error = error
            self._spawned.set()
            self._gone.set()
            self._on_settled()
            return
        # Beside this thread, as what the worker has forked may hold its pipes open when it is gone.
        teller = threading.Thread(target=self._read_events, args=(process.stdout, started), daemon=True)
        logger = threading.Thread(target=self._read_log, args=(process.stderr,), daemon=True)
        teller.start()
        logger.start()
        _end_group(process)
        teller.join(GRACE_S)
        logger.join(timeout=1.0)
        if process.stdin:
            with contextlib.suppress(OSError):  # what was still to be written has no reader any more
                process.stdin.close()
        self._gone.set()
        self._on_settled()

    def _spawn(self) -> subprocess.Popen[bytes]:
        environment = {**ENVIRONMENT, **os.environ}
        self._process = process = spawn(
            self._command, encode(self.spec), stderr=subprocess.PIPE, environment=environment
        )
        self._spawned.set()
        return process

    def _read_events(self, stdout: IO[bytes] | None, started: int) -> None:
        if stdout:
            with stdout:
                for line in stdout:
                    self._event(line, started)

    def _event(self, line: bytes, started: int) -> None:
        try:
            event = decode(line)
        except DecodeError:
            return
        kind = event.get("event")
        if kind == "ready":
            self.load_ns = time.monotonic_ns() - started
            self.ready = event
            self._on_settled()
        elif kind == "failed":
            self._failed = event
        elif kind == "broken":
            self.broken = event.get("reason")

    def _read_log(self, stderr: IO[bytes] | None) -> None:
        if stderr:
            with TextIOWrapper(cast("BinaryIO", stderr), "utf-8", "replace", newline="\n") as text:
                for line in iter(partial(text.readline, LOG_LINE), ""):
                    self._log.append(line.rstrip())

    async def _abandon(self) -> None:
        await asyncio.to_thread(self._stop, 0.0)

    def _stop(self, grace_s: float) -> None:
        self._spawned.wait()
        process = self._process
        if process is None:
            return
        tree = _tree(process.pid) if self.exit_code is None else []
        if grace_s > 0 and process.stdin:
            with contextlib.suppress(OSError, ValueError):
                process.stdin.write(b"stop\n")
                process.stdin.flush()
            self._gone.wait(grace_s)
        if self.exit_code is None:
            tree += _tree(process.pid)
        for one in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()  # not by ``Popen``, which would reap it
        self._gone.wait(GRACE_S)

    def _why_not_started(self) -> str:
        if self._spawn_error:
            return f"the process could not be started: {self._spawn_error}"
        if self._failed:
            return str(self._failed.get("message"))
        return f"{exit_reason(self.exit_code)} during start"

    def _start_failed(self, what: str, kind: type[EngineStartFailed] = EngineStartFailed) -> EngineStartFailed:
        failed = self._failed or {}
        tail = "\n".join(list(self._log)[-8:])
        why = failed.get("why") or (f"last lines of its log:\n{tail}" if tail else None)
        remedy = failed.get("remedy")
        return kind(f"{self.spec.variant.id} did not start: {what}", why=why, remedy=remedy)


def exit_reason(code: int | None) -> str:
    """How a process ended, by its exit code."""
    if code is not None and code < 0:
        return f"the process was ended by signal {-code}"
    return f"the process ended with exit code {code}"


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """As of ``Popen.poll``, but the process is left for its keeper to reap."""
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.returncode
    try:
        end = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # it is being reaped at this moment
        return process.wait()
    if end is None:
        return None
    return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Wait for the worker's end, kill what it has started and left (the rest of its process group), and reap it.

    Where the system has ``waitid``, it is not reaped before, so its number cannot have passed on to another group.
    """
    if sys.platform != "win32":
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:
            process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tree(pid: int) -> list[psutil.Process]:
    """The process, and what it has started."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
