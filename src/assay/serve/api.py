"""The door's own routes: how the service is, what is loaded, load and unload, metrics, and what can be asked of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec import structs

from assay.serve import body
from assay.serve.api_error import refused
from assay.serve.limits import MOST_TTL_S
from assay.serve.metrics import Metrics
from assay.serve.model_state import ModelState
from assay.serve.openapi import document
from assay.serve.page import page
from assay.serve.routes import as_json
from assay.serve.service import Service
from assay.types import Endpoint

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Api:
    """The handlers beside ``/v1``."""

    def __init__(
        self,
        service: Service,
        metrics: Metrics,
        *,
        version: str,
        connections: Callable[[], int] | None,
    ) -> None:
        self._service = service
        self._limits = service.limits
        self._metrics = metrics
        self._version = version
        self._clock = service.clock
        self._connections = connections
        self._started = time.time()
        self._began = service.clock()
        self._document = msgspec.json.encode(document(version))

    def add_to(self, app: web.Application) -> None:
        """Put the routes into the application."""
        add = app.router
        add.add_get("/", self.page)
        add.add_get("/docs", self.page)
        add.add_get("/health", self.health)
        add.add_get("/metrics", self.metrics)
        add.add_get("/openapi.json", self.openapi)
        add.add_get("/assay/status", self.status)
        add.add_get("/assay/models", self.models)
        add.add_post("/assay/load", self.load, expect_handler=body.expect)
        add.add_post("/assay/unload", self.unload, expect_handler=body.expect)

    async def page(self, request: web.Request) -> web.Response:
        """What a person sees who opens the address in a browser."""
        html = page(f"{request.scheme}://{request.host}", self._version, await self._service.listed())
        response = web.Response(text=html, content_type="text/html", charset="utf-8")
        response.headers["Content-Security-Policy"] = PAGE_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def health(self, _request: web.Request) -> web.Response:
        """Whether the service lives: always 200; ``stopping`` once it takes on nothing new."""
        return as_json({"status": "stopping" if self._service.stopping else "ok"})

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus's text format."""
        connections = self._connections() if self._connections else None
        text = self._metrics.text(self._service.models(), self._service.queued(), connections)
        return web.Response(body=text, headers={"Content-Type": self._metrics.content_type})

    async def openapi(self, _request: web.Request) -> web.Response:
        """The OpenAPI document."""
        return web.Response(body=self._document, content_type="application/json")

    async def status(self, request: web.Request) -> web.Response:
        """The service as a whole."""
        states = self._service.models()
        return as_json(
            {
                "status": "stopping" if self._service.stopping else "ok",
                "pid": os.getpid(),
                "version": self._version,
                "started": int(self._started),
                "uptime_s": round(self._clock() - self._began, 3),
                "address": f"{request.scheme}://{request.host}",
                "models": [state.id for state in states if state.state == "ready"],
                "preload": self._service.preload,
                "running": sum(state.running for state in states),
                "queued": self._service.queued(),
                "connections": self._connections() if self._connections else None,
                "memory": {
                    "budget": self._limits.memory,
                    "reserved": sum(state.reserved or 0 for state in states),
                    "resident": sum(state.resident or 0 for state in states),
                },
                "limits": structs.asdict(self._limits),
            }
        )

    async def models(self, _request: web.Request) -> web.Response:
        """Models that are up, on their way or in trouble."""
        now = self._clock()
        states = self._service.models()
        return as_json({"models": [plain(state, now, self._service.endpoint(state.id)) for state in states]})

    async def load(self, request: web.Request) -> web.Response:
        """Have a model up; answers when it is."""
        asked = await self._asked(request, {"model", "ttl"})
        state = await self._service.load(body.model_of(asked), ttl=_ttl(asked.get("ttl")))
        return as_json(plain(state, self._clock(), self._service.endpoint(state.id)))

    async def unload(self, request: web.Request) -> web.Response:
        """Take a model down; answers with the ids of those that go."""
        asked = await self._asked(request, {"model", "force"})
        force = asked.get("force")
        if force is not None and not isinstance(force, bool):
            raise refused(400, "invalid_value", "force must be true or false", param="force")
        return as_json({"unloaded": await self._service.unload(body.model_of(asked), force=bool(force))})

    async def _asked(self, request: web.Request, known: set[str]) -> dict[str, Any]:
        limits = structs.replace(self._limits, body=min(self._limits.body, body.SMALL))
        asked = body.decode(await body.read(request, limits))
        unknown = sorted(set(asked) - known)
        if unknown:
            message = f"{unknown[0][:80]} is not a field of this request; known: {', '.join(sorted(known))}"
            raise refused(400, "unknown_field", message, param=unknown[0][:80])
        return asked


def plain(state: ModelState, now: float, endpoint: Endpoint | None) -> dict[str, Any]:
    """A model as ``ps`` shows it: bytes, and seconds from now where the state has moments."""
    return {
        "id": state.id,
        "alias": state.offer.variant.alias,
        "engine": state.offer.engine,
        "engine_version": endpoint.engine_version if endpoint else None,
        "context_length": endpoint.context_length if endpoint else None,
        "state": state.state,
        "running": state.running,
        "waiting": state.waiting,
        "slots": state.slots,
        "reserved": state.reserved,
        "resident": state.resident,
        "load_s": state.load_s,
        "idle_s": None if state.idle_since is None else round(max(0.0, now - state.idle_since), 3),
        "expires_s": None if state.expires is None else round(max(0.0, state.expires - now), 3),
        "retry_s": None if state.retry_at is None else round(max(0.0, state.retry_at - now), 3),
        "pinned": state.pinned,
        "crashes": state.crashes,
        "problem": state.problem,
    }


def _ttl(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in {int, float} or not 0 <= value <= MOST_TTL_S:
        raise refused(400, "invalid_value", f"ttl must be seconds, 0 to {MOST_TTL_S}", param="ttl")
    return float(value)
