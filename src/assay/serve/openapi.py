"""The OpenAPI 3.1 document: every route of the door, what it takes and what it may answer."""

from __future__ import annotations

from assay.serve.openapi_answers import ANSWERS, Doc, ref
from assay.serve.openapi_requests import REQUESTS

ALWAYS = (400, 401, 403, 408, 429, 431, 500, 503)
POSTED = (404, 413, 415, 417)
ASKED = (502, 504)
_WHY = {
    400: "The request is wrong; `param` names the field",
    401: "A key is missing or not valid",
    403: "The Host or Origin header is not one that this service answers to",
    404: "No such model",
    408: "The request did not arrive in time",
    413: "The body is larger than the service takes",
    415: "The body is not application/json in UTF-8",
    417: "The Expect header wants something else than 100-continue",
    429: "Too many requests wait, or too many of this client; `Retry-After` says when to come back",
    431: "The head is larger than the service takes",
    500: "The engine failed, or the service did",
    502: "The model's process or upstream broke off, or refused this service",
    503: "The model cannot be had now: too little memory, it keeps crashing, the wait was long, or the service stops",
    504: "An upstream took too long",
}
_SECURITY: list[Doc] = [{"bearer": []}, {}]
_TOLD = {
    "X-Assay-Model": ("The id of the variant that answered", "string"),
    "X-Assay-Engine": ("Its engine", "string"),
    "X-Assay-Wait-Ms": ("How long the request waited for it, a load included", "integer"),
    "X-Assay-Load-Ms": ("How long the load took that it waited for", "integer"),
    "X-Assay-Passed-Over": ("Why other ways to serve the name were passed over", "string"),
}


def document(version: str) -> Doc:
    """The document as data, to be sent as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Assay",
            "version": version,
            "summary": "One OpenAI-compatible service over every model of this machine",
            "description": (
                "`model` takes an alias, a variant's id or a route's name; `GET /v1/models` lists them. "
                "A model loads when it is first asked for. "
                "A field that a model cannot honour is refused with 400, never ignored."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "tags": [
            {"name": "OpenAI", "description": "As OpenAI's clients call them"},
            {"name": "Service", "description": "The service itself and its models"},
        ],
        "paths": {
            "/v1/chat/completions": {
                "post": _asked("chat", "An answer to a conversation", "ChatRequest", "ChatCompletion", "ChatChunk")
            },
            "/v1/completions": {
                "post": _asked(
                    "complete", "The continuation of a prompt", "CompletionRequest", "Completion", "CompletionChunk"
                )
            },
            "/v1/embeddings": {"post": _asked("embed", "Vectors for texts", "EmbeddingsRequest", "Embeddings", None)},
            "/v1/models": {"get": _got("listModels", "Every name that `model` may be", "OpenAI", _json("ModelList"))},
            "/v1/models/{id}": {
                "get": {
                    **_got("getModel", "One of them", "OpenAI", _json("Model"), (404,)),
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                    ],
                }
            },
            "/assay/status": {"get": _got("status", "The service as a whole", "Service", _json("Status"))},
            "/assay/models": {"get": _got("loadedModels", "Models that are up", "Service", _json("Loaded"))},
            "/assay/load": {"post": _posted("load", "Have a model up", "LoadRequest", "LoadedModel")},
            "/assay/unload": {"post": _posted("unload", "Take a model down", "UnloadRequest", "Unloaded")},
            "/health": {
                "get": {
                    **_got("health", "Whether the service lives", "Service", _json("Health")),
                    "security": [{}],
                }
            },
            "/metrics": {"get": _got("metrics", "Prometheus's text format", "Service", _text("text/plain"))},
            "/openapi.json": {
                "get": _got("openapi", "This document", "Service", _content("application/json", {"type": "object"}))
            },
            "/": {"get": _got("page", "A page for people", "Service", _text("text/html"))},
            "/docs": {"get": _got("docs", "The same page", "Service", _text("text/html"))},
        },
        "components": {
            "schemas": {**REQUESTS, **ANSWERS},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _asked(name: str, summary: str, takes: str, gives: str, streams: str | None) -> Doc:
    content = _json(gives)["content"]
    description = "The answer"
    if streams:
        description = f"The answer; with `stream` a `{streams}` an event, then `[DONE]`, or an `Error` in its place"
        content = {**content, "text/event-stream": {}}
    headers = {name: {"description": what, "schema": {"type": kind}} for name, (what, kind) in _TOLD.items()}
    operation = _posted(name, summary, takes, gives, more=ASKED)
    operation["tags"] = ["OpenAI"]
    operation["responses"]["200"] = {"description": description, "headers": headers, "content": content}
    operation["parameters"] = [
        _header("X-Assay-Timeout", "Seconds that the request may wait for its model, at most the service's own bound"),
        _header("X-Assay-Ttl", "Seconds that the model stays loaded after this request while nobody asks for it"),
        {"name": "X-Request-Id", "in": "header", "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}},
    ]
    return operation


def _posted(name: str, summary: str, takes: str, gives: str, *, more: tuple[int, ...] = ()) -> Doc:
    body = {"required": True, "content": {"application/json": {"schema": ref(takes)}}}
    return {**_got(name, summary, "Service", _json(gives), (*POSTED, *more)), "requestBody": body}


def _got(name: str, summary: str, tag: str, answer: Doc, more: tuple[int, ...] = ()) -> Doc:
    errors = {str(status): _error(status) for status in sorted((*ALWAYS, *more))}
    return {"operationId": name, "summary": summary, "tags": [tag], "responses": {"200": answer, **errors}}


def _error(status: int) -> Doc:
    answer: Doc = {"description": _WHY[status], "content": {"application/json": {"schema": ref("Error")}}}
    if status in {429, 503}:
        answer["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}}
    return answer


def _header(name: str, what: str) -> Doc:
    return {"name": name, "in": "header", "description": what, "schema": {"type": "number", "minimum": 0}}


def _json(schema: str) -> Doc:
    return _content("application/json", ref(schema))


def _text(kind: str) -> Doc:
    return _content(kind, {"type": "string"})


def _content(kind: str, schema: Doc) -> Doc:
    return {"description": "The answer", "content": {kind: {"schema": schema}}}
