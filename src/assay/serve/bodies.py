"""The bytes that requests hold at this moment: many large bodies together must not take the machine's memory."""

from __future__ import annotations

from aiohttp import web

from assay.serve.api_error import refused
from assay.serve.refusal import SERVER

HELD: web.RequestKey[int] = web.RequestKey("held", int)
"""Bytes of its body that a request holds."""


class Bodies:
    """``most`` bytes at once. What a request ``take``s is held until it is ``release``d."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def take(self, request: web.BaseRequest, size: int) -> None:
        """Hold so many bytes more; raise ``Refused`` (503) where others hold too many."""
        own = request.get(HELD, 0)
        if self.held > own and self.held + size > self.most:
            message = "the bodies of the requests under way take as much memory as they may; try again"
            raise refused(503, "bodies_full", message, kind=SERVER, retry_after=1.0)
        self.held += size
        request[HELD] = own + size

    def release(self, request: web.BaseRequest) -> None:
        """It is over."""
        self.held -= request.get(HELD, 0)
        request[HELD] = 0


BODIES: web.AppKey[Bodies] = web.AppKey("bodies", Bodies)
