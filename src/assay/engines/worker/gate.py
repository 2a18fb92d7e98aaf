"""Who may speak to a worker: programs of this machine, and no page in somebody's browser."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from assay.engines.worker import api_error

JSON = "application/json"
LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


@web.middleware
async def keep_pages_out(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let ``request`` in to ``handler``; raise ``ApiError`` where a page may have sent it.

    A page says where it is from, or reaches a worker by a name that was made to point here ("DNS rebinding"), or sends
    a type of body that browsers do not ask about first.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or not LOOPBACK.fullmatch(hosts[0]):
        raise api_error.forbidden("a worker answers to the names of loopback alone", code="host_not_allowed")
    if hdrs.ORIGIN in request.headers:
        raise api_error.forbidden("pages may not speak to a worker; ask the service", code="origin_not_allowed")
    if request.method == hdrs.METH_POST and request.content_type != JSON:
        raise api_error.wrong_type(f"the body must be {JSON}, not {request.content_type}")
    return await handler(request)
