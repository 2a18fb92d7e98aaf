"""Errors as OpenAI's protocol gives them to a client."""

from __future__ import annotations

from typing import Any

from assay.engines.worker.model import Refused


class ApiError(Exception):
    """An HTTP status with an OpenAI-shaped body."""

    def __init__(
        self, status: int, message: str, *, kind: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """A request that cannot be served as it stands."""
    return ApiError(400, message, kind="invalid_request_error", param=param, code=code)


def unauthorized(message: str) -> ApiError:
    """A request without the key, or with a wrong one."""
    return ApiError(401, message, kind="invalid_request_error", code="invalid_api_key")


def forbidden(message: str, *, code: str) -> ApiError:
    """A request from where none may come."""
    return ApiError(403, message, kind="permission_error", code=code)


def wrong_type(message: str) -> ApiError:
    """A body of another type than JSON."""
    return ApiError(415, message, kind="invalid_request_error", code="unsupported_media_type")


def refused(error: Refused) -> ApiError:
    """A model's refusal as the client sees it."""
    return bad_request(error.message, param=error.param, code=error.code)


def not_found(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """No such model or address."""
    return ApiError(404, message, kind="invalid_request_error", param=param, code=code)


def unavailable(message: str) -> ApiError:
    """The model is still loading, or its engine is broken."""
    return ApiError(503, message, kind="service_unavailable_error", code="model_not_ready")


def engine_failed(message: str) -> ApiError:
    """The engine failed while it worked on the request."""
    return ApiError(500, message, kind="server_error", code="engine_error")
