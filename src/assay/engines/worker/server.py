"""The HTTP side of a worker: OpenAI's routes over one model, on 127.0.0.1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec
from aiohttp import web
from msgspec import structs

from assay.engines.worker import api_error
from assay.engines.worker.api_error import ApiError
from assay.engines.worker.choices import Choices, Counters, Delta
from assay.engines.worker.embeddings import EmbeddingAsk, Vectors, check_lengths, read_embeddings, told_vectors
from assay.engines.worker.gate import Gate
from assay.engines.worker.model import Embedder, Feature, Generation, Model, PromptInput, Refused, Spec
from assay.engines.worker.output import Output, plan_output, whole_calls
from assay.engines.worker.protocol import Shapes
from assay.engines.worker.request import Ask, read_chat, read_completion
from assay.engines.worker.token_trail import Told
from assay.engines.worker.tool_calls import CallPart
from assay.types import PROMPT_TOKENS

MAX_BODY = 64 * 1024 * 1024
Deltas = AsyncIterator[list[Delta]]
Reader = Callable[[Mapping[str, Any], frozenset[Feature]], Ask]


class Service:
    """The routes and their state. ``model`` is None until it is loaded; ``tell_broken`` is called once if it breaks."""

    def __init__(self, spec: Spec, tell_broken: Callable[[str], None]) -> None:
        self.spec = spec
        self.model: Model | None = None
        self.counters = Counters()
        self._created = int(time.time())
        self._tell_broken: Callable[[str], None] | None = tell_broken

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors, Gate(self.spec).pass_through])
        app.router.add_get("/health", self.health)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/completions", self.completions)
        app.router.add_post("/v1/embeddings", self.embeddings)
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """200 when requests are served; 503 while loading or broken, with the reason."""
        model, counters = self.model, self.counters
        broken = model.broken if model else None
        status = "loading" if model is None else "dead" if broken else "ok"
        body = {
            "status": status,
            "reason": broken,
            "model": self.spec.model,
            "slots": model.slots if model else None,
            "context_length": model.context_length if model else None,
            "requests": counters.requests,
            "running": counters.running,
            "cancelled": counters.cancelled,
            "generated_tokens": counters.generated_tokens,
            "progress": counters.progress,
        }
        return _json(body, 200 if status == "ok" else 503)

    async def models(self, _request: web.Request) -> web.Response:
        """The one model."""
        entry = {
            "id": self.spec.model,
            "object": "model",
            "created": self._created,
            "owned_by": "assay",
            "context_length": self.model.context_length if self.model else None,
        }
        return _json({"object": "list", "data": [entry]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """``/v1/chat/completions``."""
        return await self._serve(request, read_chat)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """``/v1/completions``."""
        return await self._serve(request, read_completion)

    async def embeddings(self, request: web.Request) -> web.Response:
        """``/v1/embeddings``."""
        model = self._ready()
        self.counters.requests += 1
        try:
            ask = read_embeddings(await _body(request), model)
            self._check_model(ask.model)
            prompts = await asyncio.to_thread(_inputs, model, ask)
            check_lengths(prompts, model.context_length)
            vectors = Vectors(cast("Embedder", model), prompts, self.counters)
        except Refused as error:
            error.param = "input" if error.param == "prompt" else error.param
            raise api_error.refused(error) from None
        try:
            found = await vectors.all()
        except Exception as error:
            raise api_error.engine_failed(f"{type(error).__name__}: {error}") from error
        finally:
            vectors.cancel()
            self._notice_broken(model)
        return _json(told_vectors(ask, found, prompts))

    async def _serve(self, request: web.Request, read: Reader) -> web.StreamResponse:
        model = self._ready()
        self.counters.requests += 1
        try:
            if isinstance(model, Embedder):
                raise Refused("this model gives embeddings only; use /v1/embeddings", param="model", code="unsupported")
            ask = read(await _body(request), model.features)
            self._check_model(ask.model)
            output, prompts = await asyncio.to_thread(_planned, model, ask)
            generations = _generations(model, ask, prompts, output)
        except Refused as error:
            raise api_error.refused(error) from None
        lengths = [prompt.length for prompt in prompts]
        shapes = Shapes(ask, None if None in lengths else sum(n for n in lengths if n is not None))
        given = [text for text in ask.texts or () for _ in range(ask.n)] if ask.echo else []
        completes = ask.messages is None
        choices = Choices(model, generations, ask.stop, self.counters, given=given, tells_end=completes)
        deltas = output.follow(choices.deltas(), len(generations))
        try:
            answer = self._stream if ask.stream else self._whole
            return await answer(request, choices, deltas, shapes, len(generations))
        finally:
            choices.cancel()
            self._notice_broken(model)

    async def _stream(
        self, request: web.Request, choices: Choices, deltas: Deltas, shapes: Shapes, count: int
    ) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        if shapes.prompt_tokens is not None:
            headers[PROMPT_TOKENS] = str(shapes.prompt_tokens)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        first = shapes.first(count)
        if first:
            await response.write(first)
        async for news in deltas:
            await response.write(b"".join(map(shapes.chunk, news)))
            if any(delta.finish == "error" for delta in news):
                return response
        await response.write(shapes.last(choices.completion_tokens, choices.cached_tokens))
        await response.write_eof()
        return response

    async def _whole(
        self, _request: web.Request, choices: Choices, deltas: Deltas, shapes: Shapes, count: int
    ) -> web.StreamResponse:
        texts: list[list[str]] = [[] for _ in range(count)]
        calls: list[list[CallPart]] = [[] for _ in range(count)]
        told: list[list[Told]] = [[] for _ in range(count)]
        finishes = ["stop"] * count
        async for news in deltas:
            for delta in news:
                if delta.error is not None:
                    raise api_error.engine_failed(delta.error)
                texts[delta.choice].append(delta.text)
                told[delta.choice].extend(delta.told)
                calls[delta.choice].extend(delta.calls)
                finishes[delta.choice] = delta.finish or finishes[delta.choice]
        joined = ["".join(parts) for parts in texts]
        made = [whole_calls(parts) for parts in calls]
        tokens, cached = choices.completion_tokens, choices.cached_tokens
        return _json(shapes.whole(joined, finishes, tokens, cached, told=told, calls=made))

    def _check_model(self, name: str) -> None:
        if name != self.spec.model:
            message = f"model {name!r} is not served here; this server has {self.spec.model!r}"
            raise api_error.not_found(message, param="model", code="model_not_found")

    def _ready(self) -> Model:
        if self.model is None:
            raise api_error.unavailable("the model is still loading")
        if self.model.broken:
            raise api_error.unavailable(f"the engine is broken: {self.model.broken}")
        return self.model

    def _notice_broken(self, model: Model) -> None:
        if model.broken and self._tell_broken:
            self._tell_broken(model.broken)
            self._tell_broken = None


def _planned(model: Model, ask: Ask) -> tuple[Output, list[PromptInput]]:
    """In one go, since every change of threads takes its time from the first token."""
    return plan_output(model, ask), _prompts(model, ask)


def _prompts(model: Model, ask: Ask) -> list[PromptInput]:
    if ask.messages is not None:
        tools = {} if ask.tools is None else {"tools": [dict(tool) for tool in ask.tools.given]}
        return [model.render(ask.messages, {**ask.template_options, **tools})]
    return _inputs(model, ask)


def _inputs(model: Model, ask: Ask | EmbeddingAsk) -> list[PromptInput]:
    if ask.texts is not None:
        return [model.encode(text) for text in ask.texts]
    return [model.wrap(ids) for ids in ask.ids or ()]


def _generations(model: Model, ask: Ask, prompts: list[PromptInput], output: Output) -> list[Generation]:
    if ask.sampling.logit_bias:
        _check_bias(model, ask)
    generations = []
    for prompt in prompts:
        least = 0 if ask.max_tokens == 0 else 1
        room = _room(model, prompt, "prompt" if ask.messages is None else "messages", least)
        limits = [limit for limit in (ask.max_tokens, room) if limit is not None]
        for i in range(ask.n):
            seed = None if ask.sampling.seed is None else ask.sampling.seed + i
            sampling = structs.replace(ask.sampling, seed=seed)
            generations.append(
                Generation(
                    prompt=prompt,
                    max_tokens=min(limits) if limits else None,
                    sampling=sampling,
                    top_logprobs=ask.top_logprobs,
                    echo=ask.echo,
                    json_schema=output.json_schema,
                    grammar=output.grammar,
                    markers=output.markers,
                )
            )
    return generations


def _check_bias(model: Model, ask: Ask) -> None:
    try:
        model.wrap(tuple(ask.sampling.logit_bias))
    except Refused as error:
        raise Refused(f"logit_bias: {error.message}", param="logit_bias", code=error.code) from None


def _room(model: Model, prompt: PromptInput, param: str, least: int) -> int | None:
    """Tokens left for the answer; raise ``Refused`` where there are fewer than ``least``, or no prompt at all."""
    if prompt.length == 0:
        raise Refused("the prompt is empty: it has no token", param=param)
    if model.context_length is None or prompt.length is None:
        return None
    room = model.context_length - prompt.length
    if room < least:
        raise Refused(
            f"the prompt has {prompt.told_length} tokens, but the context length is {model.context_length} tokens, "
            "prompt and answer together; shorten the prompt or start the model with a longer context",
            param=param,
            code="context_length_exceeded",
        )
    return room


async def _body(request: web.Request) -> Mapping[str, Any]:
    raw = await request.read()
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise api_error.bad_request(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise api_error.bad_request("the body must be a JSON object")
    return body


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _json(error.body, error.status)
    except web.HTTPException as error:
        message = f"{request.method} {request.path}: {error.reason}"
        return _json(ApiError(error.status, message, kind="invalid_request_error").body, error.status)
