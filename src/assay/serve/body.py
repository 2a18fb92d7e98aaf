"""A request's body: read under limits, decoded once, and the few fields of it that the door needs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Raw, Struct

from assay.serve.api_error import answer, refused
from assay.serve.bodies import BODIES
from assay.serve.limits import Limits
from assay.serve.refusal import INVALID, Refusal

JSON = "application/json"
MOST_WEIGHT = 4096
MOST_DEPTH = 200
MOST_INTEGER = 2**63
_KEY = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_NEXT = re.compile(rb"[ \t\r\n]*([,}])")
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Body(Struct, frozen=True, kw_only=True):
    """A JSON object as it came, and decoded. ``start`` and ``end`` are where the value of ``model`` lies in ``raw``."""

    raw: bytes
    fields: dict[str, Any]
    model: str
    start: int
    end: int

    def named(self, model: str) -> bytes:
        """The bytes with ``model`` in the place of the one asked for; the very same ones where that is the same."""
        if model == self.model:
            return self.raw
        return self.raw[: self.start] + msgspec.json.encode(model) + self.raw[self.end :]

    @property
    def weight(self) -> int:
        """How many generations it starts: ``n`` for each prompt. What makes no sense is the worker's to refuse."""
        n, prompt = self.fields.get("n"), self.fields.get("prompt")
        each = n if type(n) is int and n > 0 else 1
        several = isinstance(prompt, list) and all(isinstance(entry, str | list) for entry in prompt)
        return min(each * max(1, len(prompt)), MOST_WEIGHT) if prompt and several else min(each, MOST_WEIGHT)


async def expect(request: web.Request) -> web.Response | None:
    """What is said before a body comes, where the client waits for that; a refusal, or None to go on."""
    if request.version < HttpVersion11:
        return None
    if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        message = "the only thing to expect of this service is 100-continue"
        return answer(Refusal(status=417, code="expectation_failed", message=message, kind=INVALID))
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer has not begun
    return None


async def read(request: web.Request, limits: Limits) -> bytes:
    """The body's bytes; raise ``Refused`` with 413, 408, 415 or 400."""
    _check_type(request)
    length = request.content_length
    if length is not None and length > limits.body:
        raise _too_large(limits)
    if not request.body_exists:
        raise refused(400, "empty_body", "the request has no body; it must be a JSON object")
    try:
        async with asyncio.timeout(limits.read_s):
            return await _gather(request, limits)
    except TimeoutError:
        message = f"the body did not arrive within {limits.read_s:g} seconds"
        raise refused(408, "request_timeout", message) from None
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise refused(400, "bad_body", f"the body cannot be read: {error}") from None


async def _gather(request: web.Request, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > limits.body:
            raise _too_large(limits)
        request.app[BODIES].take(request, len(part))
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``; raise ``Refused`` (400) for anything else, a name that stands twice included."""
    fields = _fields(raw)
    _spans(raw)
    return fields


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(raw)
    except UnicodeDecodeError:
        raise refused(400, "invalid_json", "the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise refused(400, "invalid_json", f"the body is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(fields, dict):
        raise refused(400, "invalid_json", f"the body must be a JSON object, not {_kind(fields)}")
    if raw.count(b"[") + raw.count(b"{") > MOST_DEPTH and _deeper(fields, MOST_DEPTH):
        raise _too_deep()
    for name, value in fields.items():
        if type(value) is int and not -MOST_INTEGER <= value < MOST_INTEGER:
            raise refused(
                400, "invalid_value", f"{_shown(name)} is an integer of more than 64 bits", param=_shown(name)
            )
    return fields


def parse(raw: bytes) -> Body:
    """The body of a request to a model; raise ``Refused`` (400), with ``param`` where one field is at fault."""
    fields = _fields(raw)
    spans = _spans(raw)
    model = model_of(fields)
    start, end = spans["model"]
    return Body(raw=raw, fields=fields, model=model, start=start, end=end)


def model_of(fields: Mapping[str, Any]) -> str:
    """The name of the model that a body asks for; raise ``Refused`` (400) where it has none."""
    model = fields.get("model")
    if not isinstance(model, str) or not model.strip():
        got = "it is missing" if "model" not in fields else f"not {_kind(model)}"
        raise refused(400, "invalid_value", f"model must be the name of a model; {got}", param="model")
    return model


def _spans(raw: bytes) -> Mapping[str, tuple[int, int]]:
    """Where each value of the object lies in ``raw``; raise ``Refused`` where a name stands twice.

    The decoder keeps the last value of a name, another program the first: they would see different requests.
    """
    values = _decode_object(raw)
    spans: dict[str, tuple[int, int]] = {}
    at = raw.index(b"{") + 1
    for name, value in values.items():
        key = _KEY.match(raw, at)
        start = key.end() if key else at
        end = start + len(memoryview(value))
        after = _NEXT.match(raw, end)
        if (
            key is None
            or after is None
            or msgspec.json.decode(key[1]) != name
            or not raw.startswith(bytes(value), start)
        ):
            raise _twice(raw)
        spans[name] = (start, end)
        at = after.end()
    if spans and raw[at - 1 : at] != b"}":
        raise _twice(raw)
    return spans


def _twice(raw: bytes) -> Exception:
    names: list[str] = []
    pairs: list[list[str]] = []

    def note(entries: list[tuple[str, Any]]) -> None:
        pairs.append([name for name, _ in entries])

    json.loads(raw, object_pairs_hook=note)
    for name in pairs[-1]:
        if name in names:
            return refused(400, "duplicate_field", f"{_shown(name)} stands twice in the body", param=_shown(name))
        names.append(name)
    return refused(400, "duplicate_field", "a field stands twice in the body")


def _check_type(request: web.Request) -> None:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", ""}:
        raise refused(415, "unsupported_encoding", f"Content-Encoding {_shown(encoding)} is not taken; send plain JSON")
    # A page of another site can send a form or plain text without the browser asking first, but not this type.
    kind = request.content_type if "Content-Type" in request.headers else "nothing"
    charset = (request.charset or "utf-8").lower().replace("_", "-")
    if kind != JSON or charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        got = kind if kind != JSON else f"charset {charset}"
        message = f"the body must be {JSON} in UTF-8, not {_shown(got)}; send -H 'Content-Type: {JSON}'"
        raise refused(415, "unsupported_media_type", message)


def _too_large(limits: Limits) -> Exception:
    return refused(413, "body_too_large", f"the body may have at most {limits.body} bytes")


def _too_deep() -> Exception:
    return refused(400, "invalid_json", f"the body is nested more than {MOST_DEPTH} levels deep")


def _deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in (outer.values() if isinstance(outer, dict) else outer)]
        layer = [entry for entry in layer if isinstance(entry, dict | list)]
        if not layer:
            return False
    return True


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number") if value != "" else "an empty string"


def _shown(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
