from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import time
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from assay.serve.connections import Waiting
from assay.serve.open_files import SPARE, make_room
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
from tests.serve.opened import read_answer, until


@LINUX
@LOOPS
def test_a_thousand_idle_connections_keep_nobody_out_and_leave_nothing_behind(loops: Loops) -> None:
    async def go() -> None:
        async with gated(limits()) as service:
            before = open_files()
            async with AsyncExitStack() as stack:
                for _ in range(20):
                    batch = [stack.enter_async_context(connected(service)) for _ in range(50)]
                    for one in batch:
                        await one
                await until(lambda: service.connections.open == 1000)
                for _ in range(20):
                    assert (await service.get()).status == 200
            await until(lambda: service.connections.open == 0)
            await until(lambda: open_files() <= before)

    assert make_room(4096) >= 1100
    run(go, loops)


@LOOPS
def test_a_head_that_never_ends_is_answered_and_closed_and_others_are_served(loops: Loops) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        while not writer.transport.is_closing():
            writer.write(b"X-More: 1\r\n")
            await asyncio.sleep(0.02)

    async def go() -> None:
        async with gated(limits(read_s=0.3)) as service, AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(connected(service, REQUEST[:-2])) for _ in range(20)]
            trickles = [asyncio.create_task(trickle(writer)) for _, writer in slow]
            assert (await service.get()).status == 200
            for reader, _ in slow:
                answer = await read_answer(reader)
                assert (answer.status, answer.code) == (408, "request_timeout")
                assert await is_closed(reader)
            for task in trickles:
                task.cancel()
            await asyncio.gather(*trickles, return_exceptions=True)
            await until(lambda: service.connections.open == 0)

    run(go, loops)


@LOOPS
def test_a_client_that_leaves_at_the_end_of_its_time_leaves_the_clock_running(loops: Loops) -> None:
    async def go() -> None:
        async with gated(limits(read_s=0.3)) as service:
            leaves = socket.create_connection(("127.0.0.1", service.port))
            leaves.sendall(REQUEST[:-2])
            await until(lambda: len(service.connections.heads) == 1)
            time.sleep(0.4)  # noqa: ASYNC251 - the loop must find its time over in the very turn in which it leaves
            asyncio.get_running_loop().call_soon(leaves.close)
            await until(lambda: service.connections.open == 0)
            async with connected(service, REQUEST[:-2]) as (reader, _):
                assert (await read_answer(reader)).status == 408

    run(go, loops)


def test_a_second_head_on_a_connection_is_bounded_too() -> None:
    async def go() -> None:
        async with gated(limits(read_s=0.3)) as service, connected(service, REQUEST) as (reader, writer):
            assert (await read_answer(reader)).status == 200
            writer.write(REQUEST[:20])
            assert (await read_answer(reader)).status == 408
            assert await is_closed(reader)

    run(go)


