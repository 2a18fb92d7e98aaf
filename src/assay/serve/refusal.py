"""Why a request is not served: one value on its way from a decision to an HTTP answer."""

from __future__ import annotations

from msgspec import Struct

INVALID = "invalid_request_error"
SERVER = "server_error"


class Refusal(Struct, frozen=True, kw_only=True):
    """An HTTP status with OpenAI's error fields. ``retry_after`` is in seconds; None where waiting does not help."""

    status: int
    code: str
    message: str
    kind: str = "service_unavailable_error"
    param: str | None = None
    retry_after: float | None = None


class Refused(Exception):
    """Raised to whoever asked."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
