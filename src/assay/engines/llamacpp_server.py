"""A llama.cpp server context in this process: a GGUF file in memory, its slots, and its tokenizer.

Generations and embeddings are asked of it in-process with token ids; its own HTTP door stays behind a random key and is
asked only to tokenise.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from assay.engines.cpu_threads import default_threads
from assay.engines.worker.long_text import prompt_of
from assay.engines.worker.model import PromptInput, Refused
from assay.errors import BadInput
from assay.formats import GgufHeader
from assay.types import EngineOptions

BATCH = 512
"""Prompt tokens per step: between two steps other slots decode, and a cancel takes effect."""
Pooling = Literal["mean", "cls", "last"]
"""How the tokens' vectors become that of the text: their mean, or the first or the last one."""


class LlamaCppServer:
    """With ``slots`` slots of ``context`` tokens each; ``cache`` is whether a slot's last prompt is reused.

    With ``pooling`` it gives embeddings, of which each prompt is read in one step, and nothing else.
    """

    def __init__(
        self,
        path: Path,
        header: GgufHeader,
        options: EngineOptions,
        *,
        slots: int,
        context: int,
        cache: bool = False,
        pooling: Pooling | None = None,
    ) -> None:
        import xllamacpp

        self.version: str = xllamacpp.__version__
        self.vocabulary = header.vocabulary or 0
        self._context = context
        self.guided = str(xllamacpp.json_schema_to_grammar({"type": "object"})).startswith("%llguidance")
        """Whether this build follows llguidance's grammars; one that does not would end the process over one."""
        threads = options.threads or default_threads(path.stat().st_size)
        params = _parameters(xllamacpp, path, slots=slots, context=context, threads=threads, cache=cache)
        if pooling:
            params.embedding = True
            params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling.upper()}")
            params.n_batch = params.n_ubatch = context
        self._key = secrets.token_hex(16)
        params.api_keys = [self._key]
        self.raw: Any = xllamacpp.Server(params)
        self._address = urlsplit(self.raw.listening_address).netloc
        self.arguments = {
            "threads": threads,
            "slots": slots,
            "context_per_slot": context,
            "batch": params.n_batch,
            "kv_type": "f16",
            "mmap": True,
            "warmup": "one empty decode, inside the load time",
            "cpu": xllamacpp.get_system_info().strip(),
        }

    def special_tokens(self) -> dict[str, str]:
        """``bos_token`` and ``eos_token`` as they are written, where the file has them."""
        props = self._ask("GET", "/props", None)
        return {name: props[name] for name in ("bos_token", "eos_token") if props.get(name)}

    def tokenize(self, text: str, *, add_special: bool) -> PromptInput:
        """Token ids, special tokens recognised; with ``add_special`` also those that the file puts around a text."""

        def ids_of(part: str) -> list[int]:
            asked = {"content": part, "add_special": add_special, "parse_special": True}
            found: list[int] = self._ask("POST", "/tokenize", asked)["tokens"]
            return found

        return prompt_of(text, self._context, ids_of)

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        """Ids as they are; ``Refused`` where one is outside the vocabulary."""
        outside = [token for token in ids if token >= self.vocabulary]
        if outside:
            raise Refused(
                f"token id {outside[0]} is outside the vocabulary of {self.vocabulary} tokens", param="prompt"
            )
        return PromptInput(ids=tuple(ids), length=len(ids))

    def spell(self, token: int) -> str:
        """The text of a token, special ones as they are written; U+FFFD for bytes that are no text."""
        return str(self._ask("POST", "/detokenize", {"tokens": [token]})["content"])

    def letter(self) -> int:
        """A token whose text is whole characters."""
        return (self.tokenize("a", add_special=False).ids or (0,))[-1]

    def close(self) -> None:
        """Free it; nothing may run."""
        del self.raw

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPConnection(self._address)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def context_of(header: GgufHeader, asked: int | None, default: int) -> int:
    """Tokens per slot: as asked, or ``default`` where the model was made for as many; ``BadInput`` for more."""
    longest = header.context_length
    if asked and longest and asked > longest:
        raise BadInput(
            f"a context of {asked} tokens was asked for, but the model has at most {longest}",
            why="context_length in its GGUF header",
            remedy=f"ask for {longest} or less",
        )
    return asked or (min(default, longest) if longest else default)


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
    params.slot_prompt_similarity = 0.1  # finds the slot that has most of a prompt, for requests that reuse it
    params.n_threads_http = 2
    params.ui = False
    params.verbosity = 2
    return params
