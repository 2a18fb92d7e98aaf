"""Embeddings: the body checked, the vectors awaited, and OpenAI's shape of the answer."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from msgspec import Struct

from assay.engines.worker.choices import Counters
from assay.engines.worker.fields import integer, wrong
from assay.engines.worker.foreign_fields import EMBEDDINGS, refuse_foreign
from assay.engines.worker.model import Embedder, Model, PromptInput, Refused, Vector
from assay.engines.worker.request import model_id, prompts

MAX_INPUTS = 2048


class EmbeddingAsk(Struct, frozen=True, kw_only=True):
    """A checked request; one of ``texts`` and ``ids`` is set, with one entry a vector."""

    model: str
    texts: tuple[str, ...] | None
    ids: tuple[tuple[int, ...], ...] | None
    base64: bool


def read_embeddings(body: Mapping[str, Any], model: Model) -> EmbeddingAsk:
    """Check the body of ``/v1/embeddings``; raise ``Refused``, also where ``model`` gives no embeddings."""
    if not isinstance(model, Embedder):
        raise Refused(
            "this model gives no embeddings; ask one that was made for them: assay model list --filter task=embeddings",
            param="model",
            code="unsupported",
        )
    refuse_foreign(body, EMBEDDINGS)
    encoding = body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise wrong("encoding_format", "float or base64", encoding)
    if integer(body, "dimensions", model.width, low=1) != model.width:
        raise Refused(f"dimensions must be {model.width}, this model's own, or be left out", param="dimensions")
    texts, ids = prompts(body, "input")
    given = texts or ids or ()
    if len(given) > MAX_INPUTS:
        raise Refused(f"input holds {len(given)} entries; at most {MAX_INPUTS} are allowed", param="input")
    if texts and "" in texts:
        raise Refused("input holds an empty string, which has no meaning to embed", param="input")
    return EmbeddingAsk(model=model_id(body), texts=texts, ids=ids, base64=encoding == "base64")


def check_lengths(given: Sequence[PromptInput], context_length: int | None) -> None:
    """Raise ``Refused`` for a prompt that the model cannot read as a whole."""
    for prompt in given:
        if not prompt.length:
            raise Refused("an entry of input has no token", param="input")
        if context_length is not None and prompt.length > context_length:
            raise Refused(
                f"an entry of input has {prompt.told_length} tokens, but the context length is {context_length}; "
                "shorten it or split it",
                param="input",
                code="context_length_exceeded",
            )


class Vectors:
    """The vectors of one request under way. ``cancel`` must be called at the end in every case."""

    def __init__(self, model: Embedder, given: Sequence[PromptInput], counters: Counters) -> None:
        self._loop = asyncio.get_running_loop()
        self._counters = counters
        counters.running += len(given)
        self._futures = [model.embed(prompt) for prompt in given]
        for future in self._futures:
            future.add_done_callback(self._ended)

    async def all(self) -> list[Vector]:
        """In the order of the prompts; raises what the engine raised."""
        return await asyncio.gather(*map(asyncio.wrap_future, self._futures))

    def cancel(self) -> None:
        """Take back what the engine has not begun; harmless when all is over."""
        for future in self._futures:
            future.cancel()

    def _ended(self, _future: Future[Vector]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._count)
        except RuntimeError:
            return  # the loop is closed: the worker is going away

    def _count(self) -> None:
        self._counters.running -= 1
        self._counters.progress += 1


def told_vectors(ask: EmbeddingAsk, vectors: Sequence[Vector], given: Sequence[PromptInput]) -> dict[str, Any]:
    """The body of the answer; in base64 a vector is its numbers as little-endian 32-bit floats."""
    tokens = sum(prompt.length or 0 for prompt in given)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": _base64(vector) if ask.base64 else vector}
            for i, vector in enumerate(vectors)
        ],
        "model": ask.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _base64(vector: Vector) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
