"""Bounds of connections: how many, how long a request's head may take and be, how long a reader may read nothing.

aiohttp itself closes connections that are idle. It has no end for a head that comes a byte at a time, none for a reader
that stopped reading, and no count: those are here, in the one class of protocol that every connection gets.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from assay.serve import api_error
from assay.serve.limits import Limits
from assay.serve.refusal import INVALID, Refusal

END_OF_HEAD = b"\r\n\r\n"
LINE = 8190
"""Bytes of one line of a head."""
FIELDS = 100
"""Lines of a head."""
PARTING_S = 2.0
"""How long a client that is turned away may take to read why."""
PARTING = 64
"""Clients turned away that are waited for; further ones are cut off without that."""
SWEEP_S = 1.0
"""How often it is looked who has run out of time; sooner where a limit is short."""
BACKLOG = 1024
ACCEPT_AGAIN_S = 1.0
"""How long none is taken in after the system could not take in one."""

TOO_MANY = Refusal(
    status=503,
    code="too_many_connections",
    message="the service has as many connections as it takes",
    retry_after=1.0,
)
TOO_SLOW = Refusal(
    status=408,
    code="request_timeout",
    kind=INVALID,
    message="the request's head did not arrive in time",
)
TOO_LONG = Refusal(
    status=431,
    code="head_too_large",
    kind=INVALID,
    message="the request's head is too large",
)
PHRASES = {408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}

T = TypeVar("T")


class Waiting(Generic[T]):
    """Things that may each wait for ``seconds``; the order in which they came is the order in which they are due."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, thing: T, now: float) -> None:
        """It waits from ``now`` on, whatever it did before."""
        self._since.pop(thing, None)
        self._since[thing] = now

    def drop(self, thing: T) -> None:
        """It no longer waits; no error where it did not."""
        self._since.pop(thing, None)

    def due(self, now: float) -> Iterator[T]:
        """Those whose time is up, each taken out."""
        while self._since:
            first = next(iter(self._since))
            if now < self._since[first] + self.seconds:
                return
            del self._since[first]
            yield first


class Connections:
    """Every connection of a service, and the clock that ends what takes too long."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self.heads: Waiting[Connection] = Waiting(limits.read_s)
        self.readers: Waiting[Connection] = Waiting(limits.write_s)
        self.partings: Waiting[Connection] = Waiting(PARTING_S)
        self._open: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._every = max(0.01, min(SWEEP_S, limits.read_s / 4, limits.write_s / 4))

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Count it in, where that was not done; False where there are as many as may be."""
        if connection not in self._open and len(self._open) >= self.limits.connections:
            return False
        self._open.add(connection)
        self.partings.drop(connection)
        return True

    def wait_for_parting(self, connection: Connection) -> bool:
        """Give it time to read why it is turned away; False where as many have that as may."""
        if len(self.partings) >= PARTING:
            return False
        self.watch(self.partings, connection)
        return True

    def forget(self, connection: Connection) -> None:
        """It is gone."""
        self._open.discard(connection)
        for waiting in (self.heads, self.readers, self.partings):
            waiting.drop(connection)

    def watch(self, waiting: Waiting[Connection], connection: Connection) -> None:
        """Let it wait there, and see to it that somebody looks."""
        loop = asyncio.get_running_loop()
        waiting.add(connection, self._clock())
        if self._timer is None:
            self._timer = loop.call_later(self._every, self._sweep, loop)

    def cut_strangers(self) -> None:
        """Wait no longer for clients that were turned away, or have not shaken hands."""
        for connection in [*self.partings.due(math.inf), *(one for one in self._open if one.is_stranger)]:
            connection.cut()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._clock()
        try:
            for connection in self.heads.due(now):
                connection.part(TOO_SLOW)
            for connection in self.readers.due(now):
                if connection.has_read():
                    self.readers.add(connection, now)
                else:
                    connection.cut()
            for connection in self.partings.due(now):
                connection.cut()
        finally:
            left = len(self.heads) + len(self.readers) + len(self.partings)
            self._timer = loop.call_later(self._every, self._sweep, loop) if left else None


