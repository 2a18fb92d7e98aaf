"""OpenAI's routes: a body in, a lease, and the model's own answer out."""

from __future__ import annotations

import math
import time
from typing import Any

import msgspec
from aiohttp import web
from msgspec import structs

from assay.serve import body
from assay.serve.api_error import refused
from assay.serve.body import expect
from assay.serve.gate import CLIENT
from assay.serve.lease import Lease
from assay.serve.limits import MOST_TTL_S
from assay.serve.offer import Listed
from assay.serve.overhear import Overhear, heard
from assay.serve.proxy import LOST, Proxy, Unanswered
from assay.serve.refusal import SERVER, Refusal, Refused
from assay.serve.service import Service
from assay.serve.tally import TALLY

TIMEOUT = "X-Assay-Timeout"
TTL = "X-Assay-Ttl"
POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


class OpenAi:
    """The handlers under ``/v1``."""

    def __init__(self, service: Service, proxy: Proxy, overhear: Overhear | None) -> None:
        self._service = service
        self._limits = service.limits
        self._proxy = proxy
        self._overhear = overhear
        self._started = int(time.time())

    def add_to(self, app: web.Application) -> None:
        """Put the routes into the application."""
        for path in POSTS:
            app.router.add_post(path, self.answer, expect_handler=expect)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/v1/models/{id:.+}", self.model)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Whatever is posted: the model that the body names answers it."""
        wait_s = _seconds(request, TIMEOUT, self._limits.wait_s)
        ttl = _seconds(request, TTL, MOST_TTL_S)
        asked = body.parse(await body.read(request, self._limits))
        if self._overhear:
            self._overhear(request[TALLY].id, "prompt", heard(asked.raw))
        path = request.path.removeprefix("/v1")
        who = client(request)
        after: Lease | None = None
        restarted = False
        while True:
            lease = self._service.lease(asked.model, who, weight=asked.weight, wait_s=wait_s, ttl=ttl, after=after)
            try:
                async with lease as granted:
                    return await self._proxy.forward(request, granted, path, asked)
            except Unanswered as failure:
                after = failure.lease
                if (restarted and not after.offer.remote) or not self._may_repeat(failure):
                    raise Refused(_unanswered(failure)) from None
                restarted = restarted or not after.offer.remote

    async def models(self, _request: web.Request) -> web.Response:
        """Every name that can be asked for."""
        listed = await self._service.listed()
        return as_json({"object": "list", "data": [self._entry(one) for one in listed]})

    async def model(self, request: web.Request) -> web.Response:
        """One of them, by any name that a request may use."""
        name = request.match_info["id"]
        listed = {one.id.lower(): one for one in await self._service.listed()}
        known = listed.get(name.lower())
        if known is None:
            variant = (await self._service.route(name)).offers[0].variant
            known = listed.get(variant.id.lower()) or Listed(id=name, kind="variant", variant=variant)
        return as_json(self._entry(structs.replace(known, id=name)))

    def _entry(self, one: Listed) -> dict[str, Any]:
        variant = one.variant
        return {
            "id": one.id,
            "object": "model",
            "created": self._started,
            "owned_by": "assay",
            "kind": one.kind,
            "variant": variant.id,
            **({"variants": one.tries} if one.tries else {}),
            "context_length": variant.context_length,
            "task": "embedding" if variant.embeds else "text-generation",
        }

    def _may_repeat(self, failure: Unanswered) -> bool:
        """Not where it was taken down on purpose, which a second try would undo."""
        offer = failure.lease.offer
        return offer.remote or any(
            state.id == offer.id and state.state != "stopping" and not state.leaving for state in self._service.models()
        )


def client(request: web.Request) -> str:
    """Whom the service is to be fair to: the name of the key that was shown, else the address."""
    return str(request.get(CLIENT) or request.remote or "unknown")


def _unanswered(failure: Unanswered) -> Refusal:
    lease = failure.lease
    message = f"{lease.variant.id} gave no answer: {failure.why}"
    if lease.offer.remote:
        return Refusal(status=502, code="upstream_failed", message=message, kind=SERVER)
    return Refusal(status=503, code=LOST, message=message, retry_after=1.0)


def _seconds(request: web.Request, name: str, most: float) -> float | None:
    """A header in seconds, ``most`` where it is more; None where it was not sent."""
    text = request.headers.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise refused(400, "invalid_value", f"{name} must be a number of seconds, 0 or more", param=name)
    return min(value, most)


def as_json(content: Any) -> web.Response:
    """An answer of the door's own."""
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
