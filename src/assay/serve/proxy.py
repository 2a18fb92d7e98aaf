"""Passes a request to the model that it was granted, and the bytes of the answer back as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from aiohttp import HttpVersion11, web
from yarl import URL

from assay.serve import api_error
from assay.serve.body import JSON, Body
from assay.serve.event_stream import EventStream, Read
from assay.serve.gone import Gone, drop
from assay.serve.lease import Lease
from assay.serve.limits import Limits
from assay.serve.overhear import Ear, Overhear
from assay.serve.refusal import INVALID, SERVER, Refusal
from assay.serve.tally import TALLY, Tally
from assay.types import PROMPT_TOKENS

CONNECT_S = 10.0
WHOLE = 16 << 20
"""Bytes of an answer that are read before its head is sent, so that a model that dies in it can be told of."""
MOST_ERROR = 64 << 10
PROBLEM_S = 0.5
"""How long to wait for word of why a connection broke."""
LOST = "model_lost"
EVENTS = "text/event-stream"
_PASSED = frozenset({"content-type", "content-encoding", "retry-after"})
_PASSED_STARTS = ("x-ratelimit-", "openai-")
_BUSY = frozenset({502, 503, 504})
_NOT_NOW = _BUSY | {401, 403, 429}
"""Of an upstream: another one may do better."""


class Unanswered(Exception):
    """The model gave no byte of an answer: the request may be sent to another, or again."""

    def __init__(self, lease: Lease, why: str) -> None:
        super().__init__(why)
        self.lease = lease
        self.why = why


class Proxy:
    """The client side of the door; it works while the application runs that ``over`` is a cleanup context of."""

    def __init__(self, limits: Limits, clock: Callable[[], float], overhear: Overhear | None) -> None:
        self._clock = clock
        self._overhear = overhear
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """To upstreams (True), and to workers."""
        self._limits = limits

    async def over(self, _app: web.Application) -> AsyncIterator[None]:
        """Open; at the end, close every connection to a model."""
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_kept)
        self._sessions = {True: _session(trace), False: _session()}
        yield
        for session in self._sessions.values():
            await session.close()

    async def forward(self, request: web.Request, lease: Lease, path: str, body: Body) -> web.StreamResponse:
        """Post ``body`` to ``path`` of the endpoint; gives the answer: a stream that was sent, or one still to be sent.

        Raise ``Unanswered`` where no byte came, ``Gone`` where the client left; both leave the model at rest.
        """
        tally = request[TALLY]
        tally.model = lease.variant.id
        ear = Ear() if self._overhear else None
        exchange = _Exchange(request, lease, tally, self._clock, ear, limits=self._limits)
        upstream: aiohttp.ClientResponse | None = None
        try:
            async with _while_unbroken(lease):
                upstream = await self._post(lease, path, body, tally.id)
                return await exchange.answer(upstream)
        except Gone:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return await exchange.broken(_why(error))
        finally:
            if upstream is not None:
                upstream.close()
            if self._overhear and ear and (text := ear.text()):
                self._overhear(tally.id, "answer", text)

    async def _post(self, lease: Lease, path: str, body: Body, id_: str) -> aiohttp.ClientResponse:
        session = self._sessions.get(lease.offer.remote)
        if session is None:
            raise RuntimeError("the application does not run")
        endpoint, kept = lease.live.endpoint, asyncio.Event()

        async def post() -> aiohttp.ClientResponse:
            return await session.post(
                URL(endpoint.url + path, encoded=True),
                data=body.named(endpoint.model),
                headers={"Content-Type": JSON, "X-Request-Id": id_, **lease.live.headers},
                allow_redirects=False,
                trace_request_ctx=kept,
            )

        if not lease.offer.remote:
            return await post()
        # A worker is looked after by its watch; of an upstream nothing else is known.
        async with asyncio.timeout(self._limits.wait_s):
            try:
                return await post()
            except aiohttp.ServerDisconnectedError:
                # A server may close a kept connection just as it is used again; from a new one it has read the request.
                if not kept.is_set():
                    raise
                return await post()


def _session(*traces: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": "assay", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        read_bufsize=1 << 16,
        trace_configs=[*traces],
    )


async def _note_kept(_session: aiohttp.ClientSession, context: SimpleNamespace, _told: object) -> None:
    context.trace_request_ctx.set()


class _Together(web.StreamResponse):
    """A stream whose head goes out with its first event, which saves a packet just where time counts."""

    _send_headers_immediately = False


class _Exchange:
    def __init__(
        self,
        request: web.Request,
        lease: Lease,
        tally: Tally,
        clock: Callable[[], float],
        ear: Ear | None,
        *,
        limits: Limits,
    ) -> None:
        self._clock = clock
        self._ear = ear
        self._request = request
        self._lease = lease
        self._limits = limits
        self._tally = tally
        self._response: web.StreamResponse | None = None
        self._stream: EventStream | None = None

    async def answer(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        if upstream.status != 200:
            return await self._not_ok(upstream)
        headers = {**_passed(upstream), **told(self._lease)}
        if upstream.content_type == EVENTS and "Content-Encoding" not in upstream.headers:
            if not self._lease.offer.remote and PROMPT_TOKENS in upstream.headers:
                self._tally.prompt_tokens = int(upstream.headers[PROMPT_TOKENS])
            response = await self._begin(_Together(headers=headers))
            read = self._reading(upstream, self._limits.stall_s)
            framed = any(name in upstream.headers for name in ("Transfer-Encoding", "Content-Length"))
            self._stream = EventStream(read, response, self._tally, self._clock, self._ear, framed=framed)
            await self._stream.go()
            return response
        read = self._reading(upstream, self._limits.wait_s)
        first, complete = await _read(read, WHOLE, self._ear)
        if complete:
            self._tally.answered(first)
            return web.Response(body=first, headers=headers)
        if upstream.content_length is not None:
            headers["Content-Length"] = str(upstream.content_length)
        response = await self._begin(web.StreamResponse(headers=headers))
        chunk = first
        while chunk:
            await _write(response, chunk)
            chunk = await read()
        return response

    async def broken(self, why: str) -> web.StreamResponse:
        """The model's side ended too soon: an event says so, or ``Unanswered`` where nothing was sent."""
        lease = self._lease
        lease.failed(why)
        if lease.problem is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(lease.broken.wait(), PROBLEM_S)
        problem = lease.problem or why
        if self._response is None:
            raise Unanswered(lease, problem)
        self._tally.code = LOST
        if self._stream is None or not self._stream.whole:
            raise drop(self._request)
        refusal = Refusal(
            status=502,
            code=LOST,
            message=f"{lease.variant.id} could not finish this answer: {problem}",
            kind=SERVER,
        )
        await _write(self._response, api_error.event(refusal))
        return self._response

    def _reading(self, upstream: aiohttp.ClientResponse, then_s: float) -> Read:
        """Awaits an upstream's first bytes for ``wait_s`` and further ones for ``then_s``; our own reader's time is not
        counted. ``TimeoutError`` where none come.
        """
        read = upstream.content.readany
        if not self._lease.offer.remote:
            return read
        patience_s = self._limits.wait_s

        async def patient() -> bytes:
            nonlocal patience_s
            async with asyncio.timeout(patience_s):
                data = await read()
            patience_s = then_s
            return data

        return patient

    async def _begin(self, response: web.StreamResponse) -> web.StreamResponse:
        self._response = response
        self._tally.begun = True
        if self._request.version < HttpVersion11:
            response.force_close()  # nothing else tells the end
        await response.prepare(self._request)
        return response

    async def _not_ok(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        """An error as the model gave it, though never with the key that was sent to it."""
        lease, status = self._lease, upstream.status
        raw, _ = await _read(self._reading(upstream, self._limits.wait_s), MOST_ERROR, self._ear)
        text = _without_secrets(raw.decode("utf-8", "replace"), lease.live.headers)
        said = _decoded(text)
        message = _message(said, text) or f"HTTP {status}"
        if _passes_on(lease, status):
            lease.failed(f"HTTP {status}: {message}")
            raise Unanswered(lease, message)
        if lease.offer.remote and status in {401, 403}:
            message = f"the upstream of {lease.variant.id} refused the key of this service (HTTP {status}): {message}"
            refusal = Refusal(status=502, code="upstream_refused", message=message, kind=SERVER)
        elif status < 400:
            message = f"{lease.variant.id} answered with HTTP {status}, which is no answer"
            refusal = Refusal(status=502, code="bad_upstream", message=message, kind=SERVER)
        elif _shaped(said):
            headers = {**_passed(upstream), "Content-Type": JSON, **told(lease)}
            return web.Response(body=text.encode("utf-8", "replace"), status=status, headers=headers)
        else:
            kind = INVALID if status < 500 else SERVER
            refusal = Refusal(status=status, code="upstream_error", message=message, kind=kind)
        self._tally.code = refusal.code
        response = api_error.answer(refusal)
        response.headers.update(told(lease))
        return response


def _passes_on(lease: Lease, status: int) -> bool:
    """Whether an answer of that status sends the request on: to the worker's next life, or to the next offer."""
    if not lease.offer.remote:
        return status in _BUSY
    return status in _NOT_NOW and lease.offer.id != lease.ticket.route.offers[-1].id


@asynccontextmanager
async def _while_unbroken(lease: Lease) -> AsyncIterator[None]:
    """What awaits inside gets ``TimeoutError`` when the model is gone, also where its connection would stay open."""
    async with asyncio.timeout(None) as timeout:

        def end() -> None:
            timeout.reschedule(asyncio.get_running_loop().time())

        lease.on_broken = end
        if lease.problem is not None:
            end()
        try:
            yield
        finally:
            lease.on_broken = None


async def _write(response: web.StreamResponse, data: bytes) -> None:
    try:
        await response.write(data)
    except ConnectionError as error:
        raise Gone(str(error)) from None


def told(lease: Lease) -> dict[str, str]:
    """The headers that tell what served a request and what it waited for."""
    headers = {
        "X-Assay-Model": lease.variant.id,
        "X-Assay-Engine": lease.offer.engine,
        "X-Assay-Wait-Ms": f"{lease.waited * 1000:.0f}",
    }
    if lease.loading is not None:
        headers["X-Assay-Load-Ms"] = f"{lease.loading * 1000:.0f}"
    if lease.passed:
        headers["X-Assay-Passed-Over"] = "; ".join(lease.passed)[:2000]
    return {name: _header(value) for name, value in headers.items()}


def _header(value: str) -> str:
    if value.isascii() and value.isprintable():
        return value
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in value)


