"""The real door over the real service, on a port of 127.0.0.1; the models behind it are small real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from assay.errors import EngineStartFailed, UnknownModel
from assay.serve import Limits, Listed, Live, Offer, Pulse, Route
from assay.serve.connections import Connections
from assay.serve.door import Doorway, application
from assay.serve.metrics import Metrics
from assay.serve.service import Service
from assay.serve.tally import Tally
from assay.types import Endpoint, EngineOptions, Variant
from tests.serve.opened import Handler, listened

QUICK = Limits(drain_s=1, backoff_s=0.01, backoff_most_s=0.02, stall_s=60)


def chunk(text: str) -> bytes:
    """One event of a chat's stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + msgspec.json.encode({"object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"


ROLE = chunk("")
DONE = b"data: [DONE]\n\n"
WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


async def whole(_request: web.Request) -> web.StreamResponse:
    """A whole answer."""
    return web.json_response(WHOLE)


def streams(*parts: bytes) -> Handler:
    """Sends each part as it is, then ends."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await begun(request)
        for part in parts:
            await response.write(part)
        return response

    return handler


async def begun(request: web.Request) -> web.StreamResponse:
    """A stream of events whose head is sent."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


def cut(request: web.Request) -> None:
    """Let the connection break as if the process had died."""
    assert request.transport is not None
    request.transport.abort()


async def cut_off(request: web.Request) -> web.StreamResponse:
    """No answer at all."""
    cut(request)
    return web.Response()


class Holds:
    """A whole answer that waits: ``asked`` is set when a request is there, and ``go_on`` lets its answer come."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        await self.go_on.wait()
        return await whole(request)


class Model:
    """A model whose ``answer`` may be changed at any time; ``asked`` is what it got: path, headers, body."""

    def __init__(
        self,
        name: str = "m",
        answer: Handler = whole,
        *,
        remote: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.answer = answer
        self.remote = remote
        self.headers = dict(headers or {})
        self.served = name
        """The id that it goes by itself."""
        self.asked: list[tuple[str, Mapping[str, str], bytes]] = []
        self.ended = asyncio.Event()
        """Set when a request to it has ended, however."""
        self.problem: str | None = None
        self.may_load = asyncio.Event()
        """Until it is set, a load goes on; it is from the first."""
        self.may_load.set()
        self.broken: str | None = None
        """Why it cannot be started."""
        self.url = ""

    @property
    def offer(self) -> Offer:
        kind, engine = ("remote", "upstream") if self.remote else ("gguf", "fake")
        variant = Variant(id=self.name, alias=self.name, format=kind, source=self.url)  # type: ignore[arg-type]
        return Offer(variant=variant, engine=engine, options=EngineOptions(slots=8), needs=0 if self.remote else 1)

    def dies(self, problem: str, *parts: bytes) -> Handler:
        """An answer that is none: each part of a stream, if there are any, and then its process is gone."""

        async def handler(request: web.Request) -> web.StreamResponse:
            if parts:
                await streams(*parts)(request)
                await asyncio.sleep(0.05)
            self.problem = problem
            return await cut_off(request)

        return handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers, await request.read()))
        self.ended.clear()
        try:
            return await self.answer(request)
        finally:
            self.ended.set()


class Models:
    """Directory and effects of the models; ``routes`` are names with several."""

    def __init__(self, models: tuple[Model, ...], routes: Mapping[str, tuple[str, ...]]) -> None:
        self.models = {model.name: model for model in models}
        self.routes = {**{name: (name,) for name in self.models}, **routes}
        self.stopped: list[str] = []

    async def route(self, name: str) -> Route:
        if name not in self.routes:
            raise UnknownModel(f"there is no model {name!r}", why="the nearest name is m", remedy="assay model list")
        return Route(name=name, offers=tuple(self.models[one].offer for one in self.routes[name]))

    async def listed(self) -> tuple[Listed, ...]:
        return tuple(
            Listed(id=name, kind="route", variant=self.models[ids[0]].offer.variant, tries=ids)
            if len(ids) > 1
            else Listed(id=name, kind="alias", variant=self.models[ids[0]].offer.variant)
            for name, ids in self.routes.items()
        )

    async def start(self, offer: Offer) -> Live:
        model = self.models[offer.id]
        await model.may_load.wait()
        if model.broken:
            raise EngineStartFailed(f"{model.name} did not start", why=model.broken)
        model.problem = None
        endpoint = Endpoint(url=model.url, model=model.served, engine=offer.engine, slots=8)
        return Live(endpoint=endpoint, headers=model.headers)

    async def stop(self, live: Live, grace_s: float) -> None:
        self.stopped.append(live.endpoint.model)

    async def pulse(self, live: Live) -> Pulse:
        model = next(one for one in self.models.values() if one.url == live.endpoint.url)
        return Pulse(problem=model.problem, running=0)

    async def warm(self, live: Live) -> None: ...

    def available(self) -> int | None:
        return None


@dataclass(frozen=True)
class Door:
    """What a test has of the open door."""

    port: int
    client: aiohttp.ClientSession
    service: Service
    models: Models
    app: web.Application
    metrics: Metrics
    told: list[Tally]
    overheard: list[tuple[str, str, str]]
    """Of requests by their id: what, and its text."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def chat(self, model: str = "m", *, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Post a chat; to be used with ``async with``."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return self.client.post(f"{self.url}/v1/chat/completions", json=body, headers=headers)

    async def post(self, path: str, body: bytes, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
        """Post bytes as they are; status and decoded answer."""
        sent = {"Content-Type": kind, **headers}
        async with self.client.post(self.url + path, data=body, headers=sent) as answer:
            return answer.status, await answer.json()

    async def begin(
        self, path: str, *more: str, body: bytes = b"", limit: int = 1 << 16
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Post on a connection of its own, which stays open: header lines in ``more``, and ``body`` as it is."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *more]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return reader, writer

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and decoded answer."""
        async with self.client.get(self.url + path) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def open_door(
    *models: Model,
    limits: Limits = QUICK,
    routes: Mapping[str, tuple[str, ...]] | None = None,
    doorway: Doorway | None = None,
    overhear: bool = False,
) -> AsyncIterator[Door]:
    """A door over ``models``, and ``routes`` of several of them."""
    async with AsyncExitStack() as stack:
        for model in models:
            model.url = await stack.enter_async_context(_served(model))
        known = Models(models, routes or {})
        metrics = Metrics()
        service = Service(known, known, limits, observer=metrics)
        stack.push_async_callback(service.stop)
        connections = Connections(limits)
        told: list[Tally] = []
        overheard: list[tuple[str, str, str]] = []
        app = application(
            service,
            doorway,
            metrics=metrics,
            version="1.2.3",
            tell=told.append,
            overhear=(lambda *heard: overheard.append(heard)) if overhear else None,
            connections=lambda: connections.open,
        )
        port = await stack.enter_async_context(listened(app, limits, connections))
        client = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        yield Door(port, client, service, known, app, metrics, told, overheard)


@asynccontextmanager
async def open_upstream(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], limits: Limits = QUICK
) -> AsyncIterator[Door]:
    """A door over ``far``, an upstream that does ``serve`` with each connection and then closes it."""

    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(serves, "127.0.0.1", 0)
    far = Model("far", remote=True)
    async with server, open_door(far, limits=limits) as door:
        far.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield door


@asynccontextmanager
async def _served(model: Model) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/{path:.*}", model.handle)
    running = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await running.setup()
    try:
        site = web.TCPSite(running, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{running.addresses[0][1]}/v1"
    finally:
        await running.cleanup()


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` to its end; a minute is far more than it takes."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())
