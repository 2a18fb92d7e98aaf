"""The service in the background: started once for each home, looked at, stopped; nothing of it is left behind.

In: flags, a home. Out: its state. Nothing here imports what serves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from assay.app.serve_options import Asked, opening_of, options_for, wanted_service
from assay.app.service_client import ServiceClient, not_running, place_of
from assay.errors import ServiceError
from assay.serve.event_log import follow, tail
from assay.serve.place import Born, Place, ServiceState, Standing
from assay.serve.preload import Preload

START_S = 60.0
"""How long a start may take until it answers: imports on a slow disk, not models."""
END_S, DRAINED_S = 15.0, 120.0
"""How long an end at once, and one that waits for answers, may take until the process itself is ended."""
_REST_S = 0.05
_TOLD = 12
"""Lines of what a failed start said."""


class ServiceStatus(Struct, frozen=True, kw_only=True):
    """How the service of a home is. ``answers`` is None where it was not asked; ``told`` is what it says of itself."""

    kind: Literal["running", "starting", "stopping", "stopped", "killed"]
    home: str
    address: str | None = None
    pid: int | None = None
    version: str | None = None
    started: str | None = None
    answers: bool | None = None
    problem: str | None = None
    told: dict[str, Any] = {}


class Started(Struct, frozen=True, kw_only=True):
    """A service that answers; ``fresh`` where this start made it, ``replaced`` is what a dead one left behind.

    ``preload`` is what a fresh one was to load at once and is not up; a load may still go on.
    """

    state: ServiceState
    fresh: bool
    replaced: str | None = None
    preload: tuple[Preload, ...] = ()


def start_service(wanted: Asked) -> Started:
    """Have the service answer, in the background; one that does already is left as it is.

    Raises:
        ServiceError: it did not come up, with what it said. BadConfig: flags that cannot be used.
    """
    place = Place(options_for(wanted).settings.home)
    before = _ended(place)
    if before.running is not None:
        return Started(state=before.running, fresh=False)
    left = None
    if before.kind == "killed":
        left = f"process {before.state.pid} was killed" if before.state is not None else before.problem
    place.make()
    process = _spawn(place, wanted)
    try:
        state = _answering(place, process)
    except BaseException:
        _put_down(process)
        raise
    if state.pid != process.pid:
        # Another start was quicker; this one's process must not come up when that service is stopped.
        _put_down(process)
        return Started(state=state, fresh=False)
    # A starter that lives on reaps the service when it ends.
    threading.Thread(target=process.wait, daemon=True, name="assay-service").start()
    return Started(state=state, fresh=True, replaced=left, preload=_judged(state))


def stop_service(
    *, home: str | Path | None = None, now: bool = False, on_wait: Callable[[], None] | None = None
) -> ServiceState:
    """End the service and wait until its process is gone; answers under way are waited for, unless ``now``.

    Raises:
        ServiceNotRunning: there is none. ServiceError: it cannot be ended.
    """
    place = place_of(home)
    standing = _settled(place)
    state = standing.running
    if state is None:
        raise not_running(standing)
    process = Born(state.pid, state.created)
    _tell(state, now)
    if on_wait is not None:
        on_wait()
    until = time.monotonic() + (END_S if now else DRAINED_S)
    while process.lives:
        if time.monotonic() > until:
            _kill(process)
        time.sleep(_REST_S)
    return state


def restart_service(*, home: str | Path | None = None) -> Started:
    """End the service, where there is one, and start it with what it was started with.

    Raises:
        ServiceError: it did not come up. BadConfig, BadInput: its settings cannot be used any more; then it goes on as
            it is.
    """
    place = place_of(home)
    standing = place.look()
    kept = standing.state.asked if standing.state is not None else None
    wanted = msgspec.convert(kept, Asked) if kept else wanted_service(home=place.home, flags={})
    opening_of(options_for(wanted))
    if standing.kind in {"running", "starting"}:
        stop_service(home=place.home)
    return start_service(wanted)


def service_status(*, home: str | Path | None = None) -> ServiceStatus:
    """How the service is; it is asked itself for at most a part of a second."""
    place = place_of(home)
    standing = place.look()
    state = standing.running
    if state is None:
        problem, killed = standing.problem, standing.state
        if killed is not None:
            problem = f"process {killed.pid}, started {killed.started}, ended without being stopped"
        return ServiceStatus(kind=standing.kind, home=str(place.home), pid=standing.pid, problem=problem)
    told: dict[str, Any] = {}
    problem = None
    try:
        told = ServiceClient(state).status()
    except ServiceError as error:
        problem = error.sentence
    return ServiceStatus(
        kind="stopping" if state.stopping else "running",
        home=str(place.home),
        address=state.address,
        pid=state.pid,
        version=state.version,
        started=state.started,
        answers=problem is None,
        problem=problem,
        told=told,
    )


def log_lines(count: int, *, on: bool = False, home: str | Path | None = None) -> Iterator[str]:
    """The last ``count`` lines of the service's log; with ``on`` also those that are written from now on, endlessly."""
    log = place_of(home).log
    yield from follow(log, last=count) if on else tail(log, count)


