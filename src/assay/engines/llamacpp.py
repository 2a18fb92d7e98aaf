"""llama.cpp, through the xllamacpp wheels: GGUF files, slots with continuous batching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError

from assay.engines.chat_template import ChatTemplate
from assay.engines.llamacpp_embeddings import LlamaCppEmbedder, pooling_of
from assay.engines.llamacpp_request import Request
from assay.engines.llamacpp_scores import Scores
from assay.engines.llamacpp_server import LlamaCppServer, context_of
from assay.engines.probe_llamacpp import LlamaCppProber
from assay.engines.worker.model import (
    EVERY_FEATURE,
    Emit,
    Feature,
    Generation,
    Handle,
    Message,
    Model,
    PromptInput,
    Refused,
    Spec,
)
from assay.engines.worker_engine import WorkerEngine
from assay.errors import BadInput
from assay.formats import GgufHeader, read_gguf_header
from assay.types import EngineOptions, Format, Variant

DEFAULT_CONTEXT = 4096
EXTRAS = frozenset({"cache_prompt"})
GUIDED: frozenset[Feature] = frozenset({"json_schema", "grammar"})
"""What needs llguidance inside llama.cpp."""


class LlamaCpp(WorkerEngine):
    """Parent side. ``extra`` may hold ``cache_prompt`` (``true``: reuse of a slot's last prompt; off by default)."""

    name = "llamacpp"
    formats: tuple[Format, ...] = ("gguf",)
    opener = "assay.engines.llamacpp:open_model"
    package = "xllamacpp"

    def check(self, variant: Variant, options: EngineOptions) -> None:
        """Also refuse unknown extras and a variant that is not on this machine."""
        super().check(variant, options)
        unknown = sorted(set(options.extra) - EXTRAS)
        if unknown:
            raise BadInput(f"engine llamacpp knows no option {unknown[0]!r}; known: {', '.join(sorted(EXTRAS))}")
        if variant.path is None:
            raise BadInput(f"{variant.id} is not on this machine: it has no path")


def open_model(spec: Spec) -> Model:
    """Load the GGUF file; called inside the worker."""
    path = Path(spec.variant.path or "").resolve()
    header = read_gguf_header(path)
    pooling = pooling_of(header, spec.variant)
    return LlamaCppEmbedder(spec, path, header, pooling) if pooling else LlamaCppModel(spec, path, header)


class LlamaCppModel:
    """Worker side: one llama.cpp server context with ``slots`` slots of ``context_length`` tokens each."""

    broken: str | None = None

    def __init__(self, spec: Spec, path: Path, header: GgufHeader) -> None:
        options = spec.options
        self.slots = options.slots
        self._context = context_of(header, options.context_length, DEFAULT_CONTEXT)
        self.context_length: int | None = self._context
        self._cache = options.extra.get("cache_prompt") == "true"
        self._server = LlamaCppServer(path, header, options, slots=self.slots, context=self._context, cache=self._cache)
        self.version: str | None = self._server.version
        self.features: frozenset[Feature] = EVERY_FEATURE if self._server.guided else EVERY_FEATURE - GUIDED
        self._template = self._open_template(header)
        self._scores = Scores(self._server.raw, self._server.vocabulary, self._server.letter(), self._server.spell)
        self._requests = ThreadPoolExecutor(self.slots, thread_name_prefix="slot")
        self.arguments: Mapping[str, Any] = {**self._server.arguments, "cache_prompt": self._cache}

    @property
    def chat_template(self) -> str | None:
        """The GGUF file's own."""
        return self._template.source if self._template else None

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> PromptInput:
        """The GGUF file's own template; ``Refused`` where it has none."""
        if self._template is None:
            raise Refused(
                "this model's file has no chat template; use /v1/completions", param="messages", code="no_chat_template"
            )
        return self._server.tokenize(self._template.render(messages, options), add_special=False)

    def encode(self, text: str) -> PromptInput:
        """With BOS where the file says so."""
        return self._server.tokenize(text, add_special=True)

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        """Ids as they are."""
        return self._server.wrap(ids)

    def count(self, text: str) -> int | None:
        """Never needed: every piece carries its count."""
        return self._server.tokenize(text, add_special=False).length

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        """Queue for the next free slot."""
        request = Request(generation, emit, self._ids_of, context=self._context, cache=self._cache)
        request.future = self._requests.submit(partial(request.run, self._server.raw, self._scores))
        return request

    def prober(self) -> LlamaCppProber:
        """Reads this model's distributions, a slot a lane."""
        server = self._server
        return LlamaCppProber(server.raw, server.vocabulary, self.slots, server.letter())

    def close(self) -> None:
        """Wait for the slots and free the context."""
        self._requests.shutdown(wait=True, cancel_futures=True)
        self._server.close()

    def _ids_of(self, text: str) -> Sequence[int]:
        return self._server.tokenize(text, add_special=False).ids or ()

    def _open_template(self, header: GgufHeader) -> ChatTemplate | None:
        source = header.metadata.get("tokenizer.chat_template")
        if not isinstance(source, str) or not source:
            return None
        try:
            return ChatTemplate(source, self._server.special_tokens())
        except TemplateSyntaxError as error:
            raise BadInput("the file's chat template cannot be compiled", why=str(error)) from None
