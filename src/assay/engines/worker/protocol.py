"""The shapes of OpenAI's answers: chunks of a stream, whole answers, usage."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from msgspec.json import encode

from assay.engines.worker.choices import Delta
from assay.engines.worker.logprobs import chat_logprobs, completion_logprobs
from assay.engines.worker.request import Ask
from assay.engines.worker.token_trail import Told
from assay.engines.worker.tool_calls import CallPart

DONE = b"data: [DONE]\n\n"


def event(body: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(body) + b"\n\n"


def usage(prompt_tokens: int | None, completion_tokens: int | None, cached: int | None) -> dict[str, Any] | None:
    """The ``usage`` object, or None where a count is not known: nothing is made up."""
    if prompt_tokens is None or completion_tokens is None:
        return None
    counts: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    if cached is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    return counts


class Shapes:
    """Builds the bodies of one answer, which share id, time and model."""

    def __init__(self, ask: Ask, prompt_tokens: int | None) -> None:
        self._chat = ask.messages is not None
        self._ask = ask
        self._called = ask.tools is not None and ask.tools.choice == "required"
        self.prompt_tokens = prompt_tokens
        kind = "chatcmpl" if self._chat else "cmpl"
        self._head: dict[str, Any] = {
            "id": f"{kind}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": ask.model,
        }
        self._tokens: dict[int, int | None] = {}

    def first(self, choices: int) -> bytes:
        """The chunks that carry the role, one a choice; a plain completion has none."""
        if not self._chat:
            return b""
        role = {"role": "assistant", "content": ""}
        return b"".join(event(self._chunk(i, {"delta": role}, None, 0)) for i in range(choices))

    def chunk(self, delta: Delta) -> bytes:
        """One piece of text, or the end of one choice."""
        self._tokens[delta.choice] = delta.tokens
        total = None if None in self._tokens.values() else sum(t for t in self._tokens.values() if t is not None)
        if delta.finish == "error":
            return event({"error": {"message": delta.error, "type": "server_error", "code": "engine_error"}})
        content = {"delta": _delta(delta)} if self._chat else {"text": delta.text}
        return event(self._chunk(delta.choice, content, delta.finish, total, delta.told))

    def last(self, completion_tokens: int | None, cached: int | None) -> bytes:
        """The usage chunk where it was asked for, and the end mark."""
        if not self._ask.include_usage:
            return DONE
        body = {**self._head, "object": self._object(stream=True), "choices": []}
        body["usage"] = usage(self.prompt_tokens, completion_tokens, cached)
        return event(body) + DONE

    def whole(
        self,
        texts: list[str],
        finishes: list[str],
        completion_tokens: int | None,
        cached: int | None,
        *,
        told: Sequence[Sequence[Told]],
        calls: Sequence[Sequence[dict[str, Any]]],
    ) -> dict[str, Any]:
        """The body of an answer that was not streamed.

        ``told`` is each choice's tokens, none where they were not asked for; ``calls`` its calls of functions.
        """
        choices = [
            {
                "index": i,
                **({"message": _message(text, calls[i], called=self._called)} if self._chat else {"text": text}),
                "logprobs": self._logprobs(told[i]) if self._ask.top_logprobs is not None else None,
                "finish_reason": finish,
            }
            for i, (text, finish) in enumerate(zip(texts, finishes, strict=True))
        ]
        counts = usage(self.prompt_tokens, completion_tokens, cached)
        return {**self._head, "object": self._object(stream=False), "choices": choices, "usage": counts}

    def _chunk(
        self,
        choice: int,
        content: dict[str, Any],
        finish: str | None,
        tokens: int | None,
        told: tuple[Told, ...] = (),
    ) -> dict[str, Any]:
        logprobs = self._logprobs(told) if told else None
        entry = {"index": choice, **content, "logprobs": logprobs, "finish_reason": finish}
        body = {**self._head, "object": self._object(stream=True), "choices": [entry]}
        if self._ask.continuous_usage:
            body["usage"] = usage(self.prompt_tokens, tokens, None)
        elif self._ask.include_usage:
            body["usage"] = None
        return body

    def _logprobs(self, told: Sequence[Told]) -> dict[str, Any]:
        return chat_logprobs(told) if self._chat else completion_logprobs(told)

    def _object(self, *, stream: bool) -> str:
        if not self._chat:
            return "text_completion"
        return "chat.completion.chunk" if stream else "chat.completion"


def _delta(delta: Delta) -> dict[str, Any]:
    if delta.finish is not None:
        return {}
    if not delta.calls:
        return {"content": delta.text}
    return {"tool_calls": [_call_part(part) for part in delta.calls]}


def _call_part(part: CallPart) -> dict[str, Any]:
    if part.name is None:
        return {"index": part.index, "function": {"arguments": part.arguments}}
    function = {"name": part.name, "arguments": part.arguments}
    return {"index": part.index, "id": part.id, "type": "function", "function": function}


def _message(text: str, calls: Sequence[dict[str, Any]], *, called: bool) -> dict[str, Any]:
    """``called``: the answer had to be calls, of which none may have come before it was cut."""
    message = {"role": "assistant", "content": text or None if calls or called else text}
    return {**message, "tool_calls": list(calls)} if calls else message