def _passed(upstream: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        name: _header(value)
        for name, value in upstream.headers.items()
        if (lower := name.lower()) in _PASSED or lower.startswith(_PASSED_STARTS)
    }


async def _read(read: Read, most: int, ear: Ear | None) -> tuple[bytes, bool]:
    """The first bytes of an answer, and whether they are all of it."""
    parts: list[bytes] = []
    size = 0
    while size <= most:
        part = await read()
        if not part:
            return b"".join(parts), True
        if ear:
            ear.hear(part)
        parts.append(part)
        size += len(part)
    return b"".join(parts), False


def _without_secrets(text: str, headers: Mapping[str, str]) -> str:
    for value in headers.values():
        for secret in (value, value.removeprefix("Bearer ")):
            if secret:
                text = text.replace(secret, "***")
    return text


def _decoded(text: str) -> Any:
    """What an error says as JSON; the text as it is where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _shaped(said: Any) -> bool:
    return isinstance(said, dict) and isinstance(said.get("error"), dict)


def _message(said: Any, text: str) -> str:
    """What an error says, in a line."""
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and name in said:
            said = said[name]
    return " ".join((said if isinstance(said, str) else text).split())[:500]


def _why(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection to it"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return f"its answer broke off ({str(error) or type(error).__name__})"
