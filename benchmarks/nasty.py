"""Values, lines, bytes and schemas that programs have stumbled over."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]

WORDS = "Notes: Anna will send the plan to Ben by Friday. List the action items."
MIB = 1 << 20
FIELDS = (
    "model", "messages", "prompt", "input", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k",
    "min_p", "seed", "n", "stop", "stream", "echo", "stream_options", "repetition_penalty", "frequency_penalty",
    "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "tools", "user", "tool_choice",
    "parallel_tool_calls", "response_format", "chat_template_kwargs", "encoding_format", "dimensions", "functions",
    "suffix", "best_of", "ttl", "force", "grammar", "guided_json", "continue_final_message", "metadata", "store",
    "service_tier",
)  # fmt: skip

KEYWORDS = (
    "type", "enum", "const", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "multipleOf", "minItems", "maxItems", "items", "anyOf", "allOf", "oneOf", "$ref", "not", "if", "properties",
    "additionalProperties", "$schema", "prefixItems", "uniqueItems", "$id", "$defs", "patternProperties", "contains",
)  # fmt: skip
SIMPLE: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], [{}], {"": None})
STRINGS = (
    "", " ", "\x00", "a" * 65, "\u202e", "\ud7ff", "é" * 200, "🦊" * 40, "../../etc/passwd", "/etc/passwd", "C:\\x",
    "notes-4m\r\nX-Evil: 1", "notes-4m\x00", "file:///etc/passwd", "http://127.0.0.1:1/v1", "{{ 7*7 }}", "{% for %}",
    "${jndi:ldap://x}", "notes-4m:99999999999999999999", "notes-4m:", ":", "'; DROP TABLE x; --", "<|im_end|>",
    "%s%n%d", "nan", "1e999", "null", "true", "\u2028", "ﷺ" * 30, "\x1b[2J", "notes-0.5m", "NOTES-4M", "embedder",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 127, 128, 129, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1,
    10**30, 10**400, 0.0, -0.0, 0.5, -0.5, 1e-320, 1e-5, 1.0000001, 2.5, 99.9, 1e20, 1e300, -1e300,
)  # fmt: skip
LITERALS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-", "01", "0x1F", "1.", ".5", "+1", "undefined", "'x'", '"\\ud800"',
    '"\\udc00\\ud800"', '"\\x"', '"\\u12"', "tru", "[1,]", "{,}", "/* c */ 1", '"a\nb"',
)  # fmt: skip
PATTERNS = (
    "(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1000}{1000}", "(a{500}){500}", "(?=x)", "\\1", "[",
    "^.{9999}$", "(((((a?){50}){50}){50}){50}){50}", "\\p{L}{1,9999}", ".*" * 200,
)  # fmt: skip
CODINGS = (
    "gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "x", "",
)  # fmt: skip
TYPES = (
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/json; charset=utf-16", "application/json;charset=UTF-8", "APPLICATION/JSON",
    "application/json, text/html", "", "é", "a" * 4000,
)  # fmt: skip
HEADERS = (
    "Accept: text/html", "Accept: \xff", "Accept-Encoding: gzip, br", "Expect: 100-continue", "Expect: nonsense",
    "Range: bytes=0-1", "X-Assay-Timeout: 0", "X-Assay-Timeout: -1", "X-Assay-Timeout: nan", "X-Assay-Timeout: 1e999",
    "X-Assay-Timeout: soon", "X-Assay-Ttl: 0", "X-Assay-Ttl: 1e300", "X-Assay-Ttl: x", "X-Request-Id: a b",
    "X-Request-Id: " + "i" * 2000, "Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade",
    "Cookie: " + "c=1; " * 500, "Authorization: Bearer \xff\xfe", "Authorization: Basic x",
    "X-Forwarded-For: 1.2.3.4", "Transfer-Encoding: identity", "Host: evil.example", "Origin: http://evil.example",
    "Origin: null", "Sec-Fetch-Site: cross-site", "If-None-Match: *", "Content-Length: 5", "Content-Length: -1",
    "Content-Length: 1e3", ": empty", "No-Colon", " Folded: x", "Bad Name: x", "X: a\x00b", "X: " + "y" * 9000,
    "X-Http-Method-Override: DELETE",
)  # fmt: skip
TARGETS = (
    "/", "/docs", "/health", "/metrics", "/openapi.json", "/assay/status", "/assay/models", "/v1/models",
    "/v1/models/notes-4m", "/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/v1/models/%00", "/v1/models/%ff%fe", "/v1/models/é", "/v1//models", "//evil.example/",
    "/v1/models/" + "a" * 4000, "/?" + "q=1&" * 1500, "/v1/models?" + "x" * 7000, "*",
    "http://evil.example/v1/models", "http://127.0.0.1/v1/models", "evil.example:443", "?", "#", "/%", "/%zz",
    "/\x7f", "\\..\\..", "/assay/stop", "/v1/files", "/v1/chat/completions/", "/V1/MODELS", "/;/",
    "/v1/models/notes-4m%0d%0aX-Evil:%201",
)  # fmt: skip
METHODS = (
    "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "POST", "get", "FOO", "P\xd6ST",
    "A" * 100,
)  # fmt: skip
GREETINGS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-x\r\n", b"\x00" * 500, b"\r\n" * 2000, b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\n\n", b"GET  /  HTTP/1.1\r\n\r\n", b"\xff" * 9000, b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"EHLO x\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
)  # fmt: skip


def product() -> Body:
    """Every one of many choices together with every other."""
    names = "abcdefghijklmnop"
    some = [
        {"anyOf": [{"type": "object", "required": [name]}, {"type": "object", "properties": {name: {"const": 1}}}]}
        for name in names
    ]
    return {"allOf": some}


def doubling() -> Body:
    defs = {
        f"d{i}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/d{i + 1}"} for side in "lr"}}
        for i in range(60)
    }
    return {"$defs": {**defs, "d60": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/d0"}}}


def circle() -> Body:
    return {
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
        "properties": {"a": {"$ref": "#/$defs/a"}},
    }


def wide() -> Body:
    return {"properties": {f"p{i}": {"type": "string", "pattern": f"^x{i}[a-z]{{1,50}}$"} for i in range(1500)}}


def listed() -> Body:
    return {"properties": {"a": {"enum": [f"value {i} {'x' * 20}" for i in range(3000)]}}}


def lengths() -> Body:
    part: Body = {"type": "string", "maxLength": 10_000}
    for _ in range(10):
        part = {"type": "array", "items": part, "minItems": 900, "maxItems": 1000}
    return {"properties": {"a": part}}


HARD: tuple[Callable[[], Body], ...] = (product, doubling, circle, wide, listed, lengths)
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 2]}}}
EXTRAS: tuple[Body, ...] = (
    {},
    {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": WORDS}]}]},
    {
        "messages": [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
        ]
    },
    {"stream": True, "stream_options": {"include_usage": True}, "stop": ["x", "\n"], "logit_bias": {"5": 1, "6": -100}},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    {"logprobs": True, "top_logprobs": 3, "n": 2, "seed": 5, "chat_template_kwargs": {"enable_thinking": False}},
    {"prompt": [[1, 2, 3], [4, 5]], "echo": True, "logprobs": 2},
    {"input": ["a", "b"], "encoding_format": "base64"},
)
BOMB = gzip.compress(bytes(64 * MIB), 9)