def test_a_handler_and_a_body_may_take_longer_than_a_head() -> None:
    async def slow(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def go() -> None:
        async with gated(limits(read_s=0.1), routes={"/slow": slow}) as service:
            head = b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
            async with connected(service, head) as (reader, writer):
                for byte in b"body":
                    await asyncio.sleep(0.15)
                    writer.write(bytes([byte]))
                assert (await read_answer(reader)).body == b"body"
                writer.write(REQUEST)
                assert (await read_answer(reader)).status == 200

    run(go)


def test_a_body_after_a_head_that_came_early_is_no_head() -> None:
    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def go() -> None:
        async with gated(limits(read_s=0.1), routes={"/read": read}) as service:
            early = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
            async with connected(service, REQUEST + early) as (reader, writer):
                assert (await read_answer(reader)).status == 200
                for piece in (b"bo", b"d", b"y"):
                    await asyncio.sleep(0.15)
                    writer.write(piece)
                assert (await read_answer(reader)).body == b"body"

    run(go)


def test_the_rest_of_a_body_that_was_refused_is_no_head() -> None:
    async def go() -> None:
        async with gated(limits(), routes={"/": _unread}) as service:
            size = 1 << 20
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
            async with connected(service, head) as (reader, writer):
                assert (await read_answer(reader)).status == 413
                writer.write(b"x" * size)
                writer.write(REQUEST)
                assert (await read_answer(reader)).status == 413

    run(go)


async def _unread(_request: web.Request) -> web.Response:
    return web.Response(status=413, text="too large")


def test_an_idle_connection_is_closed_and_one_at_work_is_not() -> None:
    leave = asyncio.Event()

    async def hold(_request: web.Request) -> web.Response:
        await leave.wait()
        return web.Response(text="held")

    async def go() -> None:
        async with (
            gated(limits(idle_s=1.0), routes={"/hold": hold}) as service,
            connected(service, REQUEST.replace(b"/ ", b"/hold ", 1)) as (at_work, _),
            connected(service) as (silent, _),
            connected(service, REQUEST) as (idle, _),
        ):
            assert (await read_answer(idle)).status == 200
            assert await is_closed(idle)
            assert await is_closed(silent)
            leave.set()
            assert (await read_answer(at_work)).body == b"held"

    run(go)


def test_a_head_may_be_as_long_as_allowed_and_no_longer() -> None:
    def head(size: int) -> bytes:
        lines = [REQUEST[:-2]]
        while (left := size - sum(map(len, lines)) - 2) > 0:
            value = min(left, 4000) - len(b"X-A: \r\n")
            lines.append(b"X-A: " + b"a" * (value if left - value - 7 > 20 or left <= 4000 else value - 40) + b"\r\n")
        return b"".join(lines) + b"\r\n"

    async def go() -> None:
        async with gated(limits(header=32 << 10)) as service:
            fits, exceeds = head(32 << 10), head((32 << 10) + 1)
            assert (len(fits), len(exceeds)) == (32 << 10, (32 << 10) + 1)
            async with connected(service, fits) as (reader, writer):
                assert (await read_answer(reader)).status == 200
                writer.write(fits[:-2])
                await asyncio.sleep(0.1)
                writer.write(fits[-2:])
                assert (await read_answer(reader)).status == 200
            async with connected(service, exceeds) as (reader, _):
                answer = await read_answer(reader)
                assert (answer.status, answer.code) == (431, "head_too_large")
                assert await is_closed(reader)

    run(go)


def test_a_packed_body_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(1 << 20))

    async def size(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def go() -> None:
        async with gated(limits(), routes={"/size": size}) as service:
            head = f"POST /size HTTP/1.1\nHost: localhost\nContent-Encoding: gzip\nContent-Length: {len(packed)}"
            assert (await service.send(head, packed)).body == str(len(packed)).encode()

    run(go)


def test_a_head_that_grows_without_an_end_is_cut_off() -> None:
    async def go() -> None:
        async with gated(limits(header=16 << 10)) as service, connected(service, REQUEST[:-2]) as (reader, writer):
            for number in range(100):
                writer.write(b"X-%d: %s\r\n" % (number, b"a" * 1000))
            assert (await read_answer(reader)).status == 431
            assert await is_closed(reader)

    run(go)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nbroken\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"no http at all\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    ],
)
def test_what_is_no_request_is_answered_in_our_form_and_closed(sent: bytes, status: int) -> None:
    async def go() -> None:
        async with gated(limits()) as service, connected(service, sent) as (reader, _):
            answer = await read_answer(reader)
            assert answer.status == status
            assert answer.code in {"head_too_large", "bad_http"}
            assert await is_closed(reader)
            assert (await service.get()).status == 200

    run(go)


def test_a_fault_of_a_handler_is_told_in_our_form_without_what_it_was(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_request: web.Request) -> web.Response:
        raise RuntimeError("a secret thing")

    async def go() -> None:
        async with gated(limits(), routes={"/fails": fails}) as service:
            answer = await service.get("/fails")
            assert (answer.status, answer.code) == (500, "internal_error")
            assert b"secret" not in answer.body

    run(go)
    assert "a secret thing" in caplog.text


