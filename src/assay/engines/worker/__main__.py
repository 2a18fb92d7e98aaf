"""``python -m assay.engines.worker``: load one model and serve it until told to stop or the parent is gone.

stdin: the ``Spec`` as one line of JSON, then ``stop`` to end in good order; its end of file means that the parent has
died, and ends the process at once. stdout: one JSON object a line, ``ready`` or ``failed`` or ``broken``. What engines
print goes to stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO, cast

from aiohttp import web
from msgspec.json import decode, encode

from assay.engines.worker.model import Model, Spec
from assay.engines.worker.server import Service
from assay.errors import AssayError

FAILED = 3
ORPHANED = 4
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the worker; the exit code is 0 after ``stop``, 3 when the model could not be loaded."""
    events = _take_stdout()
    _die_with_parent()
    spec = decode(sys.stdin.buffer.readline(), type=Spec)
    worker = _Worker(spec, events)
    code = _runner()(worker.run())
    sys.stderr.flush()
    os._exit(code)  # engines' own destructors may hang or crash; everything that matters is closed by now


class _Worker:
    def __init__(self, spec: Spec, events: BinaryIO) -> None:
        self._spec = spec
        self._events = events
        self._stop = asyncio.Event()
        self._service = Service(spec, lambda reason: self._tell({"event": "broken", "reason": reason}))

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._watch_stdin(loop)
        runner = web.AppRunner(self._service.application(), handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
        await site.start()
        try:
            model = await asyncio.to_thread(_open, self._spec)
        except Exception as error:
            traceback.print_exc()
            self._tell({"event": "failed", **_told(error)})
            return FAILED
        self._service.model = model
        self._take_signals(loop)
        self._tell(_ready(model, runner.addresses[0][1]))
        await self._stop.wait()
        await runner.cleanup()
        await asyncio.to_thread(model.close)
        return 0

    def _take_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        # After loading: some engines install handlers of their own, which would stop them under our feet.
        if sys.platform != "win32":
            loop.add_signal_handler(signal.SIGTERM, self._stop.set)
            loop.add_signal_handler(signal.SIGINT, self._stop.set)

    def _watch_stdin(self, loop: asyncio.AbstractEventLoop) -> None:
        def watch() -> None:
            for line in sys.stdin.buffer:
                if line.strip() == b"stop":
                    loop.call_soon_threadsafe(self._stop.set)
            _end_as_orphan()

        threading.Thread(target=watch, name="parent-watch", daemon=True).start()

    def _tell(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the parent has gone; its end of stdin says so too
            self._events.write(encode(event) + b"\n")
            self._events.flush()


def _open(spec: Spec) -> Model:
    module, _, function = spec.opener.partition(":")
    return cast("Model", getattr(importlib.import_module(module), function)(spec))


def _ready(model: Model, port: int) -> dict[str, Any]:
    return {
        "event": "ready",
        "port": port,
        "version": model.version,
        "context_length": model.context_length,
        "slots": model.slots,
        "arguments": dict(model.arguments),
    }


def _told(error: Exception) -> dict[str, str | None]:
    if isinstance(error, AssayError):
        return {"message": error.message, "why": error.why, "remedy": error.remedy}
    return {"message": f"{type(error).__name__}: {error}", "why": None, "remedy": None}


def _take_stdout() -> BinaryIO:
    """Keep the pipe to the parent for events alone: whatever prints to stdout reaches stderr instead."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


def _die_with_parent() -> None:
    """Have the kernel end this process after its parent, should native code keep the stdin watch from running.

    The parent's death sends SIGHUP, and its handler is C's ``alarm(1)``, as SIGHUP is number 1: no Python runs. Within
    that second the stdin watch can end the whole process group; a plain SIGKILL would take the worker alone.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal(signal.SIGHUP, ctypes.cast(libc.alarm, ctypes.c_void_p))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGHUP)


def _end_as_orphan() -> None:
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # what the engine has started goes too
    os._exit(ORPHANED)


def _runner() -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


if __name__ == "__main__":
    sys.exit(main())
