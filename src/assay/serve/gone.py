"""The client's side of an exchange has ended before its answer did."""

from __future__ import annotations

from aiohttp import web


class Gone(ConnectionResetError):
    """The client went away."""


def drop(request: web.Request) -> Gone:
    """End the connection at once, so that nobody takes what was sent for the whole answer."""
    if request.transport is not None:
        request.transport.abort()
    return Gone("the answer was broken off")