class Connection(web.RequestHandler):
    """One connection. The gate tells it when a request ``begin``s and ``end``s: between them nothing is a head."""

    def __init__(self, server: web.Server, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=connections.limits.idle_s,
            access_log=None,  # type: ignore[arg-type] # aiohttp takes it so; requests are told of by the door
            max_line_size=LINE,
            max_field_size=LINE,
            max_headers=FIELDS,
            auto_decompress=False,  # no packed body is taken, and none may grow here until it is refused
        )
        self._connections = connections
        self._wire: asyncio.Transport | None = None
        self._handshake: asyncio.Task[object] | None = None
        self._admitted = False
        self._parted = False
        self._busy = False
        self._size = 0
        self._tail = b""
        self._unsent = 0

    @property
    def is_stranger(self) -> bool:
        """Whether it has not shaken hands."""
        return self._wire is None

    def shake_hands(self, line: socket.socket, tls: ssl.SSLContext) -> None:
        """Speak TLS on ``line``. It counts from now on; of those that are too many, a few get as far as to be told."""
        if not self._connections.admit(self) and not self._connections.wait_for_parting(self):
            line.close()
            return
        most_s = self._connections.limits.handshake_s
        shaking = self._loop.connect_accepted_socket(lambda: self, line, ssl=tls, ssl_handshake_timeout=most_s)
        self._handshake = self._loop.create_task(shaking)
        self._handshake.add_done_callback(lambda task: self._has_shaken(task, line))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it in, or tell it that there are too many."""
        self._wire = cast(asyncio.Transport, transport)
        self._admitted = self._connections.admit(self)
        if self._admitted:
            super().connection_made(transport)
        else:
            self.part(TOO_MANY)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._connections.forget(self)
        if self._admitted:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Look at a head's size and time, then let aiohttp have the bytes."""
        if self._parted or (not self._busy and not self._is_head_short(data)):
            return
        super().data_received(data)

    def pause_writing(self) -> None:
        """The reader has fallen behind."""
        super().pause_writing()
        self._unsent = self._waits_to_be_sent()
        self._connections.watch(self._connections.readers, self)

    def resume_writing(self) -> None:
        """The reader has caught up."""
        super().resume_writing()
        self._connections.readers.drop(self)

    def has_read(self) -> bool:
        """Whether the reader has taken some of the answer since this was asked last, or since it fell behind."""
        before, self._unsent = self._unsent, self._waits_to_be_sent()
        return self._unsent < before

    def begin(self) -> None:
        """A request's head is whole."""
        self._busy = True
        self._connections.heads.drop(self)

    def end(self, *, whole: bool) -> None:
        """The request is over; unless its body has come ``whole``, what follows is the rest of that."""
        self._busy = not whole
        self._size, self._tail = 0, b""

    def part(self, refusal: Refusal) -> None:
        """Say why and close; what the client sends still is read and dropped, so that it can read the answer."""
        wire, connections = self._wire, self._connections
        if wire is None or self._parted:
            return
        self._parted = True
        connections.heads.drop(self)
        wire.write(_farewell(refusal))
        if self._admitted:
            self.close()
        if connections.wait_for_parting(self) and wire.can_write_eof():
            with suppress(OSError):  # the client has just gone
                wire.write_eof()
        else:
            wire.close()

    def cut(self) -> None:
        """Close at once."""
        if self._wire is not None:
            self._wire.abort()
        elif self._handshake is not None:
            self._handshake.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp could not make a request of (400), or a handler let through (500), as an answer of ours."""
        if status >= 500:
            self.log_exception("Error handling a request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = api_error.answer(_unreadable(status, exc, message))
        response.headers["Server"] = "assay"
        response.force_close()
        return response

    def _has_shaken(self, handshake: asyncio.Task[object], line: socket.socket) -> None:
        self._handshake = None
        if not handshake.cancelled():
            handshake.exception()  # whatever it was, the client did not come in
        if self._wire is None:
            self._connections.forget(self)
            line.close()

    def _waits_to_be_sent(self) -> int:
        return self._wire.get_write_buffer_size() if self._wire is not None else 0

    def _is_head_short(self, data: bytes) -> bool:
        if not self._size and data:
            self._connections.watch(self._connections.heads, self)
        window = self._tail + data
        end = window.find(END_OF_HEAD)
        size = self._size + (len(data) if end < 0 else end + len(END_OF_HEAD) - len(self._tail))
        if size > self._connections.limits.header:
            self.part(TOO_LONG)
            return False
        if end < 0:
            self._size, self._tail = size, window[1 - len(END_OF_HEAD) :]
        else:
            self.begin()
        return True


class Site(web.BaseSite):
    """Where a runner's application is served with bounds: an open socket, with TLS or without."""

    def __init__(
        self,
        runner: web.AppRunner,
        listening: socket.socket,
        connections: Connections,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(runner, ssl_context=tls, backlog=BACKLOG)
        self._connections = connections
        self._listening = listening
        self._accepting: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Its address as a URL."""
        host, port = self._listening.getsockname()[:2]
        return f"http{'s' if self._ssl_context else ''}://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        """Take connections from now on."""
        await super().start()
        loop, server = asyncio.get_running_loop(), self._runner.server
        if server is None:
            raise RuntimeError("the runner has been cleaned up")

        def connection() -> Connection:
            return Connection(server, self._connections, loop)

        if self._ssl_context is None:
            self._server = await loop.create_server(connection, sock=self._listening, backlog=self._backlog)
        else:
            self._listening.setblocking(False)
            self._listening.listen(self._backlog)
            self._accepting = loop.create_task(self._accept(connection, self._ssl_context))

    async def stop(self) -> None:
        """Take no more connections; those that are open are the runner's to close."""
        await super().stop()
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._listening.close()
        self._connections.cut_strangers()

    async def _accept(self, connection: Callable[[], Connection], tls: ssl.SSLContext) -> None:
        """As the loop's own servers do, but so that a connection is counted before it has shaken hands."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                line, _ = await loop.sock_accept(self._listening)
            except ConnectionError:
                pass
            except OSError as error:
                loop.call_exception_handler({"message": "no connection can be taken in", "exception": error})
                await asyncio.sleep(ACCEPT_AGAIN_S)
            else:
                connection().shake_hands(line, tls)
            await asyncio.sleep(0)  # a flood of them must not keep the loop to itself


def runner(app: web.Application, limits: Limits) -> web.AppRunner:
    """The runner for ``Site``s: a handler is cancelled when its client goes away.

    Its end comes after the service's own, which waits ``drain_s`` for answers; readers who have not got to the end of
    theirs then are waited for no longer than a worker is.
    """
    most_s = min(limits.drain_s, limits.grace_s)
    return web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=most_s)


def _unreadable(status: int, error: BaseException | None, message: str | None) -> Refusal:
    if isinstance(error, LineTooLong):
        return TOO_LONG
    if status >= 500:
        return api_error.unexpected()
    why = (message or "it cannot be read").splitlines()[0].rstrip(": ")
    return Refusal(status=status, code="bad_http", kind=INVALID, message=f"this is no HTTP request: {why}")


def _farewell(refusal: Refusal) -> bytes:
    """A whole answer, for where there is no request that it could be given to."""
    body = msgspec.json.encode(api_error.error_body(refusal))
    lines = [f"HTTP/1.1 {refusal.status} {PHRASES[refusal.status]}", "Content-Type: application/json"]
    if refusal.retry_after is not None:
        lines.append(f"Retry-After: {refusal.retry_after:.0f}")
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body
