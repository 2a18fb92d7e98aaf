"""What becomes of an answer on its way: passed on as it is, held back, refused."""

from __future__ import annotations

import asyncio
import json

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
    cut_off,
    open_door,
    open_upstream,
    run,
    streams,
)
from tests.serve.opened import until


def test_a_stream_passes_byte_for_byte_with_headers_that_tell_who_answered() -> None:
    parts = (ROLE, chunk("hé"), chunk("llo"), b": a comment\n\n", DONE)

    async def work() -> None:
        async with open_door(Model(answer=streams(*parts))) as door, door.chat(stream=True) as answer:
            assert await answer.read() == b"".join(parts)
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            assert answer.headers["X-Assay-Model"] == "m"
            assert answer.headers["X-Assay-Engine"] == "fake"
            assert int(answer.headers["X-Assay-Load-Ms"]) >= 0
            assert int(answer.headers["X-Assay-Wait-Ms"]) >= 0
            assert answer.headers["Cache-Control"] == "no-cache"
            async with door.chat(stream=True) as second:
                assert "X-Assay-Load-Ms" not in second.headers

    run(work)


def test_an_event_that_comes_in_parts_is_passed_on_when_it_is_whole() -> None:
    first, second = chunk("one"), chunk("two")

    async def work() -> None:
        go_on = asyncio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            response = await begun(request)
            await response.write(first + second[:20])
            await go_on.wait()
            await response.write(second[20:])
            await response.write(DONE)
            return response

        async with open_door(Model(answer=answer)) as door, door.chat(stream=True) as got:
            assert await got.content.readany() == first
            go_on.set()
            assert await got.content.read() == second + DONE

    run(work)


def test_a_whole_answer_keeps_its_bytes_and_length() -> None:
    async def work() -> None:
        async with open_door(Model()) as door, door.chat() as answer:
            body = await answer.read()
            assert json.loads(body) == WHOLE
            assert answer.headers["Content-Length"] == str(len(body))
            assert "Transfer-Encoding" not in answer.headers

    run(work)


def test_the_model_gets_the_very_bytes_or_its_own_name_in_them() -> None:
    raw = b'{ "stream":false,\t"model" : "m" , "messages":[{"role":"user","content":"\\u00e9 model m"}]}'

    async def work() -> None:
        model = Model()
        async with open_door(model, routes={"fast": ("m",)}) as door:
            assert (await door.post("/v1/chat/completions", raw))[0] == 200
            assert model.asked[-1][2] == raw
            assert (await door.post("/v1/chat/completions", raw.replace(b'"m"', b'"fast"')))[0] == 200
            assert model.asked[-1][2] == raw

    run(work)


def test_only_what_a_model_needs_is_sent_to_it() -> None:
    async def work() -> None:
        model = Model(remote=True, headers={"Authorization": "Bearer sk-upstream"})
        sent = {
            "Authorization": "Bearer client-key",
            "Cookie": "a=b",
            "X-Forwarded-For": "1.2.3.4",
            "X-Request-Id": "abc-1",
            "api-key": "client-key",
        }
        async with open_door(model) as door, door.chat(headers=sent) as answer:
            assert answer.status == 200
            assert answer.headers["X-Request-Id"] == "abc-1"
            headers = model.asked[0][1]
            assert headers["Authorization"] == "Bearer sk-upstream"
            assert headers["X-Request-Id"] == "abc-1"
            assert not {"Cookie", "X-Forwarded-For", "api-key"} & set(headers)
            assert "client-key" not in str(headers)

    run(work)


def test_what_an_upstream_says_of_itself_stays_behind() -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        headers = {
            "Set-Cookie": "a=b",
            "Server": "theirs",
            "Access-Control-Allow-Origin": "*",
            "x-ratelimit-limit": "9",
        }
        return web.json_response(WHOLE, headers=headers)

    async def work() -> None:
        async with open_door(Model(answer=answer, remote=True)) as door, door.chat() as got:
            assert got.headers["x-ratelimit-limit"] == "9"
            assert got.headers["Server"] == "assay"
            assert not {"Set-Cookie", "Access-Control-Allow-Origin"} & set(got.headers)

    run(work)


def test_an_upstream_that_cannot_be_reached_is_passed_over_with_the_reason() -> None:
    async def work() -> None:
        near, far = Model("near", remote=True), Model("far", remote=True)
        async with open_door(near, far, routes={"fast": ("near", "far")}) as door:
            near.url = "http://127.0.0.1:1/v1"
            async with door.chat("fast") as got:
                assert got.status == 200
                assert got.headers["X-Assay-Model"] == "far"
                assert got.headers["X-Assay-Passed-Over"].startswith("near: ")

    run(work)


