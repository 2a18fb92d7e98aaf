"""What an answer with bytes of a file says of them: which they are, and of what content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import httpx2

BEYOND = re.compile(r"bytes \*/(\d{1,18})")
RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
NAME = re.compile(r'(?:W/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?')

GIT_NAME = 40


class Span(NamedTuple):
    """The first byte's place, and how many bytes the whole file has; None where that is not told."""

    start: int
    total: int | None


def span_of(response: httpx2.Response) -> Span:
    """By ``Content-Range`` for a part, by ``Content-Length`` for the whole."""
    match = RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code == 206 and match is not None:
        return Span(int(match[1]), None if match[3] == "*" else int(match[3]))
    length = response.headers.get("Content-Length", "")
    return Span(0, int(length) if length.isascii() and length.isdigit() else None)


def size_beyond(response: httpx2.Response) -> int | None:
    """The whole file's size, as a refusal of a Range after its end tells it."""
    match = BEYOND.fullmatch(response.headers.get("Content-Range", ""))
    return int(match[1]) if match is not None else None


def content_name(response: httpx2.Response) -> str | None:
    """The SHA-256, or the git blob's SHA-1, that the hub gives the content; None where it gives neither.

    A bare ``ETag`` is believed only where it can be nothing but a git name: other hosts make up their own.
    """
    for answer in (*response.history, response):
        match = NAME.fullmatch(answer.headers.get("X-Linked-Etag", ""))
        if match is not None:
            return match[1]
    match = None if response.history else NAME.fullmatch(response.headers.get("ETag", ""))
    return match[1] if match is not None and len(match[1]) == GIT_NAME else None
