"""What becomes of an answer whose model or upstream breaks off: an error event, a second try, a refusal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec import structs

from tests.serve.doorstep import (
    DONE,
    QUICK,
    ROLE,
    WHOLE,
    Holds,
    Model,
    begun,
    chunk,
    cut,
    open_door,
    open_upstream,
    run,
    streams,
    whole,
)


def errors_of(stream: bytes) -> list[dict[str, Any]]:
    """The errors among the events; every event must be one."""
    *events, rest = stream.split(b"\n\n")
    assert rest == b"", "the stream ends inside an event"
    found = [json.loads(event.removeprefix(b"data: ")) for event in events if event != b"data: [DONE]"]
    return [event["error"] for event in found if "error" in event]


@pytest.mark.parametrize("part", [b"", chunk("torn")[:25]])
def test_a_model_that_dies_in_a_stream_leaves_an_error_event(part: bytes) -> None:
    async def work() -> None:
        model = Model()
        model.answer = model.dies("it was killed by signal 9", ROLE + chunk("so far") + part)
        async with open_door(model) as door, door.chat(stream=True) as got:
            stream = await got.read()
            assert stream.startswith(ROLE + chunk("so far"))
            (error,) = errors_of(stream)
            assert error["code"] == "model_lost"
            assert "signal 9" in error["message"]
            model.answer = whole
            async with door.chat() as after:
                assert after.status == 200

    run(work)


def test_a_model_that_hangs_is_left_when_its_lease_breaks() -> None:
    async def work() -> None:
        model = Model()
        sent = asyncio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            response = await begun(request)
            await response.write(ROLE)
            sent.set()
            await asyncio.Event().wait()
            return response

        model.answer = answer
        async with open_door(model) as door, door.chat(stream=True) as got:
            await sent.wait()
            await door.service.unload("m", force=True)
            (error,) = errors_of(await got.read())
            assert error["code"] == "model_lost"
            await model.ended.wait()

    run(work)


def test_a_request_without_an_answer_is_repeated_once() -> None:
    async def work() -> None:
        model = Model()

        async def die(request: web.Request) -> web.StreamResponse:
            model.answer = whole
            return await model.dies("it was killed by signal 11")(request)

        model.answer = die
        async with open_door(model) as door, door.chat() as got:
            assert got.status == 200
            assert len(model.asked) == 2

    run(work)


def test_a_request_that_kills_its_model_twice_is_refused() -> None:
    async def work() -> None:
        model = Model()
        model.answer = model.dies("it was killed by signal 11")
        async with open_door(model) as door, door.chat() as got:
            assert got.status == 503
            error = (await got.json())["error"]
            assert error["code"] == "model_lost"
            assert "signal 11" in error["message"]
            assert got.headers["Retry-After"] == "1"
            assert len(model.asked) == 2

    run(work)


def test_a_model_taken_down_on_purpose_is_not_brought_back_by_the_request_that_it_answered() -> None:
    async def work() -> None:
        hang = Holds()
        model = Model(answer=hang)
        async with open_door(model) as door:

            async def ask() -> int:
                async with door.chat() as got:
                    assert (await got.json())["error"]["code"] == "model_lost"
                    return int(got.status)

            asking = asyncio.create_task(ask())
            await hang.asked.wait()
            await door.service.unload("m", force=True)
            assert await asking == 503
            assert len(model.asked) == 1

    run(work)


def test_what_is_no_http_is_an_error_of_the_upstream() -> None:
    async def work() -> None:
        async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\x00\xffnot http\r\n\r\n")

        async with open_upstream(garbage) as door, door.chat("far") as got:
            assert got.status == 502
            assert (await got.json())["error"]["code"] == "upstream_failed"

    run(work)


def test_a_large_answer_that_breaks_off_never_looks_whole() -> None:
    async def work() -> None:
        async def half(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(40 << 20)})
            await response.prepare(request)
            for _ in range(20):
                await response.write(b"1" * (1 << 20))
            cut(request)
            return response

        model = Model(answer=half, remote=True)
        async with open_door(model) as door, door.chat() as got:
            assert got.headers["Content-Length"] == str(40 << 20)
            with pytest.raises(aiohttp.ClientError):
                await got.read()

    run(work)


def test_a_whole_answer_that_breaks_off_is_an_error() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"id":')
        await asyncio.sleep(0.05)
        cut(request)
        return response

    async def work() -> None:
        async with open_door(Model(answer=half, remote=True)) as door, door.chat() as got:
            assert got.status == 502
            assert (await got.json())["error"]["code"] == "upstream_failed"

    run(work)


def test_a_kept_connection_that_an_upstream_has_closed_costs_no_answer() -> None:
    async def work() -> None:
        answers = 0

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal answers
            await reader.readuntil(b"messages")
            if answers:
                answers -= 1
                body = json.dumps(WHOLE).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
                await reader.readuntil(b"messages")
            answers = 1

        answers = 1
        async with open_upstream(once) as door:
            for _ in range(3):
                async with door.chat("far") as got:
                    assert got.status == 200

    run(work)


def test_a_request_that_a_new_connection_took_is_not_sent_to_the_upstream_again() -> None:
    async def work() -> None:
        taken = 0

        async def takes_and_closes(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            await reader.readuntil(b"messages")
            taken += 1

        async with open_upstream(takes_and_closes) as door, door.chat("far") as got:
            assert (await got.json())["error"]["code"] == "upstream_failed"
            assert taken == 1

    run(work)


def test_an_upstream_that_says_nothing_is_given_up() -> None:
    async def work() -> None:
        model = Model(answer=Holds(), remote=True)
        async with open_door(model, limits=structs.replace(QUICK, wait_s=0.2)) as door, door.chat() as got:
            assert got.status == 502
            assert (await got.json())["error"]["code"] == "upstream_failed"
            await model.ended.wait()

    run(work)


@pytest.mark.parametrize(
    ("rest", "broken"),
    [(b"", False), (b"data: [DONE]", False), (b"data: {}\n", False), (chunk("torn")[:25], True), (None, True)],
)
def test_a_stream_that_ends_with_its_connection_is_whole_only_where_no_event_is_torn(
    rest: bytes | None, broken: bool
) -> None:
    sent = b"" if rest is None else ROLE + chunk("so far")

    async def work() -> None:
        async def streams_and_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"messages")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + sent + (rest or b""))

        async with open_upstream(streams_and_closes) as door, door.chat("far", stream=True) as got:
            stream = await got.read()
            if not broken:
                assert stream == sent + (rest or b"")
                return
            assert stream.startswith(sent)
            (error,) = errors_of(stream)
            assert error["code"] == "model_lost"
            assert "ended too soon" in error["message"]

    run(work)


@pytest.mark.filterwarnings("ignore:Sending a large body")
def test_an_upstream_that_takes_no_body_is_given_up() -> None:
    async def work() -> None:
        given_up = asyncio.Event()

        async def deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await given_up.wait()

        async with open_upstream(deaf, limits=structs.replace(QUICK, wait_s=0.5)) as door:
            body = b'{"model":"far","messages":[{"role":"user","content":"' + b"x" * (20 << 20) + b'"}]}'
            status, answer = await door.post("/v1/chat/completions", body)
            assert (status, answer["error"]["code"]) == (502, "upstream_failed")
            given_up.set()

    run(work)


def test_an_upstream_whose_first_event_comes_with_its_head_is_held_to_the_stall_too() -> None:
    async def work() -> None:
        async def speaks_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"messages")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + ROLE)
            await reader.read()  # till it is given up

        limits = structs.replace(QUICK, stall_s=0.2)
        async with open_upstream(speaks_once, limits=limits) as door, door.chat("far", stream=True) as got:
            (error,) = errors_of(await got.read())
            assert "did not answer in time" in error["message"]

    run(work)


def test_an_upstream_that_falls_silent_in_a_stream_is_given_up_after_the_stall() -> None:
    async def work() -> None:
        model = Model(remote=True)

        async def answer(request: web.Request) -> web.StreamResponse:
            response = await begun(request)
            for part in (ROLE, chunk("slow"), chunk(" but"), chunk(" alive")):
                await response.write(part)
                await asyncio.sleep(0.2)
            await asyncio.Event().wait()
            return response

        model.answer = answer
        async with open_door(model, limits=structs.replace(QUICK, stall_s=0.5)) as door, door.chat(stream=True) as got:
            stream = await got.read()
            assert stream.startswith(ROLE + chunk("slow") + chunk(" but") + chunk(" alive"))
            (error,) = errors_of(stream)
            assert error["code"] == "model_lost"
            assert "did not answer in time" in error["message"]
            await model.ended.wait()

    run(work)


def test_a_reader_that_pauses_is_no_stall_of_the_upstream() -> None:
    size = 8 << 20

    async def work() -> None:
        model = Model(answer=streams(ROLE, chunk("x" * size), DONE), remote=True)
        limits = structs.replace(QUICK, stall_s=0.3)
        async with open_door(model, limits=limits) as door, door.chat(stream=True) as got:
            await asyncio.sleep(1.0)
            assert await got.read() == ROLE + chunk("x" * size) + DONE

    run(work)


def test_a_long_event_is_passed_on_in_parts_and_the_stream_is_whole_again_after_it() -> None:
    long = chunk("x" * (3 << 20))

    async def work() -> None:
        model = Model()
        model.answer = model.dies("killed", long, chunk("then"))
        async with open_door(model) as door, door.chat(stream=True) as got:
            stream = await got.read()
            assert stream.startswith(long + chunk("then"))
            assert [error["code"] for error in errors_of(stream)] == ["model_lost"]

    run(work)


def test_a_long_event_that_breaks_off_breaks_the_connection() -> None:
    async def work() -> None:
        model = Model()
        model.answer = model.dies("killed", chunk("x" * (3 << 20))[:-9])
        async with open_door(model) as door, door.chat(stream=True) as got:
            with pytest.raises(aiohttp.ClientError):
                await got.read()

    run(work)
