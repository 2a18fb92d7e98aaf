"""Who may come in, as aiohttp has it: each request passes Host, Origin, key and rates, in that order, or is refused.

In: requests, and the pure decisions of ``hosts``, ``keys`` and ``rates``. Out: ``request[CLIENT]``, whom to be fair
to, or ``Refused``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import hdrs, web

from assay.serve.connections import Connection
from assay.serve.hosts import Hosts, KeyRule, judge_host, judge_origin
from assay.serve.keys import ONLY_OWN, Key, KeyFile, is_secret, judge_key, presented
from assay.serve.rates import Rates, client_address
from assay.serve.refusal import INVALID, Refusal, Refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN = frozenset({"/health"})
"""Paths that need no key."""
ADMIN = frozenset({"/assay/stop"})
"""Paths that only this user's own commands may use: others who use the service must not end it."""
OWN = "(this user)"
"""The client that this user's own commands are; no key can be called so."""
CLIENT: web.RequestKey[str] = web.RequestKey("client", str)
"""Whom to be fair to: the name of the key that a request showed, else the address that it came from."""
CORS: web.RequestKey[str | None] = web.RequestKey("cors", str)
"""The page that may read the answer."""
EXPOSED = (
    "Retry-After, X-Request-Id, X-Assay-Model, X-Assay-Engine, X-Assay-Load-Ms, X-Assay-Wait-Ms, X-Assay-Passed-Over"
)
"""Headers of an answer that a page may read."""
PREFLIGHT_S = 600
NAMES = re.compile(r"[A-Za-z0-9_-]+(?:[ \t]*,[ \t]*[A-Za-z0-9_-]+)*")
"""Names of headers, as a page asks whether it may send them."""


class Gate:
    """The one way in. ``attach`` it to an application before the application starts.

    ``hosts``, ``origins`` and ``rule`` come from ``hosts_of``, ``parse_origins`` and ``judge_opening``. ``admin_key``
    lets this user's own commands in without limits, and alone opens ``ADMIN``; None: nobody has one.
    """

    def __init__(
        self,
        *,
        hosts: Hosts,
        keys: KeyFile,
        rule: KeyRule = "if_any",
        origins: frozenset[str] = frozenset(),
        admin_key: str | None = None,
        rates: Rates | None = None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hosts = hosts
        self._keys = keys
        self._rule = rule
        self._origins = origins
        self._admin_key = admin_key
        self._rates = rates or Rates()
        self._clock = clock
        self._today = today

    def attach(self, app: web.Application) -> None:
        """Put the gate behind the middlewares that ``app`` has already and before those that it gets later.

        One of the former turns ``Refused`` into an answer.
        """
        app.middlewares.append(self.pass_through)
        app.on_response_prepare.append(self.mark)

    @web.middleware
    async def pass_through(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the request in to ``handler``, or answer why not."""
        if not isinstance(request.protocol, Connection):
            return await self._judge(request, handler)
        request.protocol.begin()
        try:
            return await self._judge(request, handler)
        finally:
            request.protocol.end(whole=request.content.is_eof())

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say on an answer which page may read it; nothing where no page may."""
        allowed = request.get(CORS)
        if allowed is not None:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = allowed
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED
        if self._origins:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)

    async def _judge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address = request[CLIENT] = client_address(peer)
        self._check_place(request)
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return _preflight(request)
        if request.path in OPEN:
            return await handler(request)
        now = self._clock()
        headers = request.headers
        given = presented(headers.get(hdrs.AUTHORIZATION), (headers.get("api-key"), headers.get("x-api-key")))
        if self._admin_key is not None and is_secret(given, self._admin_key):
            request[CLIENT] = OWN
            return await handler(request)
        if request.path in ADMIN:
            raise Refused(ONLY_OWN)
        key = self._key(given, address, now)
        if key is None:
            return await handler(request)
        request[CLIENT] = key.name
        refusal = self._rates.enter(key, now)
        if refusal is not None:
            raise Refused(refusal)
        try:
            return await handler(request)
        finally:
            self._rates.leave(key)

    def _key(self, given: str | None, address: str, now: float) -> Key | None:
        key = judge_key(self._keys.ring(), self._rule, given, self._today())
        if not isinstance(key, Refusal):
            return key
        # Good keys get in however many wrong ones come from their address: 256 bits are not guessed, and whoever could
        # shut an address out could shut out everybody behind it.
        wrong = given is not None and key.status == 401
        raise Refused((self._rates.failed(address, now) if wrong else None) or key)

    def _check_place(self, request: web.Request) -> None:
        """Whether it was sent to a name of ours and from a page that may; notes what that page may read."""
        if not request.raw_path.startswith("/") and request.raw_path != "*":
            raise _bad("this is no proxy: ask for a path, not for a whole address", "bad_target")
        authority = judge_host(self._hosts, request.headers.getall(hdrs.HOST, []))
        if isinstance(authority, Refusal):
            raise Refused(authority)
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if len(origins) > 1:
            raise _bad("a request must not have several Origin headers", "bad_origin")
        allowed = judge_origin(
            self._origins,
            authority,
            request.method,
            origin=origins[0] if origins else None,
            site=request.headers.get("Sec-Fetch-Site"),
        )
        if isinstance(allowed, Refusal):
            raise Refused(allowed)
        request[CORS] = allowed


def _preflight(request: web.Request) -> web.Response:
    """What a listed page may send; one that is not listed is told nothing."""
    if request.get(CORS) is None:
        return web.Response(status=204)
    headers = {hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST", hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_S)}
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "")
    if NAMES.fullmatch(asked):
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
    return web.Response(status=204, headers=headers)


def _bad(message: str, code: str) -> Refused:
    return Refused(Refusal(status=400, code=code, kind=INVALID, message=message))
