"""A request's body: read under limits, checked, and of it decoded only the few fields that the door needs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from itertools import islice
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
MOST_PARTS = 100_000
"""Arrays, objects and names of fields in a body: each costs its reader far more than its few bytes."""
MOST_INTEGER = 2**63
SMALL = 64 << 10
"""Bytes of a body that asks something of the service itself."""
_PIECE = 64 << 10
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY = re.compile(rb"[ \t\r\n]*+(" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+")
_NEXT = re.compile(rb"[ \t\r\n]*+([,}])")
_SEVERAL = re.compile(rb'\[[ \t\r\n]*+["\[]')
_PROMPT = re.compile(_STRING + rb"|\[[^\]]*+\]")
_NUMBER = b"-0123456789"
_COMMA = ord(",")
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(range(256)).translate(None, b"[]{}:")
_decode_text = msgspec.json.Decoder(str).decode
_check_syntax = msgspec.json.Decoder(Raw).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Body(Struct, frozen=True, kw_only=True):
    """A JSON object as it came. ``start`` and ``end`` are where the value of ``model`` lies in ``raw``.

    ``weight`` is how many generations it starts: ``n`` for each prompt. What makes no sense is the worker's to refuse.
    """

    raw: bytes
    model: str
    start: int
    end: int
    weight: int

    def named(self, model: str) -> bytes:
        """The bytes with ``model`` in the place of the one asked for; the very same ones where that is the same."""
        if model == self.model:
            return self.raw
        return self.raw[: self.start] + msgspec.json.encode(model) + self.raw[self.end :]


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
    """What the JSON object in ``raw`` says, its arrays and objects empty; raise ``Refused`` as ``parse`` does."""
    return {name: _value(raw, *span) for name, span in _spans(raw).items()}


def parse(raw: bytes) -> Body:
    """The body of a request to a model; raise ``Refused`` (400, 413), with ``param`` where one field is at fault."""
    spans = _spans(raw)
    fields = {name: _value(raw, *spans[name]) for name in ("model", "n") if name in spans}
    model = model_of(fields)
    start, end = spans["model"]
    n = fields.get("n")
    each = n if type(n) is int and n > 0 else 1
    prompts = _prompts(raw, *spans["prompt"]) if "prompt" in spans else 1
    return Body(raw=raw, model=model, start=start, end=end, weight=min(each * prompts, MOST_WEIGHT))


def _prompts(raw: bytes, start: int, end: int) -> int:
    """How many texts or lists of tokens, 1 or more, reckoned up to ``MOST_WEIGHT``."""
    if not _SEVERAL.match(raw, start):
        return 1
    return sum(1 for _ in islice(_PROMPT.finditer(raw, start + 1, end - 1), MOST_WEIGHT)) or 1


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
    spans: dict[str, tuple[int, int]] = {}
    at = raw.find(b"{") + 1
    for name, value in _values(raw).items():
        key = _KEY.match(raw, at)
        if key is None or _decode_text(key[1]) != name:
            raise _twice(raw, at)
        view = memoryview(value)
        start = key.end()
        end = start + len(view)
        after = _NEXT.match(raw, end)
        if after is None or not raw.startswith(view, start):
            raise _twice(raw, at)
        if raw[start] in _NUMBER:
            _check_number(name, _value(raw, start, end))
        spans[name] = (start, end)
        at = after.end()
    if spans and raw[at - 1] == _COMMA:
        raise _twice(raw, at)
    return spans


def _values(raw: bytes) -> dict[str, Raw]:
    """The object's values, none of them decoded; of a name that stands twice the last, in the place of the first."""
    try:
        raw.decode()
        _check_syntax(raw)
        _check_parts(raw)
        return _decode_object(raw)
    except UnicodeDecodeError:
        raise refused(400, "invalid_json", "the body is not UTF-8") from None
    except msgspec.ValidationError:
        kind = _kind(_value(raw.strip(), 0, len(raw)))
        raise refused(400, "invalid_json", f"the body must be a JSON object, not {kind}") from None
    except msgspec.DecodeError as error:
        raise _not_json(error) from None
    except RecursionError:
        raise _too_deep() from None


def _check_parts(raw: bytes) -> None:
    """Raise ``Refused`` where the JSON in ``raw`` has too many arrays, objects and names, or too many levels."""
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets <= MOST_DEPTH and brackets + raw.count(b":") <= MOST_PARTS:
        return
    marks = _marks(raw)
    if marks.count(b"[") + marks.count(b"{") + marks.count(b":") > MOST_PARTS:
        message = f"the body may have at most {MOST_PARTS} arrays, objects and names of fields together"
        raise refused(413, "body_too_large", message)
    nested = marks.translate(_BRACKETS, b":")
    for _ in range(MOST_DEPTH):
        nested = nested.replace(b"[]", b"")
        if not nested:
            return
    raise _too_deep()


def _marks(raw: bytes) -> bytes:
    """The brackets and colons outside of the strings of the JSON in ``raw``."""
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks: list[bytes] = []
    inside = 0
    for at in range(0, len(plain), _PIECE):
        parts = plain[at : at + _PIECE].split(b'"')
        marks.append(b"".join(parts[inside::2]).translate(None, _NO_MARKS))
        inside ^= (len(parts) - 1) & 1
    return b"".join(marks)


def _value(raw: bytes, start: int, end: int) -> Any:
    """What lies there, an empty array or object for any of its kind; raise ``Refused`` for a number out of range."""
    if raw[start] in b"[{":
        return [] if raw[start] in b"[" else {}
    try:
        return msgspec.json.decode(raw[start:end])
    except msgspec.DecodeError as error:
        raise _not_json(error) from None


def _check_number(name: str, value: float) -> None:
    if type(value) is int and not -MOST_INTEGER <= value < MOST_INTEGER:
        raise refused(400, "invalid_value", f"{_shown(name)} is an integer of more than 64 bits", param=_shown(name))


def _not_json(error: msgspec.DecodeError) -> Exception:
    return refused(400, "invalid_json", f"the body is not JSON: {error}")


def _twice(raw: bytes, at: int) -> Exception:
    """Of the name at ``at``."""
    key = _KEY.match(raw, at)
    name = _shown(_decode_text(key[1])) if key else "a field"
    return refused(400, "duplicate_field", f"{name} stands twice in the body", param=name if key else None)


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


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number") if value != "" else "an empty string"


def _shown(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
