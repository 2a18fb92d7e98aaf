"""Sending a file's bytes for the Hub server: whole or by Range, rightly or with a fault."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from typing import BinaryIO

from aiohttp import web

from tests.hub.faults import Fault, Faults
from tests.hub.repositories import Blob

RANGE = re.compile(r"bytes=(\d+)-(\d*)")
PIECE = 1 << 16


class Refused(Exception):
    """Answered with a status other than 2xx."""

    def __init__(self, status: int, why: str, error_code: str | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.body: str | None = None
        self.headers = {"X-Error-Message": why}
        if error_code is not None:
            self.headers["X-Error-Code"] = error_code


def refuse(request: web.Request, faults: Faults, target: str) -> None:
    """Answer with a status where a fault says so."""
    fault = faults.hit(request["log"], target, "status")
    if fault is not None:
        more = f" to {request.headers.get('Authorization')}" if fault.echo else ""
        refused = Refused(fault.code, f"told to answer {fault.code}{more}", fault.error_code)
        refused.body = fault.body
        if fault.retry_after is not None:
            refused.headers["Retry-After"] = fault.retry_after
        raise refused


async def send_file(
    request: web.Request, blob: Blob, headers: dict[str, str], faults: Faults, target: str
) -> web.StreamResponse:
    """Answer HEAD or GET for ``blob``."""
    fault = faults.hit(request["log"], target, "stall", "cut", "wrong", "short", "trickle", "chunked")
    norange = faults.hit(request["log"], target, "norange")
    size = min(fault.at, blob.size) if fault is not None and fault.kind == "short" else blob.size
    asked = None if norange else RANGE.fullmatch(request.headers.get("Range", ""))
    start, end = 0, size
    if asked is not None:
        start, end = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else size, size)
        if start >= end:
            refused = Refused(416, "no such range")
            refused.headers["Content-Range"] = f"bytes */{size}"
            raise refused
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response = web.StreamResponse(status=200 if asked is None else 206, headers=headers)
    response.content_type = "application/octet-stream"
    if fault is None or fault.kind != "chunked":
        response.content_length = end - start
    request["log"]["status"] = response.status
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    with io.BytesIO(blob.source) if isinstance(blob.source, bytes) else blob.source.open("rb") as file:
        if fault is None and not isinstance(file, io.BytesIO):
            await _sendfile(request, file, start, end - start)
        else:
            await _send(request, response, file, start, end, fault)
    return response


async def _sendfile(request: web.Request, file: BinaryIO, start: int, count: int) -> None:
    """By the kernel, for speed."""
    assert request.transport is not None
    request["log"]["bytes"] = await asyncio.get_running_loop().sendfile(request.transport, file, start, count)


async def _send(
    request: web.Request, response: web.StreamResponse, file: BinaryIO, start: int, end: int, fault: Fault | None
) -> None:
    kind = fault.kind if fault is not None else None
    stop = max(min(end, fault.at), start) if fault is not None and kind in {"stall", "cut"} else end
    async for piece in _pieces(file, start, stop, fault):
        await response.write(piece)
        request["log"]["bytes"] += len(piece)
    if fault is None or fault.at >= end:
        return
    if kind == "stall":
        await asyncio.Event().wait()
    if kind == "cut":
        assert request.transport is not None
        if fault.reset:
            await asyncio.sleep(0.05)  # what was sent would be lost with the connection
            request.transport.abort()
        request.transport.close()


async def _pieces(file: BinaryIO, start: int, stop: int, fault: Fault | None) -> AsyncIterator[bytes]:
    trickle = fault is not None and fault.kind == "trickle"
    file.seek(start)
    position = start
    while position < stop:
        piece = bytearray(file.read(min(fault.piece if fault and trickle else PIECE, stop - position)))
        if fault is not None and fault.kind == "wrong":
            for offset in range(max(fault.at, position), min(fault.at + fault.length, position + len(piece))):
                piece[offset - position] ^= 0xFF
        position += len(piece)
        yield bytes(piece)
        if fault is not None and trickle:
            await asyncio.sleep(fault.pause_s)