@pytest.mark.parametrize(("status", "alone"), [(503, 503), (429, 429), (401, 502), (403, 502)])
def test_an_upstream_that_takes_no_requests_now_is_passed_over_where_there_is_another(status: int, alone: int) -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "come back later"}}, status=status)

    async def work() -> None:
        near, far = Model("near", busy, remote=True), Model("far", remote=True)
        async with open_door(near, far, routes={"fast": ("near", "far")}) as door:
            async with door.chat("near") as by_itself:
                assert by_itself.status == alone
            async with door.chat("fast") as got:
                assert got.headers["X-Assay-Model"] == "far"
                assert got.headers["X-Assay-Passed-Over"] == f"near: HTTP {status}: come back later"

    run(work)


def test_what_is_no_text_in_an_upstreams_header_does_not_keep_its_answer_back() -> None:
    async def work() -> None:
        async def garbled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"messages")
            head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
            writer.write(head.encode() + b"x-ratelimit-note: a\x01b \xe9\r\n\r\n{}")

        async with open_upstream(garbled) as door, door.chat("far") as got:
            assert (got.status, await got.read()) == (200, b"{}")
            assert got.headers["x-ratelimit-note"] == "a?b ?"

    run(work)


def test_a_stream_to_a_client_of_http_1_0_ends_with_its_connection() -> None:
    async def work() -> None:
        async with open_door(Model(answer=streams(ROLE, DONE))) as door:
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            body = b'{"model":"m","messages":[],"stream":true}'
            head = "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            async with asyncio.timeout(20):
                answer = await reader.read()
            assert answer.partition(b"\r\n\r\n")[2] == ROLE + DONE
            writer.close()

    run(work)


def test_a_list_is_tried_to_its_end() -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "not now"}}, status=503)

    async def work() -> None:
        first, second = Model("first", busy, remote=True), Model("second", remote=True)
        third, fourth = Model("third", busy, remote=True), Model("fourth")
        names = ("first", "second", "third", "fourth")
        async with open_door(first, second, third, fourth, routes={"fast": names, "far": names[:3]}) as door:
            second.url = "http://127.0.0.1:1/v1"
            for _ in range(3):
                async with door.chat("fast") as got:
                    assert got.headers["X-Assay-Model"] == "fourth"
                    told = got.headers["X-Assay-Passed-Over"].split("; ")
                    assert [why.partition(":")[0].partition(" ")[0] for why in told] == list(names[:3])
            third.answer = cut_off
            async with door.chat("far") as none:
                assert none.status in {502, 503}
                message = (await none.json())["error"]["message"]
                assert all(name in message for name in names[:3])

    run(work)


def test_a_list_is_tried_on_after_a_worker_that_died() -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "not now"}}, status=503)

    async def work() -> None:
        first, second, third = Model("first"), Model("second", busy, remote=True), Model("third", remote=True)
        first.answer = first.dies("it ended")
        limits = structs.replace(QUICK, backoff_s=30, backoff_most_s=30)
        async with (
            open_door(first, second, third, routes={"fast": ("first", "second", "third")}, limits=limits) as door,
            door.chat("fast") as got,
        ):
            assert got.headers["X-Assay-Model"] == "third"
            assert [len(model.asked) for model in (first, second, third)] == [1, 1, 1]

    run(work)


def test_an_upstream_without_another_gives_its_own_503() -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        body = {"error": {"message": "come back later", "type": "overloaded"}}
        return web.json_response(body, status=503, headers={"Retry-After": "7"})

    async def work() -> None:
        async with open_door(Model(answer=busy, remote=True)) as door:
            for _ in range(2):
                async with door.chat() as got:
                    assert (got.status, got.headers.get("Retry-After")) == (503, "7")
                    assert (await got.json())["error"]["message"] == "come back later"

    run(work)


def test_a_refusal_of_the_model_passes_through_with_its_param() -> None:
    refusal = {"error": {"message": "no", "type": "invalid_request_error", "param": "temperature", "code": None}}

    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.json_response(refusal, status=400)

    async def work() -> None:
        async with open_door(Model(answer=refuse)) as door, door.chat() as got:
            assert (got.status, await got.json()) == (400, refusal)
            assert got.headers["X-Assay-Model"] == "m"

    run(work)


