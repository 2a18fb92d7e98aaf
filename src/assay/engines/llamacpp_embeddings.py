"""Embeddings from llama.cpp: GGUF files that were made for them, and others that a registry names for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, cast

import msgspec
from msgspec import Struct

from assay.engines.llamacpp_answer import Failure
from assay.engines.llamacpp_server import LlamaCppServer, Pooling, context_of
from assay.engines.worker.model import (
    Emit,
    Feature,
    Generation,
    Handle,
    Message,
    PromptInput,
    Refused,
    Spec,
    Vector,
)
from assay.errors import BadInput, EngineError
from assay.formats import GgufHeader
from assay.types import Variant

DEFAULT_CONTEXT = 2048
"""A prompt is read in one step, whose memory grows with it."""


def pooling_of(header: GgufHeader, variant: Variant) -> Pooling | None:
    """How the model makes a vector of a text; None for one that makes text.

    A file that was made for it decides. Any other model gives the mean over its tokens where its list names it so
    (``Variant.embeds``). Raise ``BadInput`` for a model that ranks.
    """
    if header.pooling == "rank":
        raise BadInput("this model ranks documents, for which there is no route here", why="its header says so")
    if header.embeds:
        return cast("Pooling", header.pooling)
    return "mean" if variant.embeds else None


class _Datum(Struct, frozen=True):
    embedding: tuple[float, ...]


class _Answer(Struct, frozen=True):
    data: tuple[_Datum, ...] = ()
    error: Failure | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class LlamaCppEmbedder:
    """Worker side: one prompt at a time.

    Several at once would be read in one batch, which llama.cpp cuts where lengths differ, and pools what is left; with
    a common cache it does not, but then a text's vector depends on its company in the third digit.
    """

    features: frozenset[Feature] = frozenset()
    chat_template: str | None = None
    broken: str | None = None
    slots = 1

    def __init__(self, spec: Spec, path: Path, header: GgufHeader, pooling: Pooling) -> None:
        context = context_of(header, spec.options.context_length, DEFAULT_CONTEXT)
        self.context_length: int | None = context
        self._server = LlamaCppServer(path, header, spec.options, slots=1, context=context, pooling=pooling)
        self.version: str | None = self._server.version
        self.arguments: Mapping[str, Any] = {**self._server.arguments, "pooling": pooling}
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="slot")
        self.width = len(self._embed((self._server.letter(),)))

    def encode(self, text: str) -> PromptInput:
        """With the tokens that the file puts around a text."""
        return self._server.tokenize(text, add_special=True)

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        """Ids as they are."""
        return self._server.wrap(ids)

    def count(self, text: str) -> int | None:
        """Tokens of a text."""
        return self._server.tokenize(text, add_special=False).length

    def embed(self, prompt: PromptInput) -> Future[Vector]:
        """Queue a prompt."""
        return self._lane.submit(self._embed, prompt.ids or ())

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> NoReturn:  # noqa: ARG002
        """There is no chat."""
        raise Refused("this model gives embeddings only", param="messages", code="unsupported")

    def submit(self, generation: Generation, emit: Emit) -> Handle:  # noqa: ARG002
        """Never called: it does not generate."""
        raise Refused("this model gives embeddings only", code="unsupported")

    def close(self) -> None:
        """Wait for the prompt that is being read, and free the context."""
        self._lane.shutdown(wait=True, cancel_futures=True)
        self._server.close()

    def _embed(self, ids: Sequence[int]) -> Vector:
        answer = _decode(self._server.raw.handle_embeddings(msgspec.json.encode({"input": [ids]}).decode()))
        if answer.error or not answer.data:
            raise EngineError(
                "llama.cpp gave no embedding", why=answer.error.message if answer.error else "its answer is empty"
            )
        return answer.data[0].embedding
