"""llama.cpp, through the xllamacpp wheels: GGUF files, slots with continuous batching.

The worker calls llama.cpp's server context in-process with token ids and reads its stream callback; its own HTTP
door stays behind a random key and is asked only to tokenise.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from jinja2 import TemplateSyntaxError
from msgspec import Struct

from assay.engines.chat_template import ChatTemplate
from assay.engines.cpu_threads import default_threads
from assay.engines.probe_llamacpp import LlamaCppProber
from assay.engines.worker.model import (
    EVERY_FEATURE,
    Emit,
    End,
    Generation,
    Handle,
    Message,
    Model,
    Piece,
    PromptInput,
    Refused,
    Sampling,
    Spec,
)
from assay.engines.worker_engine import WorkerEngine
from assay.errors import BadInput
from assay.formats import GgufHeader, read_gguf_header
from assay.types import EngineOptions, Format, Variant

DEFAULT_CONTEXT = 4096
BATCH = 512
"""Prompt tokens per step: between two steps other slots decode, and a cancel takes effect."""
EXTRAS = frozenset({"cache_prompt"})
_RANDOM_SEED = 0xFFFFFFFF


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
    return LlamaCppModel(spec)


class _Text(Struct, frozen=True):
    text: str = ""
    finish_reason: str | None = None


class _Cached(Struct, frozen=True):
    cached_tokens: int = 0


class _Usage(Struct, frozen=True):
    completion_tokens: int
    prompt_tokens_details: _Cached = _Cached()


class _Timings(Struct, frozen=True):
    predicted_n: int = 0


class _Error(Struct, frozen=True):
    message: str = ""


class _Chunk(Struct, frozen=True):
    """What is read of one event of llama.cpp's stream."""

    choices: tuple[_Text, ...] = ()
    usage: _Usage | None = None
    timings: _Timings = _Timings()
    error: _Error | None = None


_read_chunk = msgspec.json.Decoder(_Chunk).decode


class LlamaCppModel:
    """Worker side: one llama.cpp server context with ``slots`` slots of ``context_length`` tokens each."""

    features = EVERY_FEATURE
    broken: str | None = None

    def __init__(self, spec: Spec) -> None:
        import xllamacpp

        path = Path(spec.variant.path or "").resolve()
        header = read_gguf_header(path)
        self.version: str | None = xllamacpp.__version__
        self.slots = spec.options.slots
        self._context = _context(header, spec.options.context_length)
        self.context_length: int | None = self._context
        self._vocabulary = header.vocabulary or 0
        self._cache = spec.options.extra.get("cache_prompt") == "true"
        threads = spec.options.threads or default_threads(path.stat().st_size)
        params = _parameters(
            xllamacpp, path, slots=self.slots, context=self._context, threads=threads, cache=self._cache
        )
        self._key = secrets.token_hex(16)
        params.api_keys = [self._key]
        self._server = xllamacpp.Server(params)
        self._address = urlsplit(self._server.listening_address).netloc
        self._template = self._open_template(header)
        self._requests = ThreadPoolExecutor(self.slots, thread_name_prefix="slot")
        self.arguments: Mapping[str, Any] = {
            "threads": threads,
            "slots": self.slots,
            "context_per_slot": self.context_length,
            "batch": BATCH,
            "kv_type": "f16",
            "mmap": True,
            "cache_prompt": self._cache,
            "warmup": "one empty decode, inside the load time",
            "cpu": xllamacpp.get_system_info().strip(),
        }

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> PromptInput:
        """The GGUF file's own template; ``Refused`` where it has none."""
        if self._template is None:
            raise Refused(
                "this model's file has no chat template; use /v1/completions", param="messages", code="no_chat_template"
            )
        return self._tokenize(self._template.render(messages, options), add_special=False)

    def encode(self, text: str) -> PromptInput:
        """With BOS where the file says so."""
        return self._tokenize(text, add_special=True)

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        """Ids as they are."""
        outside = [token for token in ids if token >= self._vocabulary]
        if outside:
            raise Refused(
                f"token id {outside[0]} is outside the vocabulary of {self._vocabulary} tokens", param="prompt"
            )
        return PromptInput(ids=tuple(ids), length=len(ids))

    def count(self, text: str) -> int | None:
        """Never needed: every piece carries its count."""
        return self._tokenize(text, add_special=False).length

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        """Queue for the next free slot."""
        request = _Request(emit)
        body = msgspec.json.encode(_body(generation, context=self._context, cache=self._cache))
        request.future = self._requests.submit(partial(request.run, self._server, body))
        return request

    def prober(self) -> LlamaCppProber:
        """Reads this model's distributions, a slot a lane."""
        letter = self._tokenize("a", add_special=False).ids or (0,)
        return LlamaCppProber(self._server, self._vocabulary, self.slots, letter[-1])

    def close(self) -> None:
        """Wait for the slots and free the context."""
        self._requests.shutdown(wait=True, cancel_futures=True)
        del self._server

    def _open_template(self, header: GgufHeader) -> ChatTemplate | None:
        source = header.metadata.get("tokenizer.chat_template")
        if not isinstance(source, str) or not source:
            return None
        props = self._ask("GET", "/props", None)
        special = {name: props[name] for name in ("bos_token", "eos_token") if props.get(name)}
        try:
            return ChatTemplate(source, special)
        except TemplateSyntaxError as error:
            raise BadInput("the file's chat template cannot be compiled", why=str(error)) from None

    def _tokenize(self, text: str, *, add_special: bool) -> PromptInput:
        asked = {"content": text, "add_special": add_special, "parse_special": True}
        ids = tuple(self._ask("POST", "/tokenize", asked)["tokens"])
        return PromptInput(ids=ids, length=len(ids))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPConnection(self._address)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class _Request:
    """One generation on a slot's thread."""

    future: Future[None]

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._cancelled = False
        self._tokens = 0
        self._end: End | None = None

    def cancel(self) -> None:
        """Take effect at the next event of the stream: the next token, or the next step of the prompt."""
        self._cancelled = True
        if self.future.cancel():
            self._emit(End(reason="cancelled"))

    def run(self, server: Any, body: bytes) -> None:
        """Blocks until the generation is over; llama.cpp releases the GIL."""
        try:
            server.handle_completions(body, self._take)
        except Exception as error:
            self._end = End(reason="error", error=f"llama.cpp: {error}")
        self._emit(self._end or End(reason="cancelled"))

    def _take(self, data: bytes) -> bool:
        """The stream callback; True stops the generation."""
        if self._cancelled:
            return True
        chunk = _read_chunk(data)
        if chunk.error:
            self._end = End(reason="error", error=f"llama.cpp: {chunk.error.message}")
            return False
        text = chunk.choices[0].text if chunk.choices else ""
        total = chunk.usage.completion_tokens if chunk.usage else chunk.timings.predicted_n
        if text or total > self._tokens:
            self._emit(Piece(text.encode(), total - self._tokens))
            self._tokens = total
        if chunk.usage:
            cached = chunk.usage.prompt_tokens_details.cached_tokens
            reason = chunk.choices[0].finish_reason if chunk.choices else "stop"
            self._end = End(reason="length" if reason == "length" else "stop", cached_tokens=cached)
        return False