@pytest.mark.parametrize(
    ("status", "body", "kind", "shown"),
    [
        (500, "<html>sk-secret broke</html>", "text/html", 500),
        (401, '{"error": {"message": "Incorrect key sk-secret"}}', "application/json", 502),
        (403, '{"error": {"message": "Incorrect key Bearer sk-secret"}}', "application/json", 502),
        (429, '{"error": {"message": "too fast, sk-secret"}}', "application/json", 429),
        (422, '{"detail": "sk-secret"}', "application/json", 422),
        (302, "", "text/plain", 502),
    ],
)
def test_an_upstreams_error_is_shaped_and_never_shows_its_key(status: int, body: str, kind: str, shown: int) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type=kind, headers={"Location": "http://127.0.0.1:1/"})

    async def work() -> None:
        model = Model(answer=refuse, remote=True, headers={"Authorization": "Bearer sk-secret"})
        async with open_door(model) as door, door.chat() as got:
            text = await got.text()
            assert got.status == shown
            assert "sk-secret" not in text
            assert "Location" not in got.headers
            assert isinstance(json.loads(text)["error"]["message"], str)

    run(work)


def test_the_model_stops_when_the_client_leaves() -> None:
    async def work() -> None:
        model = Model()

        async def endless(request: web.Request) -> web.StreamResponse:
            response = await begun(request)
            while True:
                await response.write(chunk("word "))
                await asyncio.sleep(0.001)

        model.answer = endless
        async with open_door(model) as door:
            async with door.chat(stream=True) as got:
                assert await got.content.readany()
                got.close()
            await model.ended.wait()
            await until(lambda: len(door.told) == 1)
            assert door.told[0].status == 499
            await until(lambda: door.service.models()[0].running == 0)

    run(work)


def test_the_model_stops_when_the_client_leaves_before_the_first_byte() -> None:
    async def work() -> None:
        hang = Holds()
        model = Model(answer=hang)
        async with open_door(model) as door:

            async def ask() -> None:
                async with door.chat():
                    raise AssertionError("there is no answer")

            asking = asyncio.create_task(ask())
            await hang.asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await model.ended.wait()

    run(work)


def test_a_reader_that_does_not_read_holds_its_model_back_and_is_then_cut() -> None:
    async def work() -> None:
        model = Model()
        sent = 0

        async def pour(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = await begun(request)
            while True:
                await response.write(chunk("x" * 60_000))
                sent += 1

        model.answer = pour
        limits = structs.replace(QUICK, write_s=1.0)
        async with open_door(model, limits=limits) as door:
            body = b'{"model":"m","messages":[],"stream":true}'
            length = f"Content-Length: {len(body)}"
            reader, writer = await door.begin("/v1/chat/completions", length, body=body, limit=1 << 10)
            await model.ended.wait()
            assert sent < 1000
            await until(lambda: door.service.models()[0].running == 0)
            writer.close()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1 << 30)

    run(work)


def test_many_streams_at_once_keep_their_own_bytes() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        response = await begun(request)
        for i in range(50):
            await response.write(chunk(f"{asked['seed']}-{i} "))
            await asyncio.sleep(0)
        await response.write(DONE)
        return response

    async def work() -> None:
        async with open_door(Model(answer=answer)) as door:

            async def one(seed: int) -> None:
                async with door.chat(stream=True, seed=seed) as got:
                    assert await got.read() == b"".join(chunk(f"{seed}-{i} ") for i in range(50)) + DONE

            await asyncio.gather(*map(one, range(16)))

    run(work)


def test_who_waits_too_long_a_queue_is_told_when_to_come_back_and_who_leaves_it_is_forgotten() -> None:
    async def work() -> None:
        hang = Holds()
        model = Model(answer=hang)
        async with open_door(model, limits=structs.replace(QUICK, queue_per_model=1)) as door:

            async def ask() -> int:
                async with door.chat(n=8) as got:
                    return int(got.status)

            first = asyncio.create_task(ask())
            await hang.asked.wait()
            waiting = asyncio.create_task(ask())
            await until(lambda: door.service.queued() == 1)
            async with door.chat() as refused:
                assert refused.status == 429
                assert int(refused.headers["Retry-After"]) >= 1
                assert (await refused.json())["error"]["code"] == "queue_full"
            waiting.cancel()
            await until(lambda: door.service.queued() == 0)
            hang.go_on.set()
            assert await first == 200
            assert len(model.asked) == 1

    run(work)
