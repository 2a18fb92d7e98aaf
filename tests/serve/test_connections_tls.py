"""Connections that speak TLS, and those that never do."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import trustme

from assay.serve.tls import tls_context
from tests.serve.connecting import (
    LINUX,
    LOOPS,
    REQUEST,
    Loops,
    connected,
    gated,
    is_closed,
    limits,
    open_files,
    run,
)
from tests.serve.opened import Opened, read_answer, until


def tls_ends(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and that of a client who trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    both_in_one = folder / "both.pem"
    both_in_one.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return tls_context(both_in_one, None), trusting


@LINUX
@LOOPS
def test_those_that_never_shake_hands_are_bounded_like_any_other(tmp_path: Path, loops: Loops) -> None:
    own, trusting = tls_ends(tmp_path)

    async def visit(service: Opened) -> None:
        async with connected(service, REQUEST, trusting) as (reader, _):
            assert (await read_answer(reader)).status == 200
        await until(lambda: service.connections.open == 0)

    async def go() -> None:
        async with gated(limits(connections=10), tls=own) as service:
            await visit(service)
            before = open_files()
            async with AsyncExitStack() as stack:
                silent = [await stack.enter_async_context(connected(service)) for _ in range(200)]
                await until(lambda: service.connections.open == 10)
                await until(lambda: sum(reader.at_eof() or bool(reader.exception()) for reader, _ in silent) >= 126)
            await until(lambda: service.connections.open == 0)
            await until(lambda: open_files() <= before)
            await visit(service)

    run(go, loops)


@LOOPS
def test_a_handshake_that_takes_too_long_is_ended_and_so_is_one_at_the_end(tmp_path: Path, loops: Loops) -> None:
    own, _ = tls_ends(tmp_path)

    async def go() -> None:
        async with gated(limits(handshake_s=0.2), tls=own) as service, connected(service) as (silent, _):
            assert await is_closed(silent)
            await until(lambda: service.connections.open == 0)
        async with AsyncExitStack() as stack:
            async with gated(limits(), tls=own) as service:
                silent, _ = await stack.enter_async_context(connected(service))
                await until(lambda: service.connections.open == 1)
            assert await is_closed(silent)
            await until(lambda: service.connections.open == 0)

    run(go, loops)


@LOOPS
def test_over_tls_the_bounds_are_the_same(tmp_path: Path, loops: Loops) -> None:
    own, trusting = tls_ends(tmp_path)

    async def go() -> None:
        bounds = limits(connections=1, read_s=0.3)
        async with (
            gated(bounds, tls=own) as service,
            connected(service, REQUEST, trusting) as (reader, writer),
        ):
            assert (await read_answer(reader)).status == 200
            async with connected(service, b"", trusting) as (second, _):
                assert (await read_answer(second)).status == 503
                assert await is_closed(second)
            writer.write(REQUEST[:9])
            assert (await read_answer(reader)).status == 408
            assert await is_closed(reader)

    run(go, loops)