def _context(header: GgufHeader, asked: int | None) -> int:
    """Tokens per slot: as asked, or 4096 where the model was made for as many; ``BadInput`` for more than that."""
    longest = header.context_length
    if asked and longest and asked > longest:
        raise BadInput(
            f"a context of {asked} tokens was asked for, but the model has at most {longest}",
            why="context_length in its GGUF header",
            remedy=f"ask for {longest} or less",
        )
    return asked or (min(DEFAULT_CONTEXT, longest) if longest else DEFAULT_CONTEXT)


def _parameters(xllamacpp: Any, path: Path, *, slots: int, context: int, threads: int, cache: bool) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = os.fspath(path)
    params.n_ctx = context * slots  # llama.cpp's figure is the total over its slots
    params.kv_unified = False
    params.n_parallel = slots
    params.n_batch = BATCH
    params.n_ubatch = BATCH
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = 0
    params.fit_params = False
    params.ctx_shift = False
    params.warmup = True
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MMAP
    params.cache_prompt = cache
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = 0
    params.slot_prompt_similarity = 0.1 if cache else 0.0
    params.n_threads_http = 2
    params.ui = False
    params.verbosity = 2
    return params


def _body(generation: Generation, *, context: int, cache: bool) -> dict[str, Any]:
    return {
        "prompt": generation.prompt.ids,
        "n_predict": generation.max_tokens,
        "stream": True,
        "cache_prompt": cache,
        "timings_per_token": True,
        "return_progress": True,
        **_sampling(generation.sampling, context),
    }


def _sampling(sampling: Sampling, context: int) -> dict[str, Any]:
    """llama.cpp's names, in the order of Hugging Face's samplers: penalties, temperature, top_k, top_p, min_p."""
    penalties = {
        "repeat_penalty": sampling.repetition_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_last_n": context,
    }
    if sampling.temperature == 0:
        return {**penalties, "temperature": 0.0, "top_k": 1, "samplers": ["penalties", "top_k"]}
    return {
        **penalties,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": _RANDOM_SEED if sampling.seed is None else sampling.seed % _RANDOM_SEED,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
    }
