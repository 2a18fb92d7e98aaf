"""Who may speak to a worker: whoever has its key, and no page in somebody's browser."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from assay.engines.worker import api_error
from assay.engines.worker.model import Spec

JSON = "application/json"
LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


class Gate:
    """The one way in to the routes of a worker."""

    def __init__(self, spec: Spec) -> None:
        self._authorization = spec.headers[hdrs.AUTHORIZATION].encode()

    @web.middleware
    async def pass_through(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let ``request`` in to ``handler``; raise ``ApiError`` where it has no key, or a page may have sent it."""
        _keep_pages_out(request)
        given = request.headers.get(hdrs.AUTHORIZATION, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._authorization):
            raise api_error.unauthorized("a worker answers only to who started it; ask the service")
        return await handler(request)


def _keep_pages_out(request: web.Request) -> None:
    """A page says where it is from, or reaches a worker by a name that was made to point here ("DNS rebinding"), or
    sends a type of body that browsers do not ask about first.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or not LOOPBACK.fullmatch(hosts[0]):
        raise api_error.forbidden("a worker answers to the names of loopback alone", code="host_not_allowed")
    if hdrs.ORIGIN in request.headers:
        raise api_error.forbidden("pages may not speak to a worker; ask the service", code="origin_not_allowed")
    if request.method == hdrs.METH_POST and request.content_type != JSON:
        raise api_error.wrong_type(f"the body must be {JSON}, not {request.content_type}")
