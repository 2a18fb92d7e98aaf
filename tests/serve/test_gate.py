from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from assay.serve import gate as gate_module
from assay.serve import keys
from assay.serve.gate import OWN, Gate
from assay.serve.hosts import KeyRule, hosts_of, parse_origins
from assay.serve.keys import KeyFile, keys_file
from assay.serve.rate import Rate
from assay.serve.rates import Rates
from tests.serve.opened import Answered, Handler, Opened, opened

JSON = "Content-Type: application/json"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Clock:
    """Seconds that pass when a test says so; half a second for each look at the file of keys."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def look(self) -> float:
        self.now += 0.5
        return self.now


def visit(
    home: Path,
    go: Callable[[Opened], Awaitable[Any]],
    *,
    rule: KeyRule = "if_any",
    hosts: str = "127.0.0.1",
    origins: tuple[str, ...] = (),
    admin_key: str | None = None,
    failures: Rate | None = None,
    routes: dict[str, Handler] | None = None,
) -> Any:
    """What ``go`` gives, with a service behind the gate."""
    clock = Clock()
    gate = Gate(
        hosts=hosts_of(hosts, own=["desk"], allowed=[]),
        keys=KeyFile(keys_file(home), clock=clock.look),
        rule=rule,
        origins=parse_origins(origins),
        admin_key=admin_key,
        rates=Rates(failures or Rate(1000, 60)),
        clock=clock,
        today=lambda: NOW,
    )

    async def run() -> Any:
        async with opened(gate, routes=routes) as service:
            return await go(service)

    return asyncio.run(run())


def added(home: Path, name: str = "laptop", **limits: Any) -> str:
    return "Authorization: Bearer " + keys.add(keys_file(home), name, now=NOW, **limits).secret


def test_without_keys_everybody_on_loopback_comes_in_as_an_address(tmp_path: Path) -> None:
    async def go(service: Opened) -> list[Answered]:
        return [await service.get(), await service.get("/v1/models", "Authorization: Bearer sk-any")]

    answers = visit(tmp_path, go)
    assert [(one.status, one.body) for one in answers] == [(200, b"127.0.0.1")] * 2


@pytest.mark.parametrize(
    "header", ["Authorization: Bearer {}", "authorization: bearer {}", "api-key: {}", "X-API-Key: {}"]
)
def test_a_key_comes_in_under_its_name(tmp_path: Path, header: str) -> None:
    secret = keys.add(keys_file(tmp_path), "laptop", now=NOW).secret
    answer = visit(tmp_path, lambda service: service.get("/", header.format(secret)))
    assert (answer.status, answer.body) == (200, b"laptop")


def test_with_keys_nobody_comes_in_without_one_but_for_health(tmp_path: Path) -> None:
    added(tmp_path)

    async def go(service: Opened) -> list[Answered]:
        paths = ["/", "/v1/models", "/metrics", "/health/", "//health", "/health/../v1/models", "/%68ealth/x"]
        wrong = [await service.get("/v1/models", "Authorization: Bearer wrong"), *[await service.get(p) for p in paths]]
        return [await service.get("/health"), *wrong]

    health, *others = visit(tmp_path, go)
    assert health.status == 200
    assert [(one.status, one.code) for one in others] == [(401, "invalid_api_key")] * 8
    error = msgspec.json.decode(others[0].body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "laptop" not in others[0].body.decode()


def test_a_refusal_by_key_says_how_to_show_one(tmp_path: Path) -> None:
    answer = visit(tmp_path, lambda service: service.get(), rule="always")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_key_is_out_at_the_next_look_and_a_new_one_in(tmp_path: Path) -> None:
    header = added(tmp_path)

    async def go(service: Opened) -> list[int]:
        before = await service.get("/", header)
        keys.revoke(keys_file(tmp_path), "laptop", now=NOW)
        after = await service.get("/", header)
        fresh = await service.get("/", added(tmp_path, "phone"))
        return [before.status, after.status, fresh.status]

    assert visit(tmp_path, go) == [200, 401, 200]


def test_a_key_made_while_the_service_runs_closes_the_door_to_those_without(tmp_path: Path) -> None:
    async def go(service: Opened) -> list[int]:
        before = await service.get()
        added(tmp_path)
        return [before.status, (await service.get()).status]

    assert visit(tmp_path, go) == [200, 401]


def test_damaged_keys_let_nobody_in_and_the_service_stays_up(tmp_path: Path) -> None:
    header = added(tmp_path)

    async def go(service: Opened) -> list[Answered]:
        keys_file(tmp_path).write_bytes(b"{")
        return [await service.get("/", header), await service.get(), await service.get("/health")]

    with_key, without, health = visit(tmp_path, go)
    assert [(one.status, one.code) for one in (with_key, without)] == [(503, "keys_unreadable")] * 2
    assert health.status == 200
    assert str(tmp_path) not in with_key.body.decode()


def test_an_expired_key_is_out(tmp_path: Path) -> None:
    keys.add(keys_file(tmp_path), "old", now=NOW - timedelta(days=9), expires=NOW - timedelta(days=1))
    header = added(tmp_path, "short", expires=NOW + timedelta(days=1))
    assert visit(tmp_path, lambda service: service.get("/", header)).status == 200
    expired = keys.add(keys_file(tmp_path), "older", now=NOW - timedelta(days=9), expires=NOW)
    answer = visit(tmp_path, lambda service: service.get("/", f"api-key: {expired.secret}"))
    assert answer.status == 401


def test_a_rate_is_told_with_the_time_to_wait(tmp_path: Path) -> None:
    header, other = added(tmp_path, rate=Rate(2, 60)), added(tmp_path, "phone")

    async def go(service: Opened) -> list[Answered]:
        mine = [await service.get("/", header) for _ in range(3)]
        return [*mine, await service.get("/", other)]

    *_, third, others = answers = visit(tmp_path, go)
    assert [one.status for one in answers] == [200, 200, 429, 200]
    assert third.code == "rate_limit_exceeded"
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert others.body == b"phone"


def test_requests_at_once_are_counted_until_they_end(tmp_path: Path) -> None:
    header = added(tmp_path, at_once=1)
    inside, leave = asyncio.Event(), asyncio.Event()

    async def hold(_request: web.Request) -> web.Response:
        inside.set()
        await leave.wait()
        return web.Response(text="held")

    async def go(service: Opened) -> list[int]:
        first = asyncio.create_task(service.get("/hold", header))
        await asyncio.wait_for(inside.wait(), 20)
        second = await service.get("/", header)
        leave.set()
        return [second.status, (await first).status, (await service.get("/", header)).status]

    assert visit(tmp_path, go, routes={"/hold": hold}) == [429, 200, 200]


def test_a_client_that_goes_away_gives_its_place_back(tmp_path: Path) -> None:
    header = added(tmp_path, at_once=1)
    inside = asyncio.Event()

    async def hold(_request: web.Request) -> web.Response:
        inside.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def go(service: Opened) -> int:
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(f"GET /hold HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        await asyncio.wait_for(inside.wait(), 20)
        writer.transport.abort()
        async with asyncio.timeout(20):
            while True:
                answer = await service.get("/", header)
                if answer.status != 429:
                    return answer.status

    assert visit(tmp_path, go, routes={"/hold": hold}) == 200


def test_wrong_keys_are_slowed_down_and_a_right_one_is_not(tmp_path: Path) -> None:
    header = added(tmp_path)

    async def go(service: Opened) -> list[Answered]:
        wrong = [await service.get("/", "api-key: wrong") for _ in range(4)]
        return [*wrong, await service.get(), await service.get("/", header)]

    answers = visit(tmp_path, go, failures=Rate(3, 60))
    assert [one.status for one in answers] == [401, 401, 401, 429, 401, 200]
    assert "retry-after" in answers[3].headers


def test_a_key_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    header = added(tmp_path)
    secret = header.rpartition(" ")[2]

    async def go(service: Opened) -> None:
        for key in (secret, "assay-wrong-key"):
            await service.get("/", f"api-key: {key}")
            await service.get("/", f"api-key: {key}", "Host: twice")
            await service.get("/", f"api-key: {key}", "broken header line")
            await service.get("/fails", f"api-key: {key}")

    async def fails(_request: web.Request) -> web.Response:
        raise RuntimeError("a handler's own fault")

    visit(tmp_path, go, routes={"/fails": fails})
    assert "a handler's own fault" in caplog.text
    assert secret not in caplog.text
    assert "assay-wrong-key" not in caplog.text


def test_only_this_users_own_commands_may_end_the_service(tmp_path: Path) -> None:
    header = added(tmp_path)

    async def go(service: Opened) -> list[Answered]:
        ways = [(), (header,), ("api-key: wrong",), ("Authorization: Bearer own",)]
        return [await service.get("/assay/stop", *way, JSON, method="POST") for way in ways]

    *others, own = visit(tmp_path, go, admin_key="own")
    assert [(one.status, one.code) for one in others] == [(403, "not_allowed")] * 3
    assert (own.status, own.body.decode()) == (200, OWN)
    *nobodies, _ = visit(tmp_path / "fresh", go, admin_key="own")
    assert [one.status for one in nobodies] == [403] * 3


def test_this_users_own_commands_need_no_key_of_the_file(tmp_path: Path) -> None:
    added(tmp_path)
    answer = visit(tmp_path, lambda service: service.get("/", "Authorization: Bearer own"), admin_key="own")
    assert answer.body.decode() == OWN


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:5273", "192.168.7.7", "[2001:db8::1]"])
def test_a_name_that_was_made_to_point_here_is_refused(tmp_path: Path, host: str) -> None:
    answer = visit(tmp_path, lambda service: service.get("/health", host=host))
    assert (answer.status, answer.code) == (403, "host_not_allowed")


def test_a_right_key_does_not_help_a_wrong_host(tmp_path: Path) -> None:
    header = added(tmp_path)
    assert visit(tmp_path, lambda service: service.get("/", header, host="evil.example")).status == 403


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.0",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\nHost:",
        "GET / HTTP/1.1\nHost: a b",
        "GET / HTTP/1.1\nHost: localhost\nHost: localhost",
        "GET / HTTP/1.1\nHost: localhost\nHost: evil.example",
        "GET http://localhost/ HTTP/1.1\nHost: localhost",
        "GET http://evil.example/ HTTP/1.1\nHost: localhost",
        "GET / HTTP/1.1\nHost: localhost\nOrigin: http://localhost\nOrigin: http://evil.example",
    ],
)
def test_a_request_that_is_sent_nowhere_or_twice_is_refused(tmp_path: Path, head: str) -> None:
    answer = visit(tmp_path, lambda service: service.send(head))
    assert answer.status == 400
    assert answer.code.startswith("bad_")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_another_pages_post_does_not_reach_the_handler(tmp_path: Path, kind: str) -> None:
    async def never(_request: web.Request) -> web.Response:
        raise AssertionError

    async def go(service: Opened) -> list[Answered]:
        ways = [("Origin: https://evil.example",), ("Origin: null",), ("Sec-Fetch-Site: cross-site",)]
        body = ("Content-Length: 0", f"Content-Type: {kind}")
        return [await service.get("/v1/chat/completions", *way, *body, method="POST") for way in ways]

    answers = visit(tmp_path, go, routes={"/v1/chat/completions": never})
    assert [(one.status, one.code) for one in answers] == [(403, "origin_not_allowed")] * 3
    assert not any(name.startswith("access-control") for one in answers for name in one.headers)


def test_the_services_own_page_may_post(tmp_path: Path) -> None:
    async def go(service: Opened) -> Answered:
        return await service.get("/", f"Origin: http://127.0.0.1:{service.port}", JSON, method="POST")

    assert visit(tmp_path, go).status == 200


def test_without_listed_pages_no_answer_speaks_of_origins(tmp_path: Path) -> None:
    async def go(service: Opened) -> list[Answered]:
        page = "Origin: https://app.example"
        preflight = await service.get("/", page, "Access-Control-Request-Method: POST", method="OPTIONS")
        return [await service.get(), await service.get("/", page), preflight]

    answers = visit(tmp_path, go)
    assert [one.status for one in answers] == [200, 200, 403]
    assert not any(name.startswith("access-control") or name == "vary" for one in answers for name in one.headers)


def test_a_listed_page_asks_first_without_a_key_and_then_needs_one(tmp_path: Path) -> None:
    header = added(tmp_path)

    async def go(service: Opened) -> list[Answered]:
        page, asked = "Origin: https://app.example", "Access-Control-Request-Headers: authorization,x-stainless-os"
        return [
            await service.get("/v1/models", page, "Access-Control-Request-Method: POST", asked, method="OPTIONS"),
            await service.get("/", page, JSON, method="POST"),
            await service.get("/", page, JSON, header, method="POST"),
        ]

    answers = preflight, _, within = visit(tmp_path, go, origins=("https://app.example",))
    assert [one.status for one in answers] == [204, 401, 200]
    assert [one.headers["access-control-allow-origin"] for one in answers] == ["https://app.example"] * 3
    assert [one.headers["vary"] for one in answers] == ["Origin"] * 3
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert preflight.headers["access-control-allow-methods"] == "GET, POST"
    assert "X-Request-Id" in within.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in within.headers


def test_a_streamed_answer_says_who_may_read_it(tmp_path: Path) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 4
        await response.prepare(request)
        await response.write(b"data")
        return response

    answer = visit(
        tmp_path, lambda s: s.get("/stream", "Origin: https://a.example"), origins=("*",), routes={"/stream": stream}
    )
    assert (answer.body, answer.headers["access-control-allow-origin"]) == (b"data", "*")


def test_a_page_that_is_not_listed_is_refused_beside_one_that_is(tmp_path: Path) -> None:
    async def go(service: Opened) -> list[Answered]:
        page = "Origin: https://evil.example"
        ask = "Access-Control-Request-Method: POST"
        return [await service.get("/", page, ask, method="OPTIONS"), await service.get("/", page, JSON, method="POST")]

    answers = visit(tmp_path, go, origins=("https://app.example",))
    assert [one.status for one in answers] == [403, 403]
    assert not any("access-control-allow-origin" in one.headers for one in answers)


@pytest.mark.parametrize("asked", ["\xff", "a b", "x-a\ty", "x-a,,x-b", "x:y", "é, x-a", "*"])
def test_what_a_page_asks_to_send_is_given_back_as_names_of_headers_alone(tmp_path: Path, asked: str) -> None:
    async def go(service: Opened) -> Answered:
        page = ("Origin: https://app.example", "Access-Control-Request-Method: POST")
        return await service.get("/", *page, f"Access-Control-Request-Headers: {asked}", method="OPTIONS")

    answer = visit(tmp_path, go, origins=("*",))
    assert answer.status == 204
    assert "access-control-allow-headers" not in answer.headers


@pytest.mark.parametrize("name", ["Authorization: Bearer", "api-key:", "Origin:", "Sec-Fetch-Site:", "Host:"])
def test_bytes_that_are_no_text_are_refused_like_any_other_wrong_value(tmp_path: Path, name: str) -> None:
    added(tmp_path)
    answer = visit(tmp_path, lambda service: service.get("/", f"{name} \xff\xfe", JSON, method="POST"))
    assert 400 <= answer.status < 500


def test_no_path_of_a_request_can_reach_a_file() -> None:
    room = Path(gate_module.__file__).parent
    sources = {path.name: path.read_text(encoding="utf-8") for path in room.glob("*.py")}
    assert len(sources) > 10
    ways = ("add_static", "FileResponse", "StaticResource", "web.static")
    assert [name for name, text in sources.items() if any(way in text for way in ways)] == []
