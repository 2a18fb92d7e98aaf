"""Connections to a gated server, on the loops that a service may run on."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assay.serve import Limits
from assay.serve.gate import Gate
from assay.serve.hosts import hosts_of
from assay.serve.keys import KeyFile
from tests.serve.opened import Opened, opened

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
NEVER = 3600.0
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")


def limits(**changed: float) -> Limits:
    """Times that end no test, but for those in ``changed``."""
    never = dict.fromkeys(["read_s", "write_s", "idle_s", "handshake_s"], NEVER)
    return Limits(**{**never, "drain_s": 1.0, **changed})  # type: ignore[arg-type]


@asynccontextmanager
async def gated(bounds: Limits, **more: object) -> AsyncIterator[Opened]:
    gate = Gate(hosts=hosts_of("127.0.0.1", own=[], allowed=[]), keys=KeyFile(Path("/nowhere/keys.json")))
    async with opened(gate, bounds, **more) as service:  # type: ignore[arg-type]
        yield service


@asynccontextmanager
async def connected(
    service: Opened, sent: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=tls)
    try:
        writer.write(sent)
        yield reader, writer
    finally:
        writer.transport.abort()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Waits for the end of what the service sends, whichever way it comes."""
    try:
        async with asyncio.timeout(30):
            while await reader.read(1 << 16):
                pass
    except ConnectionError:
        pass
    return True


def run(go: Callable[[], Awaitable[None]], loops: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(go())  # type: ignore[arg-type]


def both() -> list[object]:
    """The loops that a service may run on."""
    if sys.platform == "win32":
        return [None]
    import uvloop

    return [pytest.param(None, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


LOOPS = pytest.mark.parametrize("loops", both())
Loops = Callable[[], asyncio.AbstractEventLoop] | None
