"""What the door says of itself and of requests that it does not serve."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assay.errors import BadRegistry
from assay.serve import Limits, Listed, Refusal, Refused, Route, keys
from assay.serve.gate import Gate
from assay.serve.hosts import Hosts
from assay.serve.keys import KeyFile
from assay.serve.overhear import MOST, Ear, heard
from tests.serve.doorstep import (
    DONE,
    QUICK,
    ROLE,
    Door,
    Holds,
    Model,
    begun,
    chunk,
    cut_off,
    open_door,
    run,
    streams,
    whole,
)
from tests.serve.opened import until

CHAT = "/v1/chat/completions"
POSTS = (CHAT, "/v1/completions", "/v1/embeddings", "/assay/load", "/assay/unload")
GETS = (
    "/",
    "/docs",
    "/health",
    "/metrics",
    "/openapi.json",
    "/v1/models",
    "/v1/models/m",
    "/assay/status",
    "/assay/models",
)


def test_each_of_openais_posts_goes_to_the_same_path_of_the_model() -> None:
    async def work() -> None:
        model = Model()
        async with open_door(model) as door:
            for path in POSTS[:3]:
                assert (await door.post(path, b'{"model":"m"}'))[0] == 200
            assert [path for path, _, _ in model.asked] == list(POSTS[:3])

    run(work)


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/models/", "/V1/models", "/assay", "//health", "/%ff\udcff"])
def test_a_path_that_is_none_is_a_404_in_openais_form(path: str) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            for method in ("GET", "POST", "DELETE"):
                target = door.url + path.encode("utf-8", "surrogateescape").decode("latin-1")
                async with door.client.request(method, target) as answer:
                    assert answer.status == 404
                    error = (await answer.json())["error"]
                    assert (error["code"], error["type"]) == ("not_found", "invalid_request_error")

    run(work)


@pytest.mark.parametrize("path", [*POSTS, *GETS])
def test_a_method_that_a_path_does_not_take_is_a_405_that_tells_which_it_does(path: str) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            wrong = ("GET", "PUT", "DELETE", "OPTIONS") if path in POSTS else ("POST", "PATCH", "DELETE", "OPTIONS")
            for method in wrong:
                async with door.client.request(method, door.url + path) as answer:
                    assert answer.status == 405
                    assert (await answer.json())["error"]["code"] == "method_not_allowed"
                    assert answer.headers["Allow"] == ("POST" if path in POSTS else "GET,HEAD")

    run(work)


@pytest.mark.parametrize("path", GETS)
def test_every_page_has_a_head(path: str) -> None:
    async def work() -> None:
        async with open_door(Model()) as door, door.client.head(door.url + path) as answer:
            assert answer.status == 200
            assert await answer.read() == b""

    run(work)


def test_an_unknown_model_is_a_404_that_names_the_field_and_what_is_near() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            status, answer = await door.post(CHAT, b'{"model":"n"}')
            assert status == 404
            assert answer["error"]["code"] == "model_not_found"
            assert answer["error"]["param"] == "model"
            assert "the nearest name is m" in answer["error"]["message"]

    run(work)


def test_the_models_are_listed_and_found_by_any_name() -> None:
    async def work() -> None:
        names = ("m", "qwen:0.5b-q8_0", "hf:owner/name@main:q4", "wie geht's")
        async with open_door(*map(Model, names), routes={"fast": ("m", names[1])}) as door:
            status, listed = await door.get("/v1/models")
            assert status == 200
            assert [entry["id"] for entry in listed["data"]] == [*names, "fast"]
            assert {entry["object"] for entry in listed["data"]} == {"model"}
            assert [entry.get("variants") for entry in listed["data"]] == [None] * 4 + [["m", names[1]]]
            for entry in listed["data"]:
                assert await door.get(f"/v1/models/{entry['id']}") == (200, entry)
            assert await door.get("/v1/models/hf:owner%2Fname@main:q4") == (200, listed["data"][2])
            assert await door.get("/v1/models/FAST") == (200, {**listed["data"][-1], "id": "FAST"})
            status, answer = await door.get("/v1/models/other")
            assert (status, answer["error"]["code"]) == (404, "model_not_found")

    run(work)


def test_a_model_is_loaded_shown_and_unloaded() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            assert await door.get("/assay/models") == (200, {"models": []})
            status, state = await door.post("/assay/load", b'{"model":"m","ttl":60}')
            assert status == 200
            assert (state["id"], state["state"], state["engine"], state["slots"]) == ("m", "ready", "fake", 8)
            assert 0 < state["expires_s"] <= 60
            status, shown = await door.get("/assay/models")
            assert [entry["id"] for entry in shown["models"]] == ["m"]
            assert await door.post("/assay/unload", b'{"model":"m","force":false}') == (200, {"unloaded": ["m"]})
            assert door.models.stopped == ["m"]
            assert await door.post("/assay/unload", b'{"model":"m"}') == (200, {"unloaded": []})

    run(work)


@pytest.mark.parametrize(
    ("path", "raw", "status", "param"),
    [
        ("/assay/load", b"{}", 400, "model"),
        ("/assay/load", b'{"model":""}', 400, "model"),
        ("/assay/load", b'{"model":"m","ttl":-1}', 400, "ttl"),
        ("/assay/load", b'{"model":"m","ttl":"1h"}', 400, "ttl"),
        ("/assay/load", b'{"model":"m","ttl":true}', 400, "ttl"),
        ("/assay/load", b'{"model":"m","time_to_live":1}', 400, "time_to_live"),
        ("/assay/load", b'{"model":"m","model":"m"}', 400, "model"),
        ("/assay/load", b'{"model":"n"}', 404, "model"),
        ("/assay/load", b"[]", 400, None),
        ("/assay/unload", b'{"model":"m","force":1}', 400, "force"),
        ("/assay/unload", b'{"model":"n"}', 404, "model"),
    ],
)
def test_a_load_or_unload_that_makes_no_sense_is_refused(path: str, raw: bytes, status: int, param: str | None) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            got, answer = await door.post(path, raw)
            assert (got, answer["error"]["param"]) == (status, param)
            assert door.service.models() == ()

    run(work)


def test_a_load_that_fails_says_why() -> None:
    async def work() -> None:
        model = Model()
        model.broken = "the file is damaged"
        async with open_door(model) as door:
            for path in ("/assay/load", CHAT):
                status, answer = await door.post(path, b'{"model":"m"}')
                assert status == 503
                assert "the file is damaged" in answer["error"]["message"]

    run(work)


def test_the_status_tells_of_the_service() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            await door.post("/assay/load", b'{"model":"m"}')
            status, told = await door.get("/assay/status")
            assert status == 200
            assert (told["status"], told["pid"], told["version"]) == ("ok", os.getpid(), "1.2.3")
            assert (told["address"], told["models"], told["queued"]) == (door.url, ["m"], 0)
            assert told["connections"] >= 1
            assert told["limits"] == structs.asdict(QUICK)

    run(work)


def test_a_service_that_stops_lives_and_takes_nothing_on() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            assert await door.get("/health") == (200, {"status": "ok"})
            await door.service.stop()
            assert await door.get("/health") == (200, {"status": "stopping"})
            status, answer = await door.post(CHAT, b'{"model":"m"}')
            assert (status, answer["error"]["code"]) == (503, "shutting_down")

    run(work)


@pytest.mark.parametrize(("given", "kept"), [("a-1.b:c", True), ("", False), ("a b", False), ("x" * 129, False)])
def test_a_request_keeps_an_id_that_is_sane_and_gets_one_otherwise(given: str, kept: bool) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            for path in ("/health", "/nowhere", "/v1/models"):
                async with door.client.get(door.url + path, headers={"X-Request-Id": given}) as answer:
                    shown = answer.headers["X-Request-Id"]
                    assert (shown == given) is kept
                    assert 1 <= len(shown) <= 128
                    assert answer.headers["Cache-Control"] == "no-cache"

    run(work)


def test_how_long_a_request_waits_can_be_shortened() -> None:
    async def work() -> None:
        hang = Holds()
        async with open_door(Model(answer=hang)) as door:

            async def first() -> int:
                async with door.chat(n=8) as answer:
                    return int(answer.status)

            asking = asyncio.create_task(first())
            await hang.asked.wait()
            async with door.chat(headers={"X-Assay-Timeout": "0.05"}) as answer:
                assert answer.status == 503
                assert (await answer.json())["error"]["code"] == "queue_timeout"
            hang.go_on.set()
            assert await asking == 200

    run(work)


def test_how_long_a_model_stays_can_be_said_with_a_request() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            async with door.chat(headers={"X-Assay-Ttl": "30"}) as answer:
                assert answer.status == 200
            _, shown = await door.get("/assay/models")
            assert 0 < shown["models"][0]["expires_s"] <= 30

    run(work)


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan", "inf", "1e999", "1s"])
@pytest.mark.parametrize("name", ["X-Assay-Timeout", "X-Assay-Ttl"])
def test_a_time_that_is_none_is_refused_by_its_name(name: str, value: str) -> None:
    async def work() -> None:
        async with open_door(Model()) as door, door.chat(headers={name: value}) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["param"] == name

    run(work)


def test_a_fault_of_ours_is_a_500_without_its_insides(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:

            async def broken(name: str) -> Route:
                raise RuntimeError("an inner secret")

            door.models.route = broken  # type: ignore[method-assign]
            async with door.chat() as answer:
                assert answer.status == 500
                text = await answer.text()
                assert "inner secret" not in text
                assert msgspec.json.decode(text)["error"]["code"] == "internal_error"
                assert f"request {answer.headers['X-Request-Id']}" in caplog.text
            assert await door.get("/health") == (200, {"status": "ok"})

    with caplog.at_level(logging.ERROR):
        run(work)
    assert "an inner secret" in caplog.text


def test_a_registry_that_cannot_be_read_is_no_fault_of_whoever_asks() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:

            async def damaged() -> tuple[Listed, ...]:
                raise BadRegistry("models.json cannot be read", remedy="mend it")

            door.models.listed = damaged  # type: ignore[method-assign]
            status, answer = await door.get("/v1/models")
            assert (status, answer["error"]["code"]) == (503, "service_failed")
            assert answer["error"]["message"] == "models.json cannot be read; try: mend it"

    run(work)


def test_neither_prompts_nor_answers_are_told_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        model = Model(answer=streams(ROLE, chunk("a whispered answer"), DONE))
        async with open_door(model) as door:
            for body in ({"stream": True}, {"stream": 7}, {"a": "a whispered prompt"}):
                async with door.chat(user="a whispered prompt", **body) as answer:
                    await answer.read()
            await door.post(CHAT, b'{"model":"m","prompt":"a whispered prompt"')
            await until(lambda: len(door.told) == 4)
            assert "whispered" not in str(door.told)
            assert "whispered" not in door.metrics.text((), 0, None).decode()

    with caplog.at_level(logging.DEBUG):
        run(work)
    assert "whispered" not in caplog.text


def test_prompts_and_answers_are_overheard_where_the_owner_asks_for_it() -> None:
    parts = (ROLE, chunk("a whispered "), chunk("answer"), DONE)

    async def work() -> None:
        model = Model(answer=streams(*parts))
        async with open_door(model, overhear=True) as door:
            for answer in (streams(*parts), whole, streams(*parts[:2])):
                model.answer = answer
                async with door.chat(user="who whispers", headers={"X-Request-Id": "one"}) as got:
                    sent = await got.read()
                await until(lambda: len(door.overheard) == 2)
                (first, kind, prompt), (second, other, text) = door.overheard
                assert (first, kind, second, other) == ("one", "prompt", "one", "answer")
                assert "who whispers" in prompt
                assert text.encode() == sent
                door.overheard.clear()

    run(work)


def test_what_is_overheard_is_bounded() -> None:
    async def work() -> None:
        model = Model(answer=streams(*[chunk("x" * 1000)] * 200))
        async with open_door(model, overhear=True) as door:
            for answer in (model.answer, cut_off):  # no answer costs no prompt its line
                model.answer = answer
                async with door.chat(user="y" * 1_000_000) as got:
                    await got.read()
            await until(lambda: len(door.overheard) == 3)
            assert [kind for _, kind, _ in door.overheard] == ["prompt", "answer", "prompt"]
            assert all(MOST < len(text) < MOST + 100 for _, _, text in door.overheard)
            assert all("bytes in all" in text for _, _, text in door.overheard)

    run(work)


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_an_ear_tells_what_it_heard(parts: list[bytes]) -> None:
    ear = Ear()
    for part in parts:
        ear.hear(part)
    assert ear.text() == b"".join(parts).decode("utf-8", "replace") == heard(b"".join(parts))


def test_each_request_is_told_of_once_with_what_it_did() -> None:
    async def work() -> None:
        usage = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}\n\n'
        release = asyncio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            response = await begun(request)
            for part in (ROLE, chunk("a"), chunk("b"), chunk("c"), usage):
                await response.write(part)
            await release.wait()
            await response.write(DONE)
            return response

        model = Model(answer=answer)
        async with open_door(model) as door:
            async with door.chat(stream=True) as got:
                assert usage in await got.content.readuntil(b'total_tokens":8}}\n\n')
                release.set()
                assert await got.content.read() == DONE
            await door.get("/v1/models/other")
            await until(lambda: len(door.told) == 2)
            chat, other = door.told
            assert (chat.method, chat.route, chat.status, chat.model) == ("POST", CHAT, 200, "m")
            assert (chat.prompt_tokens, chat.completion_tokens, chat.code) == (5, 3, None)
            assert chat.ttft is not None
            assert 0 < chat.ttft <= chat.seconds
            assert (other.route, other.status, other.code) == ("/v1/models/{id}", 404, "model_not_found")
            assert other.ttft is None

    run(work)


def test_a_docs_page_shows_the_models_and_holds_nothing_that_a_name_brought_in() -> None:
    async def work() -> None:
        evil = "<script>alert(1)</script>$address"
        async with open_door(Model("m"), Model(evil)) as door:
            for path in ("/", "/docs"):
                async with door.client.get(door.url + path) as answer:
                    html = await answer.text()
                    assert answer.content_type == "text/html"
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                    assert f"{door.url}/v1" in html
                    assert "<code>m</code>" in html
                    assert "<script" not in html
                    assert "&lt;script&gt;alert(1)&lt;/script&gt;$address" in html
                    assert "http" not in html.replace(door.url, "")
                    for link in ("/metrics", "/openapi.json"):
                        assert f'href="{link}"' in html

    run(work)


def test_an_empty_service_has_a_page_too() -> None:
    async def work() -> None:
        async with open_door() as door, door.client.get(door.url) as answer:
            assert "none yet" in await answer.text()

    run(work)


def test_who_is_turned_away_at_the_gate_gets_an_error_of_the_same_form(tmp_path: Path) -> None:
    async def work() -> None:
        gate = Gate(hosts=Hosts(loopback=True), keys=KeyFile(tmp_path / "keys.json"), rule="always")
        async with open_door(Model(), doorway=gate) as door:
            async with door.chat() as answer:
                assert answer.status == 401
                assert (await answer.json())["error"]["code"] == "invalid_api_key"
                assert "X-Request-Id" in answer.headers
            async with door.client.get(door.url, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403
            assert await door.get("/health") == (200, {"status": "ok"})
            await until(lambda: len(door.told) == 3)
            assert [tally.code for tally in door.told] == ["invalid_api_key", "host_not_allowed", None]

    run(work)


def test_who_has_asked_is_told_by_the_name_of_the_key_or_the_address(tmp_path: Path) -> None:
    async def work() -> None:
        secret = keys.add(tmp_path / "keys.json", "ann", now=datetime.now(UTC)).secret
        gate = Gate(hosts=Hosts(loopback=True), keys=KeyFile(tmp_path / "keys.json"), rule="always")
        async with open_door(Model(), doorway=gate) as door:
            for headers in ({"Authorization": f"Bearer {secret}"}, {}):
                async with door.chat(headers=headers) as answer:
                    await answer.read()
            await until(lambda: len(door.told) == 2)
            assert [(tally.client, tally.status) for tally in door.told] == [("ann", 200), ("127.0.0.1", 401)]

    run(work)


def test_many_requests_on_one_connection_and_many_connections() -> None:
    async def work() -> None:
        model = Model()
        async with open_door(model, limits=Limits(drain_s=1)) as door:

            async def asks(door: Door) -> None:
                for _ in range(10):
                    async with door.chat() as answer:
                        assert answer.status == 200

            await asyncio.gather(*(asks(door) for _ in range(10)))
            assert len(model.asked) == 100
            assert all(state.running == 0 for state in door.service.models())

    run(work)


def test_a_refusal_in_a_middleware_after_the_answer_began_breaks_the_connection() -> None:
    class Late:
        def attach(self, app: web.Application) -> None:
            @web.middleware
            async def late(request: web.Request, handler: Any) -> web.StreamResponse:
                await handler(request)
                raise Refused(Refusal(status=429, code="late", message="too late"))

            app.middlewares.append(late)

    async def work() -> None:
        async def endless(request: web.Request) -> web.StreamResponse:
            response = await begun(request)
            await response.write(ROLE)
            return response

        async with open_door(Model(answer=endless), doorway=Late()) as door, door.chat(stream=True) as answer:
            assert await answer.read() == ROLE
        assert door.told[0].begun

    run(work)
