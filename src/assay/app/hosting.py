"""What stands around a service, whatever it serves: one for each home, an address, its state, signals, an end.

In: options and a function that makes the service. Out: a process that answers, tells where, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import ssl
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from aiohttp import web
from msgspec import structs

from assay import __version__
from assay.app import loop
from assay.app.port import listen
from assay.app.serve_options import ServeOptions
from assay.errors import AssayError
from assay.serve import Refusal, Refused, api_error
from assay.serve.event_log import EventLog
from assay.serve.keys import ONLY_OWN, is_secret, presented
from assay.serve.place import Held, Place, ServiceState
from assay.serve.refusal import INVALID
from assay.serve.tls import tls_context

STOP = "/assay/stop"
"""Ends the service for its own user: ``POST {"now": true}`` does not wait for answers under way."""


@dataclass(frozen=True)
class Ground:
    """What a service is made on. ``admin_key`` lets this user's own commands in."""

    options: ServeOptions
    log: EventLog
    admin_key: str


class Inner(Protocol):
    """The service proper."""

    @property
    def runner(self) -> web.AppRunner:
        """Answers requests; not yet set up."""
        ...

    def site(self, listening: socket.socket, tls: ssl.SSLContext | None) -> web.BaseSite:
        """Where ``runner`` is reached, once that is set up."""
        ...

    async def begin(self) -> None:
        """Bring up what is to be there from the first; it answers meanwhile. Cancelled when the service ends."""
        ...

    async def drain(self) -> bool:
        """Take no more requests and wait for those under way; whether all of them ended by themselves.

        It may be cancelled: then ``close`` comes at once.
        """
        ...

    async def close(self) -> None:
        """End every process of its own."""
        ...

    def reload(self) -> None:
        """Read again what may have changed on disk, such as keys."""
        ...


Make = Callable[[Ground], Awaitable[Inner]]


def host(
    options: ServeOptions,
    make: Make,
    *,
    echo: Callable[[str], None] | None = None,
    on_ready: Callable[[ServiceState], None] | None = None,
) -> bool:
    """Serve until told to stop; whether every answer under way ended by itself.

    ``echo`` hears the lines of the log and must not wait for a reader. SIGINT and SIGTERM drain, a second one ends at
    once; SIGHUP reloads.

    Raises:
        ServiceRunning: one serves this home. PortTaken: another program has the port. BadInput: host or TLS files.
        AssayError: what ``make`` raises.
    """
    settings = options.settings
    place, cert = Place(settings.home), settings.serve_tls_cert
    with place.take() as held:
        tls = tls_context(cert, settings.serve_tls_key) if cert is not None else None
        with contextlib.closing(listen(settings.serve_host, settings.serve_port)) as listening:
            log = EventLog(place.log, echo=echo)
            with contextlib.closing(log), _heard(log):
                hosted = _Hosted(options, held, listening, log, tls)
                try:
                    return loop.run(lambda: hosted.run(make, on_ready))
                except AssayError as error:
                    log.say("failed", why=error.sentence)
                    raise


