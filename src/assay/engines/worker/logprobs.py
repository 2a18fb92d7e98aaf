"""OpenAI's two shapes of log-probabilities: of chats, and the older one of completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.engines.worker.token_trail import Told

LEAST = -9999.0
"""What stands for the logarithm of nothing, as OpenAI has it; JSON has no infinity."""


def chat_logprobs(told: Sequence[Told]) -> dict[str, Any]:
    """``{content: [{token, logprob, bytes, top_logprobs}], refusal: null}``."""
    content = [
        {
            **_entry(entry.token.data or entry.token.name, entry.token.logprob),
            "top_logprobs": [_entry(data, logprob) for data, logprob in entry.token.top],
        }
        for entry in told
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(told: Sequence[Told]) -> dict[str, Any]:
    """``{tokens, token_logprobs, top_logprobs, text_offset}``.

    Alternatives come by their text, the token itself among them: so there may be one more of them than were asked for.
    """
    return {
        "tokens": [_spelt(entry.token.data or entry.token.name) for entry in told],
        "token_logprobs": [_told(entry.token.logprob) for entry in told],
        "top_logprobs": [_alternatives(entry) for entry in told],
        "text_offset": [entry.offset for entry in told],
    }


def _entry(data: bytes, logprob: float | None) -> dict[str, Any]:
    return {"token": data.decode("utf-8", "replace"), "logprob": _told(logprob), "bytes": list(data)}


def _alternatives(entry: Told) -> dict[str, float | None] | None:
    token = entry.token
    if token.logprob is None:
        return None
    found: dict[str, float | None] = {}
    for data, logprob in (*token.top, (token.data or token.name, token.logprob)):
        found.setdefault(_spelt(data), _told(logprob))
    return found


def _spelt(data: bytes) -> str:
    """A token that is no whole text is told by its bytes, so that two of them stay apart: ``bytes:\\xe6\\xbc``."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def _told(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST)
