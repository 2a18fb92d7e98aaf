"""The measuring client: one request to an OpenAI-compatible endpoint gives one sample, whatever happens.

``sent_ns`` is taken in the hook that aiohttp calls right before it writes the request (head and body leave in one
write), so neither connecting nor the loop's queue is in a figure. No compression is asked for, as it would hold
tokens back; redirects are not followed, as they would carry the key elsewhere.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from msgspec import structs

from assay.measure.tap import read_body
from assay.measure.transcript import Transcript
from assay.measure.wire import Counting, error_text, messages_of, parameters_of, request_body
from assay.types import Decoding, Endpoint, Prompt, Sample

KEEP_ALIVE_S = 2.0
"""Shorter than any server's own, so that no request rides on a connection that is being closed."""
_CUT = "Response payload is not completed"
"""How aiohttp begins to say that a body was cut; the rest is about its own parser."""
_REFUSALS = frozenset({400, 422})
_COUNTING_FIELDS = ("stream_options", "continuous_usage_stats", "include_usage")

Headed = Callable[[Mapping[str, str]], None]


@dataclass
class _Exchange:
    """One request and what came back of it."""

    transcript: Transcript = field(default_factory=Transcript)
    headed: Headed | None = None
    sent_ns: int | None = None
    first_byte_ns: int | None = None
    done_ns: int | None = None
    refused_counting: bool = False


async def _stamp_sent(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestChunkSentParams
) -> None:
    exchange = context.trace_request_ctx
    if exchange.sent_ns is None:
        exchange.sent_ns = time.monotonic_ns()


class Client:
    """Asks one endpoint. Use as ``async with Client(endpoint, ...) as client``.

    ``connections`` bounds how many are open at once; ``headers`` (the API key among them) and the endpoint's own are
    sent with every request and appear in no sample: an echo of one in an error message is blotted out. ``tls`` says
    whom to trust, None: whom the system does.

    Streams are asked for token counts in every chunk (``stream_options.continuous_usage_stats``), which makes the count
    of a coalesced first chunk exact. A server that answers 400 or 422 to that is asked for counts at the end only, then
    for none; what it accepts is remembered, so this happens in the first request, and the sample is that of the
    request that was accepted. ``token_source`` tells the outcome.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connections: int = 1,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = f"{endpoint.url}/chat/completions"
        self._model = endpoint.model
        self._connections = connections
        self._headers = {**(headers or {}), **endpoint.headers}
        self._tls: ssl.SSLContext | bool = tls or True
        self._counting = Counting.EVERY_CHUNK
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_chunk_sent.append(_stamp_sent)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEP_ALIVE_S, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **self._headers},
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(
        self,
        prompt: Prompt,
        decoding: Decoding,
        blank: Sample,
        *,
        stream: bool = True,
        timeout_s: float = 120.0,
        heard: Callable[[str], None] | None = None,
    ) -> Sample:
        """``blank`` completed with what this request measured; a failure is a sample with ``error``, never raised.

        ``timeout_s`` is for the whole request, connecting included. ``heard`` gets each piece of text as it comes, for
        somebody who reads along; its own time is then part of the gaps.
        """
        messages, parameters = messages_of(prompt), parameters_of(decoding)
        return await self.chat(messages, parameters, blank, stream=stream, timeout_s=timeout_s, heard=heard)

    async def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        parameters: Mapping[str, Any],
        blank: Sample,
        *,
        stream: bool = True,
        timeout_s: float = 120.0,
        heard: Callable[[str], None] | None = None,
        headed: Headed | None = None,
    ) -> Sample:
        """The same for a whole conversation; ``parameters`` are fields of the request, those that are None left out.

        ``headed`` gets the headers of the answer before its text comes.
        """
        while True:
            counting = self._counting
            body = request_body(self._model, messages, parameters, stream=stream, counting=counting)
            exchange = _Exchange(Transcript(heard), headed)
            await self._run(exchange, body, timeout_s)
            if not (stream and exchange.refused_counting and counting < Counting.NOTHING):
                return self._sample(exchange, blank)
            self._counting = max(self._counting, Counting(counting + 1))

    async def _run(self, exchange: _Exchange, body: bytes, timeout_s: float) -> None:
        transcript = exchange.transcript
        try:
            async with asyncio.timeout(timeout_s):
                await self._post(exchange, body)
            exchange.done_ns = time.monotonic_ns()
            transcript.end()
        except TimeoutError:
            transcript.settle()
            got = f"after {transcript.chunks} chunks of text" if transcript.chunks else "and no text had come"
            transcript.fail("timeout", f"not finished within {timeout_s:g} s, {got}")
        except (aiohttp.ClientError, OSError) as error:
            transcript.settle()
            kind, message = _explain(error, answered=exchange.first_byte_ns is not None)
            transcript.fail(kind, message)

    async def _post(self, exchange: _Exchange, body: bytes) -> None:
        request = self._session.post(self._url, data=body, allow_redirects=False, trace_request_ctx=exchange)
        async with request as response:
            exchange.first_byte_ns = time.monotonic_ns()
            if exchange.headed is not None:
                exchange.headed(response.headers)
            if response.status == 200:
                await read_body(response, exchange.transcript)
                return
            told = error_text(self._blotted(await response.text(errors="replace")).encode())
            if response.status in _REFUSALS and any(name in told for name in _COUNTING_FIELDS):
                exchange.refused_counting = True
            if 300 <= response.status < 400:
                told = f"it redirects to {response.headers.get('Location', 'nowhere')}, which is not followed"
            message = f"HTTP {response.status}: {told or response.reason or 'no reason given'}"
            exchange.transcript.fail("http", message, response.status)

    def _sample(self, exchange: _Exchange, blank: Sample) -> Sample:
        done_ns = exchange.done_ns or time.monotonic_ns()
        sample = exchange.transcript.onto(blank)
        error = sample.error
        if error is not None:
            error = structs.replace(error, message=self._blotted(error.message))
        return structs.replace(
            sample, sent_ns=exchange.sent_ns, first_byte_ns=exchange.first_byte_ns, done_ns=done_ns, error=error
        )

    def _blotted(self, message: str) -> str:
        for value in self._headers.values():
            for secret in (value, value.removeprefix("Bearer ")):
                if len(secret) > 3:
                    message = message.replace(secret, "***")
        return message


def _explain(error: BaseException, *, answered: bool) -> tuple[str, str]:
    """Kind and message of a transport error."""
    if isinstance(error, aiohttp.ServerDisconnectedError) and not answered:
        return "connect", "the server closed the connection before it answered"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return "protocol", f"the answer is not HTTP: {error}"
    if isinstance(error, aiohttp.ClientConnectorError) or not answered:
        return "connect", f"no connection: {error}"
    if isinstance(error, aiohttp.ClientPayloadError) and str(error).startswith(_CUT):
        return "stream", "the connection broke off before the answer ended"
    return "stream", f"the connection broke off: {error}"
