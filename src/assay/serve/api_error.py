"""Errors as OpenAI's protocol gives them to a client: every refusal of the door goes through ``answer``."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from aiohttp import web

from assay.errors import AssayError, EngineError, HubError, NoRoom, UnknownModel
from assay.serve.refusal import INVALID, SERVER, Refusal, Refused


def error_body(refusal: Refusal) -> dict[str, Any]:
    """``{"error": {message, type, param, code}}``."""
    return {
        "error": {
            "message": _sendable(refusal.message),
            "type": refusal.kind,
            "param": _sendable(refusal.param) if refusal.param is not None else None,
            "code": refusal.code,
        }
    }


def answer(refusal: Refusal) -> web.Response:
    """The refusal as a response, with ``Retry-After`` in whole seconds where waiting helps."""
    response = web.Response(
        body=msgspec.json.encode(error_body(refusal)), status=refusal.status, content_type="application/json"
    )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_after)))
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def event(refusal: Refusal) -> bytes:
    """The refusal as a server-sent event, for a stream that has begun."""
    return b"data: " + msgspec.json.encode(error_body(refusal)) + b"\n\n"


def refused(
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    kind: str = INVALID,
    retry_after: float | None = None,
) -> Refused:
    """What a handler raises to end a request."""
    return Refused(Refusal(status=status, code=code, message=message, kind=kind, param=param, retry_after=retry_after))


def of_http(request: web.BaseRequest, error: web.HTTPException) -> Refusal:
    """What aiohttp itself refuses: an unknown path, a method that a path does not have, a body that is too large."""
    code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(error.status, "bad_request")
    where = f"{request.method} {request.path}"
    message = {
        404: f"{where}: there is nothing here; GET / shows what is",
        405: f"{where}: this path does not take {request.method}",
    }.get(error.status, f"{where}: {error.reason}")
    return Refusal(status=error.status, code=code, message=message, kind=INVALID if error.status < 500 else SERVER)


def of_error(error: AssayError) -> Refusal:
    """An error of the tree: what happened, why, and what helps, in one message."""
    parts = (error.sentence, f"try: {error.remedy}" if error.remedy else None)
    message = "; ".join(part for part in parts if part)
    if isinstance(error, UnknownModel):
        return Refusal(status=404, code="model_not_found", message=message, kind=INVALID, param="model")
    if isinstance(error, NoRoom):
        return Refusal(status=503, code="insufficient_memory", message=message)
    if isinstance(error, EngineError | HubError):
        return Refusal(status=503, code="model_failed", message=message)
    return Refusal(status=503, code="service_failed", message=message)


def unexpected() -> Refusal:
    """A fault of ours; what it was stands in the log only."""
    message = "something went wrong in this service; its log tells what, under the request id of this answer"
    return Refusal(status=500, code="internal_error", message=message, kind=SERVER)


def _sendable(text: str) -> str:
    """Without the halves of characters that a broken path or header leaves behind, which no JSON can hold."""
    return text.encode("utf-8", "replace").decode()
