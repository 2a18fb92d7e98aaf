"""A small application behind the real gate and the real bounds of connections, on a port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from msgspec import Struct

from assay.serve import Limits, Refused, api_error
from assay.serve.connections import Connections, Site, runner
from assay.serve.gate import CLIENT, Gate

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answered(Struct):
    """What came back on a connection of its own."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error in OpenAI's form."""
        return str(msgspec.json.decode(self.body)["error"]["code"])


class Opened(Struct):
    """Where the application answers, and its connections."""

    port: int
    connections: Connections

    async def send(self, head: str, body: bytes = b"", tls: ssl.SSLContext | None = None) -> Answered:
        """Send the lines of ``head`` as they are and read until the service closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls)
        writer.write("\r\n".join([*head.splitlines(), "Connection: close", "", ""]).encode("latin-1") + body)
        answered = await read_answer(reader)
        writer.close()
        await writer.wait_closed()
        return answered

    async def get(self, path: str = "/", *more: str, method: str = "GET", host: str | None = None) -> Answered:
        """Ask for ``path`` with the header lines in ``more``."""
        return await self.send(
            "\n".join([f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *more])
        )


async def read_answer(reader: asyncio.StreamReader) -> Answered:
    """The next answer on a connection; its body is as long as it says."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await asyncio.wait_for(reader.readexactly(int(headers.get("content-length", 0))), 20)
    return Answered(int(first.split()[1]), headers, body)


async def who(request: web.Request) -> web.Response:
    """Says as whom the caller came in."""
    return web.Response(text=request[CLIENT])


@web.middleware
async def answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the door does with a refusal."""
    try:
        return await handler(request)
    except Refused as error:
        return api_error.answer(error.refusal)


@asynccontextmanager
async def opened(
    gate: Gate | None = None,
    limits: Limits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    routes: dict[str, Handler] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Opened]:
    """An application with ``who`` at every path, and ``routes`` before that. ``clock`` is that of its connections."""
    limits = limits or Limits(drain_s=1)
    app = web.Application(middlewares=[answers])
    if gate is not None:
        gate.attach(app)
    for path, handler in (routes or {}).items():
        app.router.add_route("*", path, handler)
    app.router.add_route("*", "/{path:.*}", who)
    connections = Connections(limits, clock)
    async with listened(app, limits, connections, tls) as port:
        yield Opened(port, connections)


@asynccontextmanager
async def listened(
    app: web.Application, limits: Limits, connections: Connections, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The application with the real bounds of connections; gives its port."""
    running = runner(app, limits)
    await running.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    try:
        await Site(running, listening, connections, tls).start()
        yield listening.getsockname()[1]
    finally:
        await running.cleanup()
        listening.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; a minute is far more than it takes."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
