"""Requests that are wrong in some way, drawn by a seed: JSON, fields, bytes, HTTP itself, and how they are sent."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

from msgspec import Struct

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/assay/load", "/assay/unload")
WORDS = "Notes: Anna will send the plan to Ben by Friday. List the action items."
MIB = 1 << 20
FIELDS = (
    "model messages prompt input max_tokens max_completion_tokens temperature top_p top_k min_p seed n stop stream echo "
    "stream_options repetition_penalty frequency_penalty presence_penalty logit_bias logprobs top_logprobs tools user "
    "tool_choice parallel_tool_calls response_format chat_template_kwargs encoding_format dimensions functions suffix "
    "best_of ttl force grammar guided_json continue_final_message metadata store service_tier"
).split()
STRINGS = (
    "", " ", "\x00", "a" * 65, "\u202e", "\ud7ff", "é" * 200, "🦊" * 40, "../../etc/passwd", "/etc/passwd", "C:\\x",
    "notes-4m\r\nX-Evil: 1", "notes-4m\x00", "file:///etc/passwd", "http://127.0.0.1:1/v1", "{{ 7*7 }}", "{% for %}",
    "${jndi:ldap://x}", "notes-4m:99999999999999999999", "notes-4m:", ":", "'; DROP TABLE x; --", "<|im_end|>",
    "%s%n%d", "nan", "1e999", "null", "true", "\u2028", "ﷺ" * 30, "\x1b[2J", "notes-0.5m", "NOTES-4M", "embedder",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 127, 128, 129, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**30,
    10**400, 0.0, -0.0, 0.5, -0.5, 1e-320, 1e-5, 1.0000001, 2.5, 99.9, 1e20, 1e300, -1e300,
)  # fmt: skip
LITERALS = ("NaN", "Infinity", "-Infinity", "1e999", "-", "01", "0x1F", "1.", ".5", "+1", "undefined", "'x'", '"\\ud800"',
            '"\\udc00\\ud800"', '"\\x"', '"\\u12"', "tru", "[1,]", "{,}", "/* c */ 1", '"a\nb"')  # fmt: skip
PATTERNS = ("(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1000}{1000}", "(a{500}){500}", "(?=x)", "\\1", "[", "^.{9999}$",
            "(((((a?){50}){50}){50}){50}){50}", "\\p{L}{1,9999}", ".*" * 200)  # fmt: skip
CODINGS = ("gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "x", "")
TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16",
         "application/json;charset=UTF-8", "APPLICATION/JSON", "application/json, text/html", "", "é", "a" * 4000)  # fmt: skip
HEADERS = (
    "Accept: text/html", "Accept: \xff", "Accept-Encoding: gzip, br", "Expect: 100-continue", "Expect: nonsense", "Range: bytes=0-1",
    "X-Assay-Timeout: 0", "X-Assay-Timeout: -1", "X-Assay-Timeout: nan", "X-Assay-Timeout: 1e999", "X-Assay-Timeout: soon",
    "X-Assay-Ttl: 0", "X-Assay-Ttl: 1e300", "X-Assay-Ttl: x", "X-Request-Id: a b", "X-Request-Id: " + "i" * 2000, "Upgrade: h2c",
    "Upgrade: websocket", "Connection: Upgrade", "Cookie: " + "c=1; " * 500, "Authorization: Bearer \xff\xfe", "Authorization: Basic x",
    "X-Forwarded-For: 1.2.3.4", "Transfer-Encoding: identity", "Host: evil.example", "Origin: http://evil.example", "Origin: null",
    "Sec-Fetch-Site: cross-site", "If-None-Match: *", "Content-Length: 5", "Content-Length: -1", "Content-Length: 1e3", ": empty",
    "No-Colon", " Folded: x", "Bad Name: x", "X: a\x00b", "X: " + "y" * 9000, "X-Http-Method-Override: DELETE",
)  # fmt: skip
TARGETS = (
    "/", "/docs", "/health", "/metrics", "/openapi.json", "/assay/status", "/assay/models", "/v1/models", "/v1/models/notes-4m",
    "/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/v1/models/%00", "/v1/models/%ff%fe", "/v1/models/é",
    "/v1//models", "//evil.example/", "/v1/models/" + "a" * 4000, "/?" + "q=1&" * 1500, "/v1/models?" + "x" * 7000, "*",
    "http://evil.example/v1/models", "http://127.0.0.1/v1/models", "evil.example:443", "?", "#", "/%", "/%zz", "/\x7f", "\\..\\..",
    "/assay/stop", "/v1/files", "/v1/chat/completions/", "/V1/MODELS", "/;/", "/v1/models/notes-4m%0d%0aX-Evil:%201",
)  # fmt: skip
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "POST", "get", "FOO", "P\xd6ST", "A" * 100)
GREETINGS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-x\r\n", b"\x00" * 500,
    b"\r\n" * 2000, b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\n\n", b"GET  /  HTTP/1.1\r\n\r\n", b"\xff" * 9000,
    b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"EHLO x\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
)  # fmt: skip

Body = dict[str, Any]


class Shot(Struct, frozen=True, kw_only=True):
    """Bytes to send in ``parts``, ``pause`` seconds apart. ``half``: close the sending side behind them.

    ``silent``: that no answer comes is all right, since what was sent is not whole or no HTTP; ``leave``: so many seconds
    after nothing has come, it goes away.
    """

    kind: str
    parts: tuple[bytes, ...]
    pause: float = 0.0
    half: bool = False
    silent: bool = False
    leave: float | None = None


class Mutants:
    """An endless row of wrong requests; the same seed gives the same row. Some of them turn out to be right."""

    def __init__(self, seed: int, models: tuple[str, ...], embedder: str) -> None:
        self._dice = random.Random(seed)
        self._models = models
        self._embedder = embedder
        self._kinds: dict[str, tuple[int, Callable[[], Shot]]] = {
            "a field's value": (30, self._value),
            "a value inside": (15, self._inside),
            "a schema": (6, self._schema),
            "tools": (6, self._tools),
            "broken JSON": (12, self._json),
            "broken bytes": (8, self._bytes),
            "deep nesting": (3, self._deep),
            "very long": (2, self._long),
            "headers": (10, self._headers),
            "a body that ends too soon": (4, self._short),
            "a slow body": (2, self._slow),
            "chunks": (6, self._chunks),
            "a packed body": (2, self._packed),
            "a target or method": (8, self._target),
            "several in a row": (3, self._row),
            "no HTTP": (3, self._greeting),
        }

    def next(self, only: str | None = None) -> Shot:
        """One more, of the kind ``only`` where that is given."""
        kinds = list(self._kinds)
        kind = only or self._dice.choices(kinds, [self._kinds[name][0] for name in kinds])[0]
        return self._kinds[kind][1]()

    def _base(self) -> tuple[str, Body]:
        """A request that is right, and whose answer is short."""
        dice = self._dice
        path = dice.choices(PATHS, (10, 5, 4, 1, 1))[0]
        model = dice.choice(self._models)
        if path == "/v1/embeddings":
            return path, {"model": self._embedder, "input": WORDS}
        if path.startswith("/assay"):
            return path, {"model": model}
        body: Body = {"model": model, "max_tokens": dice.randint(1, 6), "temperature": 0}
        if path == "/v1/completions":
            return path, {**body, "prompt": WORDS}
        if dice.random() < 0.3:
            body["stream"] = True
        return path, {**body, "messages": [{"role": "user", "content": WORDS}]}

    def _nasty(self, depth: int = 0) -> Any:
        dice = self._dice
        roll = dice.randrange(10 if depth < 3 else 7)
        if roll < 3:
            return dice.choice(NUMBERS)
        if roll < 5:
            return dice.choice(STRINGS)
        if roll < 6:
            return dice.choice((None, True, False, [], {}, [None], [[]], [{}], {"": None}))
        if roll < 7:
            return "x" * dice.choice((100, 1000, 10_000, 100_000))
        if roll < 8:
            return [self._nasty(depth + 1) for _ in range(dice.choice((1, 2, 5, 17, 130)))]
        if roll < 9:
            return {dice.choice((*STRINGS, *FIELDS, "1", "99999999")): self._nasty(depth + 1) for _ in range(dice.randint(1, 6))}
        return [dice.choice((*NUMBERS[:8], *STRINGS[:6], None, {}, []))] * dice.choice((100, 3000, 50_000))

    def _value(self) -> Shot:
        path, body = self._base()
        name = self._dice.choice((*body, *FIELDS, "x" * 300, "", "\x00", "é"))
        if self._dice.random() < 0.08:
            body.pop(name, None)
        else:
            body[name] = self._nasty()
        return self._posted("a field's value", path, _dump(body))

    def _inside(self) -> Shot:
        """Somewhere within: another value, one more, or one less."""
        path, body = self._base()
        body = copy.deepcopy({**body, **self._dice.choice(EXTRAS)})
        for _ in range(self._dice.randint(1, 3)):
            place: Any = body
            while True:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                if not keys:
                    break
                key = self._dice.choice(keys)
                inner = place[key]
                if isinstance(inner, dict | list) and self._dice.random() < 0.8:
                    place = inner
                    continue
                if self._dice.random() < 0.2:
                    del place[key]
                else:
                    place[key] = self._nasty()
                break
        return self._posted("a value inside", path, _dump(body))

    def _schema(self) -> Shot:
        path, body = self._base()
        schema = {"type": "object", "properties": {"a": self._part()}, "required": ["a"]}
        if self._dice.random() < 0.3:
            schema |= self._dice.choice(HARD)()
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        return self._posted("a schema", path, _dump(body))

    def _part(self, depth: int = 0) -> Any:
        dice = self._dice
        keyword = dice.choice(
            ("type", "enum", "const", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "multipleOf",
             "minItems", "maxItems", "items", "anyOf", "allOf", "oneOf", "$ref", "not", "if", "properties", "additionalProperties", "$schema",
             "prefixItems", "uniqueItems", "$id", "$defs", "patternProperties", "contains")  # fmt: skip
        )
        kind = dice.choice(("string", "number", "integer", "array", "object", "null", "boolean"))
        if keyword == "pattern" and dice.random() < 0.7:
            return {"type": "string", "pattern": dice.choice(PATTERNS)}
        if keyword in {"anyOf", "allOf", "oneOf", "prefixItems"} and depth < 4:
            return {"type": kind, keyword: [self._part(depth + 1) for _ in range(dice.randint(0, 5))]}
        if keyword in {"items", "additionalProperties", "not", "contains", "if"} and depth < 4:
            return {"type": kind, keyword: self._part(depth + 1)}
        if keyword in {"minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "exclusiveMinimum"}:
            return {"type": kind, keyword: dice.choice(NUMBERS)}
        return {"type": kind, keyword: self._nasty(2)}

    def _tools(self) -> Shot:
        path, body = self._base()
        dice = self._dice
        tool: Body = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": self._part()}}}}
        if dice.random() < 0.4:
            tool["function"][dice.choice(("name", "parameters", "strict", "description", "x"))] = self._nasty()
        body["tools"] = [{**tool, "function": {**tool["function"], "name": f"f{i}"}} for i in range(dice.choice((1, 1, 3, 128, 129)))]
        if dice.random() < 0.2:
            body["tools"] = [tool] * 3
        body["tool_choice"] = dice.choice(("auto", "required", "none", {"type": "function", "function": {"name": "f0"}}, self._nasty()))
        return self._posted("tools", path, _dump(body))

    def _json(self) -> Shot:
        path, body = self._base()
        text, dice = _dump(body).decode("utf-8", "surrogatepass"), self._dice
        how = dice.randrange(6)
        if how == 0:
            text = text[: dice.randrange(len(text))]
        elif how == 1:
            name = dice.choice(list(body))
            again = json.dumps(name) if dice.random() < 0.5 else '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
            text = text[:-1] + f", {again}: {_text(self._nasty(2))}}}"
        elif how == 2:
            at = text.index(":") + 1
            text = text[:at] + dice.choice(LITERALS) + text[text.index(",", at) if "," in text[at:] else -1 :]
        elif how == 3:
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice('{}[]",:\\\x00\n\t\'`€0-') + text[at + dice.randrange(2) :]
        elif how == 4:
            text = dice.choice(("", " ", "null", "[]", "1", '"x"', "{}", "[{}]", "true", "\ufeff" + text, text + text, text + " x", "data: " + text))
        else:
            text = text[:-1] + "".join(f', "f{i}": {i}' for i in range(dice.choice((10, 1000, 30_000)))) + "}"
        return self._posted("broken JSON", path, text.encode("utf-8", "surrogatepass"))

    def _bytes(self) -> Shot:
        path, body = self._base()
        raw, dice = bytearray(_dump(body)), self._dice
        how = dice.randrange(4)
        if how == 0:
            for _ in range(dice.randint(1, 8)):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
        elif how == 1:
            at = dice.randrange(len(raw))
            raw[at:at] = dice.choice((b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80" * 50))
        elif how == 2:
            raw = bytearray(raw.decode("utf-8", "replace").encode(dice.choice(("utf-16", "utf-32", "utf-7", "utf-8-sig"))))
        else:
            raw = bytearray(dice.randbytes(dice.choice((1, 10, 1000, 100_000))))
        return self._posted("broken bytes", path, bytes(raw))

    def _deep(self) -> Shot:
        path, body = self._base()
        depth = self._dice.choice((50, 199, 200, 201, 1000, 20_000, 200_000))
        opening, close = self._dice.choice((("[", "]"), ('{"a":', "}"), ('[{"":', "}]"), ("[", "")))
        text = _dump(body).decode()[:-1] + f', {json.dumps(self._dice.choice(FIELDS[1:]))}: {opening * depth}1{close * depth}}}'
        return self._posted("deep nesting", path, text.encode())

    def _long(self) -> Shot:
        path, body = self._base()
        dice = self._dice
        text = dice.choice(("a", "ab ", " ", "é", "🦊", "\n", "<|im_start|>", "0")) * dice.choice((50_000, 300_000, MIB))
        name = dice.choice(("model", "stop", "prompt", "input", "user", "messages", "x", "tools"))
        body[name] = {
            "messages": [{"role": "user", "content": text}],
            "stop": [text, text + "x"],
            "tools": [{"type": "function", "function": {"name": "f", "description": text}}],
            "prompt": dice.choice((text, [text[:2000]] * 50, ["a"] * 20_000, ["a"] * 300, [1] * 100_000, [[1]] * 5000)),
            "input": dice.choice((text, [text[:2000]] * 50, ["a"] * 3000, [1] * 100_000)),
        }.get(name, text)
        if dice.random() < 0.3:
            body["n"] = 128
        return self._posted("very long", path, _dump(body))

    def _headers(self) -> Shot:
        path, body = self._base()
        dice = self._dice
        more = [dice.choice(HEADERS) for _ in range(dice.randint(1, 3))]
        if dice.random() < 0.15:
            more = [f"X-{i}: {'v' * dice.choice((1, 300))}" for i in range(dice.choice((50, 99, 101, 1000)))]
        media = dice.choice(TYPES) if dice.random() < 0.4 else "application/json"
        return self._posted("headers", path, _dump(body), more, media=media, silent=True)

    def _short(self) -> Shot:
        path, body = self._base()
        raw, dice = _dump(body), self._dice
        length = len(raw) + dice.choice((1, 100, 10**6, 10**12))
        head = _head("POST", path, [f"Content-Length: {length}"])
        cut = raw[: dice.randrange(len(raw))]
        return Shot(kind="a body that ends too soon", parts=(head, cut), half=dice.random() < 0.5, silent=True, leave=0.1)

    def _slow(self) -> Shot:
        path, body = self._base()
        raw = _dump(body)
        size = max(1, len(raw) // self._dice.randint(2, 12))
        pieces = (raw[i : i + size] for i in range(0, len(raw), size))
        head = _head("POST", path, [f"Content-Length: {len(raw)}"])
        return Shot(kind="a slow body", parts=(head[:20], head[20:], *pieces), pause=0.05)

    def _chunks(self) -> Shot:
        path, body = self._base()
        raw, dice = _dump(body), self._dice
        size = dice.choice((f"{len(raw):x}", f"{len(raw):x};ext=1", "-5", "ffffffffffffffff", "zz", "", "0", "1" * 400, f"{len(raw) + 5:x}", " 5", "0x5"))
        end = dice.choice((b"0\r\n\r\n", b"", b"0\r\nTrailer: x\r\n\r\n", b"0\r\n" + b"T: x\r\n" * 2000 + b"\r\n", b"0\n\n", b"x"))
        more = ["Transfer-Encoding: " + dice.choice(("chunked", "chunked", "chunked, chunked", "gzip, chunked", "Chunked", "xchunked"))]
        if dice.random() < 0.3:
            more.append(f"Content-Length: {len(raw)}")
        parts = (_head("POST", path, more), size.encode() + b"\r\n" + raw + b"\r\n" + end)
        return Shot(kind="chunks", parts=parts, half=dice.random() < 0.3, silent=True, leave=2.0)

    def _packed(self) -> Shot:
        path, body = self._base()
        dice = self._dice
        raw = dice.choice((gzip.compress(_dump(body)), BOMB, b"\x1f\x8b" + b"\x00" * 50, _dump(body)))
        return self._posted("a packed body", path, raw, ["Content-Encoding: " + dice.choice(CODINGS)], silent=True)

    def _target(self) -> Shot:
        dice = self._dice
        head = f"{dice.choice(METHODS)} {dice.choice(TARGETS)} HTTP/{dice.choice(('1.1', '1.1', '1.0'))}\r\nHost: localhost\r\n"
        raw = head.encode("utf-8" if dice.random() < 0.7 else "latin-1", "replace") + b"Connection: close\r\n\r\n"
        return Shot(kind="a target or method", parts=(raw,), silent=True)

    def _row(self) -> Shot:
        """Pipelined: right and wrong ones, the last of which ends the connection."""
        one = [self._posted("", *self._right(), ["Connection: keep-alive"]).parts for _ in range(self._dice.choice((2, 5, 40)))]
        get = _head("GET", "/health", []).replace(b"close", b"keep-alive")
        raw = b"".join(b"".join(parts) + get for parts in one)
        return Shot(kind="several in a row", parts=(raw, _head("GET", "/health", [])), silent=self._dice.random() < 0.5)

    def _right(self) -> tuple[str, bytes]:
        path, body = self._base()
        raw = _dump(body)
        return path, raw if self._dice.random() < 0.7 else raw[:-1]

    def _greeting(self) -> Shot:
        return Shot(kind="no HTTP", parts=(self._dice.choice(GREETINGS),), half=True, silent=True)

    def _posted(
        self,
        kind: str,
        path: str,
        raw: bytes,
        more: list[str] | None = None,
        *,
        silent: bool = False,
        media: str = "application/json",
    ) -> Shot:
        head = _head("POST", path, [f"Content-Length: {len(raw)}", *(more or [])], media)
        return Shot(kind=kind, parts=(head, raw), silent=silent)


def _head(method: str, path: str, lines: list[str], media: str = "application/json") -> bytes:
    close = [] if any(line.startswith("Connection: keep") for line in lines) else ["Connection: close"]
    all_ = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {media}", *close, *lines, "", ""]
    return "\r\n".join(all_).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    return json.dumps(value)


def _dump(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _product() -> Body:
    """Every one of many choices together with every other."""
    names = "abcdefghijklmnop"
    some = [{"anyOf": [{"type": "object", "required": [name]}, {"type": "object", "properties": {name: {"const": 1}}}]} for name in names]
    return {"allOf": some}


def _doubling() -> Body:
    defs = {f"d{i}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/d{i + 1}"} for side in "lr"}} for i in range(60)}
    return {"$defs": {**defs, "d60": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/d0"}}}


def _circle() -> Body:
    return {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "properties": {"a": {"$ref": "#/$defs/a"}}}


def _wide() -> Body:
    return {"properties": {f"p{i}": {"type": "string", "pattern": f"^x{i}[a-z]{{1,50}}$"} for i in range(1500)}}


def _listed() -> Body:
    return {"properties": {"a": {"enum": [f"value {i} {'x' * 20}" for i in range(3000)]}}}


def _lengths() -> Body:
    part: Body = {"type": "string", "maxLength": 10_000}
    for _ in range(10):
        part = {"type": "array", "items": part, "minItems": 900, "maxItems": 1000}
    return {"properties": {"a": part}}


HARD = (_product, _doubling, _circle, _wide, _listed, _lengths)
EXTRAS: tuple[Body, ...] = (
    {},
    {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": WORDS}]}]},
    {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                  {"role": "tool", "tool_call_id": "1", "content": "x"}]},
    {"stream": True, "stream_options": {"include_usage": True}, "stop": ["x", "\n\n"], "logit_bias": {"5": 1, "6": -100}},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}]},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"a": {"enum": [1, 2]}}}}}},
    {"logprobs": True, "top_logprobs": 3, "n": 2, "seed": 5, "chat_template_kwargs": {"enable_thinking": False}},
    {"prompt": [[1, 2, 3], [4, 5]], "echo": True, "logprobs": 2},
    {"input": ["a", "b"], "encoding_format": "base64"},
)  # fmt: skip
BOMB = gzip.compress(bytes(64 * MIB), 9)
