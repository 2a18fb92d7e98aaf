"""The OpenAI chat protocol as far as measuring needs it: the request's body, and typed structs for what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import Struct

from assay.types import Decoding, Prompt

MESSAGE_CHARS = 300


class Usage(Struct, frozen=True):
    """``usage``; in a stream it comes in a tail of its own, or in every chunk with the counts so far."""

    class Details(Struct, frozen=True):
        cached_tokens: int | None = None

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None


class Timings(Struct, frozen=True):
    """llama.cpp's own counts: ``prompt_n`` leaves out the ``cache_n`` tokens that it took from its cache."""

    prompt_n: int | None = None
    cache_n: int | None = None
    predicted_n: int | None = None


class Words(Struct, frozen=True):
    """A ``delta`` or a ``message``; servers name the reasoning in one of two ways."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    @property
    def thought(self) -> str:
        return self.reasoning_content or self.reasoning or ""


class Alternative(Struct, frozen=True):
    """One of ``choices``."""

    index: int = 0
    delta: Words | None = None
    message: Words | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(Struct, frozen=True):
    """A chunk of a stream, a whole completion, or an error that came under status 200."""

    choices: list[Alternative] | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    error: Any = None
    object: str | None = None
    message: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode


class Counting(IntEnum):
    """What a stream is asked to count, in the order in which a server that refuses one is asked for the next."""

    EVERY_CHUNK = 0
    AT_THE_END = 1
    NOTHING = 2


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """The conversation that a prompt is: its system message, if it has one, and the prompt."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system is not None else []
    return [*system, {"role": "user", "content": prompt.prompt}]


def parameters_of(decoding: Decoding) -> dict[str, Any]:
    """Fields of a request by their names there."""
    return {
        "max_tokens": decoding.max_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "seed": decoding.seed,
        "stop": list(decoding.stop) or None,
    }


def request_body(
    model: str,
    messages: Sequence[Mapping[str, str]],
    parameters: Mapping[str, Any],
    *,
    stream: bool,
    counting: Counting,
) -> bytes:
    """JSON of a ``/chat/completions`` request; parameters that are None are left out."""
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": stream}
    body |= {name: value for name, value in parameters.items() if value is not None}
    if stream and counting is not Counting.NOTHING:
        body["stream_options"] = {"include_usage": True}
        if counting is Counting.EVERY_CHUNK:
            body["stream_options"]["continuous_usage_stats"] = True
    return msgspec.json.encode(body)


def error_text(body: bytes) -> str:
    """The server's own words in an error body, whether OpenAI's shape, another JSON or plain text; one short line."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = body.decode("utf-8", "replace")
    return short(_words_of(found))


def error_in(chunk: Chunk) -> str | None:
    """The server's words where a chunk under status 200 is an error, else None."""
    if chunk.error is not None:
        return short(_words_of(chunk.error))
    if chunk.object == "error":
        return short(_words_of(chunk.message))
    return None


def short(text: str) -> str:
    """One line of at most ``MESSAGE_CHARS`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_CHARS else line[: MESSAGE_CHARS - 1] + "…"


def _words_of(found: Any) -> str:
    if isinstance(found, str):
        return found
    if isinstance(found, dict):
        for name in ("error", "message", "detail"):
            if found.get(name):
                return _words_of(found[name])
    return msgspec.json.encode(found).decode()
