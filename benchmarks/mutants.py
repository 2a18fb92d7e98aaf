"""Requests that are wrong in some way, drawn by a seed: JSON, fields, bytes, HTTP itself, and how they are sent."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from nasty import (
    BOMB,
    CODINGS,
    EXTRAS,
    FIELDS,
    GREETINGS,
    HARD,
    HEADERS,
    KEYWORDS,
    LITERALS,
    METHODS,
    MIB,
    NUMBERS,
    PATTERNS,
    SIMPLE,
    STRINGS,
    TARGETS,
    TYPES,
    WORDS,
    Body,
)

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/assay/load", "/assay/unload")


class Shot(Struct, frozen=True, kw_only=True):
    """Bytes to send in ``parts``, ``pause`` seconds apart. ``half``: close the sending side behind them.

    ``silent``: that no answer comes is all right, since what was sent is not whole or no HTTP. ``leave``: it goes away
    when nothing has come for so many seconds.
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
        """A value that few expect; what is within is the smaller the deeper it is."""
        dice = self._dice
        plain = dice.choice((*NUMBERS, *STRINGS))
        roll = dice.randrange(10 if depth < 3 else 6)
        if roll < 5:
            return plain
        if roll == 5:
            return copy.deepcopy(dice.choice(SIMPLE))
        if roll == 6:
            return "x" * dice.choice((100, 1000, 10_000, 100_000) if not depth else (100, 1000))
        if roll == 7:
            return [self._nasty(depth + 1) for _ in range(dice.choice((1, 2, 5, 17, 130) if not depth else (1, 2, 3)))]
        if roll == 8:
            names = [dice.choice((*STRINGS, *FIELDS, "1", "99999999")) for _ in range(dice.randint(1, 6))]
            return {name: self._nasty(depth + 1) for name in names}
        return [plain] * dice.choice((100, 3000, 50_000) if not depth else (10, 300))

    def _value(self) -> Shot:
        path, body = self._base()
        name = self._dice.choice((*body, *FIELDS, "x" * 300, "", "\x00", "é"))
        if self._dice.random() < 0.08:
            body.pop(name, None)
        else:
            body[name] = self._nasty()
        return self._posted("a field's value", path, _dump(_brief(body)))

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
        return self._posted("a value inside", path, _dump(_brief(body)))

    def _schema(self) -> Shot:
        path, body = self._base()
        schema = {"type": "object", "properties": {"a": self._part()}, "required": ["a"]}
        if self._dice.random() < 0.3:
            schema |= self._dice.choice(HARD)()
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        return self._posted("a schema", path, _dump(body))

    def _part(self, depth: int = 0) -> Any:
        dice = self._dice
        keyword = dice.choice(KEYWORDS)
        kind = dice.choice(("string", "number", "integer", "array", "object", "null", "boolean"))
        if keyword == "pattern" and dice.random() < 0.7:
            return {"type": "string", "pattern": dice.choice(PATTERNS)}
        if keyword in {"anyOf", "allOf", "oneOf", "prefixItems"} and depth < 4:
            return {"type": kind, keyword: [self._part(depth + 1) for _ in range(dice.randint(0, 5))]}
        if keyword in {"items", "additionalProperties", "not", "contains", "if"} and depth < 4:
            return {"type": kind, keyword: self._part(depth + 1)}
        if keyword in {
            "minimum",
            "maximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "exclusiveMinimum",
        }:
            return {"type": kind, keyword: dice.choice(NUMBERS)}
        return {"type": kind, keyword: self._nasty(2)}

    def _tools(self) -> Shot:
        path, body = self._base()
        dice = self._dice
        tool: Body = {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": self._part()}}},
        }
        if dice.random() < 0.4:
            tool["function"][dice.choice(("name", "parameters", "strict", "description", "x"))] = self._nasty(1)
        body["tools"] = [
            {**tool, "function": {**tool["function"], "name": f"f{i}"}} for i in range(dice.choice((1, 1, 3, 128, 129)))
        ]
        if dice.random() < 0.2:
            body["tools"] = [tool] * 3
        body["tool_choice"] = dice.choice(
            ("auto", "required", "none", {"type": "function", "function": {"name": "f0"}}, self._nasty())
        )
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
            text = text[:-1] + f", {again}: {json.dumps(self._nasty(2))}}}"
        elif how == 2:
            at = text.index(":") + 1
            text = text[:at] + dice.choice(LITERALS) + text[text.index(",", at) if "," in text[at:] else -1 :]
        elif how == 3:
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice("{}[]\",:\\\x00\n\t'`€0-") + text[at + dice.randrange(2) :]
        elif how == 4:
            text = dice.choice(
                (
                    "",
                    " ",
                    "null",
                    "[]",
                    "1",
                    '"x"',
                    "{}",
                    "[{}]",
                    "true",
                    "\ufeff" + text,
                    text + text,
                    text + " x",
                    "data: " + text,
                )
            )
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
            raw[at:at] = dice.choice(
                (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80" * 50)
            )
        elif how == 2:
            raw = bytearray(
                raw.decode("utf-8", "replace").encode(dice.choice(("utf-16", "utf-32", "utf-7", "utf-8-sig")))
            )
        else:
            raw = bytearray(dice.randbytes(dice.choice((1, 10, 1000, 100_000))))
        return self._posted("broken bytes", path, bytes(raw))

    def _deep(self) -> Shot:
        path, body = self._base()
        depth = self._dice.choice((50, 199, 200, 201, 1000, 20_000, 200_000))
        opening, close = self._dice.choice((("[", "]"), ('{"a":', "}"), ('[{"":', "}]"), ("[", "")))
        text = (
            _dump(body).decode()[:-1]
            + f", {json.dumps(self._dice.choice(FIELDS[1:]))}: {opening * depth}1{close * depth}}}"
        )
        return self._posted("deep nesting", path, text.encode())

    def _long(self) -> Shot:
        path, body = self._base()
        dice = self._dice
        text = dice.choice(("a", "ab ", " ", "é", "🦊", "\n", "<|im_start|>", "0")) * dice.choice(
            (50_000, 300_000, MIB)
        )
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
        return Shot(
            kind="a body that ends too soon", parts=(head, cut), half=dice.random() < 0.5, silent=True, leave=0.1
        )

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
        size = dice.choice(
            (
                f"{len(raw):x}",
                f"{len(raw):x};ext=1",
                "-5",
                "ffffffffffffffff",
                "zz",
                "",
                "0",
                "1" * 400,
                f"{len(raw) + 5:x}",
                " 5",
                "0x5",
            )
        )
        end = dice.choice(
            (b"0\r\n\r\n", b"", b"0\r\nTrailer: x\r\n\r\n", b"0\r\n" + b"T: x\r\n" * 2000 + b"\r\n", b"0\n\n", b"x")
        )
        more = [
            "Transfer-Encoding: "
            + dice.choice(("chunked", "chunked", "chunked, chunked", "gzip, chunked", "Chunked", "xchunked"))
        ]
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
        version = dice.choice(("1.1", "1.1", "1.0"))
        head = f"{dice.choice(METHODS)} {dice.choice(TARGETS)} HTTP/{version}\r\nHost: localhost\r\n"
        raw = head.encode("utf-8" if dice.random() < 0.7 else "latin-1", "replace") + b"Connection: close\r\n\r\n"
        return Shot(kind="a target or method", parts=(raw,), silent=True)

    def _row(self) -> Shot:
        """Pipelined: right and wrong ones, the last of which ends the connection."""
        one = [
            self._posted("", *self._right(), ["Connection: keep-alive"]).parts
            for _ in range(self._dice.choice((2, 5, 40)))
        ]
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


def _brief(body: Body) -> Body:
    """Many answers without a limit are right and take minutes, to the end of the context each: they get a small one."""
    if any(isinstance(body.get(name), list | int) for name in ("prompt", "n")):
        body.setdefault("max_tokens", 2)
    return body


def _head(method: str, path: str, lines: list[str], media: str = "application/json") -> bytes:
    close = [] if any(line.startswith("Connection: keep") for line in lines) else ["Connection: close"]
    all_ = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {media}", *close, *lines, "", ""]
    return "\r\n".join(all_).encode("utf-8", "surrogatepass")


def _dump(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
