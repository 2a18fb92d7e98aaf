"""The HTTP application over a service: who may come in, what is asked, what went wrong, what is counted."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from assay.errors import AssayError
from assay.serve import api_error
from assay.serve.api import Api
from assay.serve.bodies import BODIES, Bodies
from assay.serve.gone import Gone, drop
from assay.serve.metrics import Metrics
from assay.serve.overhear import Overhear
from assay.serve.proxy import Proxy
from assay.serve.refusal import Refused
from assay.serve.routes import OpenAi, client
from assay.serve.service import Service
from assay.serve.tally import TALLY, Tally, quiet

LEFT = 499
"""The status that stands in logs and metrics for a client that went away; nobody was sent it."""
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Tell = Callable[[Tally], None]


class Doorway(Protocol):
    """Decides who may come in: puts its middlewares behind those that the application has."""

    def attach(self, app: web.Application) -> None: ...


def application(
    service: Service,
    doorway: Doorway | None,
    *,
    metrics: Metrics,
    version: str,
    tell: Tell = quiet,
    overhear: Overhear | None = None,
    connections: Callable[[], int] | None = None,
) -> web.Application:
    """The application over a service that its maker starts and stops, with ``metrics`` as its observer.

    ``tell`` gets each request when it has ended: the access log. ``overhear`` gets prompts and answers, which nobody
    else does; None: they are kept nowhere. ``connections`` tells how many are open.
    ``doorway`` None: everybody may come in, which is for tests.
    """
    limits, clock = service.limits, service.clock

    def done(tally: Tally) -> None:
        metrics.request(tally)
        tell(tally)

    app = web.Application(middlewares=[_outermost(done, clock)], client_max_size=limits.body)
    app[BODIES] = Bodies(limits.bodies)
    app.on_response_prepare.append(_sign)
    if doorway is not None:
        doorway.attach(app)
    proxy = Proxy(limits, clock, overhear)
    app.cleanup_ctx.append(proxy.over)
    OpenAi(service, proxy, overhear).add_to(app)
    Api(service, metrics, version=version, connections=connections).add_to(app)
    return app


def _outermost(done: Tell, clock: Callable[[], float]) -> Middleware:
    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        tally = Tally(
            id=_id(request),
            method=request.method,
            path=request.path,
            route=_route(request),
            arrived=clock(),
            status=LEFT,
        )
        request[TALLY] = tally
        try:
            response = await _answer(request, handler, tally)
            tally.status = response.status
            return response
        finally:
            request.app[BODIES].release(request)
            tally.client = client(request)
            tally.ended = clock()
            done(tally)

    return outermost


async def _answer(request: web.Request, handler: Handler, tally: Tally) -> web.StreamResponse:
    """The handler's answer, or an error in OpenAI's form. What has begun cannot be answered any more: it is cut off."""
    try:
        return await handler(request)
    except Gone:
        raise
    except Refused as error:
        refusal = error.refusal
    except AssayError as error:
        refusal = api_error.of_error(error)
    except web.HTTPException as error:
        refusal = api_error.of_http(request, error)
        tally.code = refusal.code
        response = api_error.answer(refusal)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as error:
        if tally.begun or (isinstance(error, ConnectionError) and _left(request)):
            raise
        _log.exception("request %s: %s %s", tally.id, request.method, tally.route)
        refusal = api_error.unexpected()
    tally.code = refusal.code
    if tally.begun:
        raise drop(request)
    return api_error.answer(refusal)


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries."""
    tally = request.get(TALLY)
    if tally is not None:
        response.headers["X-Request-Id"] = tally.id
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers["Server"] = "assay"


def _id(request: web.Request) -> str:
    own = request.headers.get("X-Request-Id", "")
    return own if _SANE_ID.fullmatch(own) else f"req-{uuid.uuid4().hex}"


def _route(request: web.Request) -> str:
    """The route's pattern, never the path itself: there are few of those."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


def _left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