class _Hosted:
    """One service from its first moment to its last."""

    def __init__(
        self, options: ServeOptions, held: Held, listening: socket.socket, log: EventLog, tls: ssl.SSLContext | None
    ) -> None:
        self._options = options
        self._held = held
        self._listening = listening
        self._log = log
        self._tls = tls
        self._inner: Inner | None = None
        self._told = asyncio.Event()
        self._hurry = asyncio.Event()
        cert = options.settings.serve_tls_cert
        self._state = ServiceState(
            pid=held.own.pid,
            created=held.own.created,
            host=options.settings.serve_host,
            port=listening.getsockname()[1],
            tls=tls is not None,
            version=__version__,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            log=str(held.place.log),
            admin_key=secrets.token_urlsafe(32),
            cert=str(cert) if cert else None,
            asked=msgspec.to_builtins(options.asked),
        )

    async def run(self, make: Make, on_ready: Callable[[ServiceState], None] | None) -> bool:
        state, log = self._state, self._log
        with _signals(self._signalled, self._reload):
            ground = Ground(self._options, log, state.admin_key)
            inner = self._inner = await make(ground)
            inner.runner.app.router.add_post(STOP, self._asked_to_stop)
            try:
                await inner.runner.setup()
                await inner.site(self._listening, self._tls).start()
                self._held.tell(state)
                log.say("serving", address=state.address, pid=state.pid, version=state.version)
                if on_ready is not None:
                    on_ready(state)
                await self._serve(inner)
                with contextlib.suppress(OSError):  # a full disk keeps nobody from stopping
                    self._held.tell(structs.replace(state, stopping=True))
                log.say("stopping")
                drained = await self._drained(inner)
            finally:
                try:
                    await inner.close()
                finally:
                    await inner.runner.cleanup()
            log.say("stopped", drained="yes" if drained else "no")
            return drained

    def _stop(self, now: bool) -> None:
        """End it; a second time, or ``now``: without waiting for answers under way."""
        if now or self._told.is_set():
            self._hurry.set()
        self._told.set()

    async def _serve(self, inner: Inner) -> None:
        beginning = asyncio.create_task(inner.begin())
        told = asyncio.create_task(self._told.wait())
        try:
            await asyncio.wait({beginning, told}, return_when=asyncio.FIRST_COMPLETED)
            if beginning.done() and (error := beginning.exception()) is not None:
                if not isinstance(error, AssayError | Refused):
                    raise error
                why = error.sentence if isinstance(error, AssayError) else str(error)
                self._log.say("preload failed", why=why)
            await told
        finally:
            for task in (beginning, told):
                task.cancel()
            await asyncio.gather(beginning, told, return_exceptions=True)

    async def _drained(self, inner: Inner) -> bool:
        drain, hurry = asyncio.create_task(inner.drain()), asyncio.create_task(self._hurry.wait())
        await asyncio.wait({drain, hurry}, return_when=asyncio.FIRST_COMPLETED)
        for task in (drain, hurry):
            task.cancel()
        await asyncio.gather(hurry, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            return await drain
        return False

    def _signalled(self, name: str) -> None:
        self._log.say("told to stop", by=name, again="yes" if self._told.is_set() else None)
        self._stop(False)

    def _reload(self) -> None:
        if self._inner is not None:
            self._log.say("reloading")
            self._inner.reload()

    async def _asked_to_stop(self, request: web.Request) -> web.Response:
        if not is_secret(presented(request.headers.get("Authorization"), ()), self._state.admin_key):
            return api_error.answer(ONLY_OWN)
        try:
            body: Any = msgspec.json.decode(await request.read() or b"{}")
        except msgspec.DecodeError:
            body = None
        now = body.get("now", False) if isinstance(body, dict) and not set(body) - {"now"} else None
        if not isinstance(now, bool) or request.content_type != "application/json":
            message = 'the body is {"now": true or false}, as application/json'
            return api_error.answer(Refusal(status=400, code="invalid_value", message=message, kind=INVALID))
        self._log.say("told to stop", by="request", now="yes" if now else None)
        asyncio.get_running_loop().call_soon(self._stop, now)
        return web.json_response({"stopping": True})


class _Warnings(logging.Handler):
    """What is warned of, in the log. Of an error only its kind and place, of a library's words only the first line of
    their pattern: the rest may quote a prompt. Ours quote none.
    """

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = at = None
        if record.exc_info and record.exc_info[0] is not None:
            kind = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None
        told = record.getMessage() if record.name.startswith("assay.") else str(record.msg).partition("\n")[0]
        self._log.say("warning", by=record.name, told=told[:200], error=kind, at=at)


@contextlib.contextmanager
def _heard(log: EventLog) -> Iterator[None]:
    handler = _Warnings(log)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


@contextlib.contextmanager
def _signals(stop: Callable[[str], None], reload: Callable[[], None]) -> Iterator[None]:
    """Have signals end and reload the service, in its own loop, as long as the context lasts."""
    running = asyncio.get_running_loop()
    before = {}
    handlers: dict[str, Callable[[], None]] = {
        "SIGINT": lambda: stop("SIGINT"),
        "SIGTERM": lambda: stop("SIGTERM"),
        "SIGBREAK": lambda: stop("SIGBREAK"),
        # A terminal that is closed takes what runs in it along; without one it is the usual word for reading anew.
        "SIGHUP": (lambda: stop("SIGHUP")) if sys.stdin is not None and sys.stdin.isatty() else reload,
    }
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        if number is None:
            continue
        before[number] = signal.getsignal(number)
        if sys.platform == "win32":
            signal.signal(number, lambda *_, handler=handler: running.call_soon_threadsafe(handler))
        else:
            running.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if sys.platform != "win32":
                running.remove_signal_handler(number)
            signal.signal(number, earlier)