@LINUX
@LOOPS
def test_a_flood_is_told_and_turned_away_and_those_inside_are_served(loops: Loops) -> None:
    async def go() -> None:
        async with gated(limits(connections=10)) as service:
            before = open_files()
            async with AsyncExitStack() as stack:
                inside = [await stack.enter_async_context(connected(service)) for _ in range(10)]
                await until(lambda: service.connections.open == 10)
                told = 0
                for _ in range(200):
                    async with connected(service, REQUEST) as (reader, _):
                        try:
                            answer = await read_answer(reader)
                        except (ConnectionError, asyncio.IncompleteReadError):
                            continue
                        assert (answer.status, answer.code) == (503, "too_many_connections")
                        assert answer.headers["retry-after"] == "1"
                        told += 1
                assert told >= 64
                assert service.connections.open == 10
                for reader, writer in inside:
                    writer.write(REQUEST)
                    assert (await read_answer(reader)).status == 200
            await until(lambda: service.connections.open == 0)
            assert (await service.get()).status == 200
            await until(lambda: open_files() <= before)

    run(go, loops)


BLOCK = 1 << 16


@LOOPS
def test_a_reader_that_reads_nothing_is_cut_off(loops: Loops) -> None:
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * BLOCK)
        finally:
            ended.set()

    async def go() -> None:
        async with gated(limits(write_s=0.5), routes={"/": endless}) as service:
            with socket.create_connection(("127.0.0.1", service.port)) as deaf:
                deaf.sendall(REQUEST)
                await asyncio.wait_for(ended.wait(), 30)
                await until(lambda: service.connections.open == 0)

    run(go, loops)


MUCH = 96 << 20
"""Bytes of an answer."""
STEP = 8 << 20
"""Bytes that a reader takes at once: more than the system holds for it, so that the service has to send some."""


class Clock:
    """Time that passes where a test says so; the service looks at it every hundredth of a second."""

    LIMITS = limits(write_s=100.0, read_s=0.04)

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def forward(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0.05)


@LOOPS
def test_a_reader_that_reads_now_and_then_gets_a_whole_answer_and_one_that_stops_is_cut_off(loops: Loops) -> None:
    async def at_once(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(MUCH))

    async def go() -> None:
        clock = Clock()
        async with (
            gated(Clock.LIMITS, routes={"/": at_once}, clock=clock) as service,
            connected(service, REQUEST) as (reader, writer),
        ):
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(MUCH // STEP):
                await clock.forward(90)
                await reader.readexactly(STEP)
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            await clock.forward(101)  # in which the system took some of it
            await clock.forward(101)
            await until(lambda: service.connections.open == 0)

    run(go, loops)


def test_a_reader_that_is_slow_and_then_idle_is_not_cut_off() -> None:
    async def much(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = MUCH
        await response.prepare(request)
        for _ in range(MUCH // BLOCK):
            await response.write(b"x" * BLOCK)
        return response

    async def go() -> None:
        clock = Clock()
        async with (
            gated(Clock.LIMITS, routes={"/much": much}, clock=clock) as service,
            connected(service, REQUEST.replace(b"/ ", b"/much ", 1)) as (reader, writer),
        ):
            # In all it takes longer than a reader may read nothing, and so does the pause after it.
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(MUCH // STEP):
                await clock.forward(90)
                await reader.readexactly(STEP)
            await clock.forward(500)
            writer.write(REQUEST)
            assert (await read_answer(reader)).status == 200

    run(go)


@given(st.lists(st.tuples(st.sampled_from(["add", "drop", "due"]), st.integers(0, 5), st.integers(0, 4)), max_size=60))
def test_each_is_due_once_after_its_time_and_never_before(events: list[tuple[str, int, int]]) -> None:
    waiting: Waiting[int] = Waiting(5.0)
    since: dict[int, int] = {}
    now = 0
    for what, who, passed in events:
        now += passed
        if what == "add":
            waiting.add(who, now)
            since[who] = now
        elif what == "drop":
            waiting.drop(who)
            since.pop(who, None)
        else:
            late = {one for one, then in since.items() if now >= then + 5}
            assert set(waiting.due(now)) == late
            since = {one: then for one, then in since.items() if one not in late}
        assert len(waiting) == len(since)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_room_is_made_for_connections_as_far_as_the_system_goes() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
        assert make_room(100) == 100
        raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert raised == 100 + SPARE
        if hard != resource.RLIM_INFINITY:
            assert make_room(hard) == hard - SPARE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
