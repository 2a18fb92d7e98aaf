"""What a llama.cpp server context answers, and one next token asked of it.

The server lists log-probabilities (before bias and sampling) of the token that it samples and of the likeliest ones. A
bias makes it sample a token that is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from assay.errors import EngineError

CERTAIN = 1e4
"""Added to a token's score, it makes that token be sampled."""
Entry = TypeVar("Entry")
"""What is read of a sampled token with the likeliest in its place."""


class Failure(Struct, frozen=True):
    """What went wrong."""

    message: str = ""


class Logprobs(Struct, Generic[Entry], frozen=True):
    """Of an event or an answer."""

    content: tuple[Entry, ...] = ()


class Choice(Struct, Generic[Entry], frozen=True):
    """Without log-probabilities the token ends within a character: they are held back until the rest of it comes."""

    logprobs: Logprobs[Entry] | None = None
    finish_reason: str | None = None


class Answer(Struct, Generic[Entry], frozen=True):
    """To be decoded as an ``Answer`` of the entries that are wanted."""

    choices: tuple[Choice[Entry], ...] = ()
    error: Failure | None = None


def next_token(
    server: Any,
    decode: Callable[[bytes], Answer[Entry]],
    ids: Sequence[int],
    wanted: int,
    *,
    certain: int | None = None,
    lane: int | None = None,
) -> Choice[Entry]:
    """The likeliest token after ``ids``, or the one that is ``certain``, with the ``wanted`` likeliest.

    It is asked of the slot ``lane``, or of any. Raise ``EngineError`` where there is no choice.
    """
    body = {
        "prompt": ids,
        "n_predict": 1,
        "n_probs": wanted,
        "temperature": 0.0,
        "top_k": 1,
        "samplers": ["top_k"],
        "cache_prompt": True,
        "stream": False,
        **({"logit_bias": [[certain, CERTAIN]]} if certain is not None else {}),
        **({"id_slot": lane} if lane is not None else {}),
    }
    parts: list[bytes] = []
    server.handle_completions(msgspec.json.encode(body), parts.append)
    answer = decode(b"".join(parts))
    if answer.error or not answer.choices:
        raise no_distribution(answer.error.message if answer.error else "its answer is empty")
    return answer.choices[0]


def no_distribution(why: str) -> EngineError:
    """For an answer without what was asked for."""
    return EngineError("llama.cpp gave no distribution", why=why)
