"""The life of a worker: load one model and serve it until told to stop or the parent is gone.

stdin: the ``Spec`` as one line of JSON, then ``stop`` to end in good order; its end of file means that the parent has
died, and ends the process at once. stdout: one JSON object a line, ``ready`` or ``failed`` or ``broken``. What engines
print goes to stderr.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

from aiohttp import web
from msgspec.json import decode

from assay.engines.worker.child import end_as_orphan, failure, open_model, take_stdout, tell
from assay.engines.worker.model import Model, Spec
from assay.engines.worker.server import Service

FAILED = 3


def main() -> int:
    """Run the worker; the exit code is 0 after ``stop``, 3 when the model could not be loaded."""
    events = take_stdout()
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
            model = await asyncio.to_thread(open_model, self._spec)
        except Exception as error:
            traceback.print_exc()
            self._tell({"event": "failed", **failure(error)})
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
            end_as_orphan()

        threading.Thread(target=watch, name="parent-watch", daemon=True).start()

    def _tell(self, event: dict[str, Any]) -> None:
        tell(self._events, event)


def _ready(model: Model, port: int) -> dict[str, Any]:
    return {
        "event": "ready",
        "port": port,
        "version": model.version,
        "context_length": model.context_length,
        "slots": model.slots,
        "arguments": dict(model.arguments),
    }


def _runner() -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run