def _spawn(place: Place, wanted: Asked) -> subprocess.Popen[bytes]:
    apart: dict[str, Any] = (
        {
            "creationflags": getattr(subprocess, "DETACHED_PROCESS", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        }
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    command = [sys.executable, "-P", "-m", "assay.app.detached", str(place.home)]
    opener = lambda name, flags: os.open(name, flags | os.O_APPEND, 0o600)  # noqa: E731 - as ``open`` wants it
    try:
        with open(place.output, "wb", opener=opener) as output:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=wanted.folder, **apart
            )
    except OSError as error:
        raise ServiceError("the service cannot be started", why=str(error), remedy="assay serve --debug") from error
    if process.stdin:
        with contextlib.suppress(OSError):  # it died at once, which its exit code tells
            process.stdin.write(msgspec.json.encode(wanted))
            process.stdin.close()
    return process


def _put_down(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


def _answering(place: Place, process: subprocess.Popen[bytes]) -> ServiceState:
    """The state of the service once it answers: this process, or another that was quicker."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        code = process.poll()
        standing = place.look()
        state = standing.running
        if state is not None and ServiceClient(state).healthy():
            return state
        if code is not None and standing.kind not in {"running", "starting"}:
            raise _failed(place, f"it ended with exit code {code}")
        time.sleep(_REST_S)
    raise _failed(place, f"it did not answer within {START_S:.0f} s")


def _judged(state: ServiceState) -> tuple[Preload, ...]:
    """What is to be loaded at once and is not up, when each load has begun or cannot begin."""
    rows: tuple[Preload, ...] = ()
    until = time.monotonic() + START_S
    with contextlib.suppress(ServiceError):  # it may be told to stop meanwhile
        while time.monotonic() < until:
            told = ServiceClient(state).status(timeout_s=START_S)
            rows = msgspec.convert(told.get("preload", ()), tuple[Preload, ...])
            if all(row.judged for row in rows):
                break
            time.sleep(_REST_S)
    return rows


def _failed(place: Place, how: str) -> ServiceError:
    """What the process said before it ended; an error of ours keeps its own why and remedy."""
    said = [line.rstrip() for line in tail(place.output, _TOLD) if line.strip()]
    if said and said[-1].startswith("  try: "):
        start = max((n for n, line in enumerate(said) if not line.startswith("  ")), default=0)
        parts = {line[:7]: line[7:] for line in said[start + 1 :]}
        why, remedy = parts.get("  why: "), parts.get("  try: ")
        return ServiceError(f"the service did not start: {said[start]}", why=why, remedy=remedy)
    return ServiceError(
        "the service did not start",
        why="; ".join([how, *map(str.strip, said or tail(place.log, _TOLD))]),
        remedy="assay serve shows it in the foreground; assay service logs",
    )


def _ended(place: Place) -> Standing:
    """How it stands, once one that is stopping has stopped. Raise ``ServiceError`` where it does not."""
    until = time.monotonic() + DRAINED_S
    standing = place.look()
    while standing.running is not None and standing.running.stopping:
        if time.monotonic() > until:
            raise ServiceError(
                f"the service before it has been stopping for {DRAINED_S:.0f} s",
                why=f"process {standing.running.pid} has not ended",
                remedy="assay service stop --now",
            )
        time.sleep(_REST_S)
        standing = place.look()
    return standing


def _settled(place: Place) -> Standing:
    """How it stands, once one that is starting has started or failed."""
    until = time.monotonic() + START_S
    standing = place.look()
    while standing.kind == "starting" and time.monotonic() < until:
        time.sleep(_REST_S)
        standing = place.look()
    return standing


def _tell(state: ServiceState, now: bool) -> None:
    """Have it end: by a signal where a signal can be caught, else by a request."""
    process = Born(state.pid, state.created)
    try:
        if now or sys.platform == "win32":
            ServiceClient(state).stop(now=now)
        elif process.lives:
            os.kill(state.pid, signal.SIGTERM)
    except ServiceError:
        _kill(process)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise ServiceError(f"process {state.pid} is not yours to end", why=str(error), remedy="as its user") from error


def _kill(process: Born) -> None:
    """End it by force: its workers end when it does."""
    if process.lives:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
