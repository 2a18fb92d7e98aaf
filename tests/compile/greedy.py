"""Greedy tokens of one model by transformers, ONNX Runtime GenAI and llama.cpp, from the same token ids.

Each runs in this process: nothing here is timed, and the models are small.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Ids = Sequence[int]
SMALL = 10_000_000
"""Parameters below which several threads of torch wait for each other longer than they work."""


@dataclass(frozen=True)
class Reference:
    """Tokens by transformers in fp32 up to the model's own end, and by how many logits each led the next best.

    A text that ends has its end token last; what an engine says after it, or whether it says it, is not compared.
    """

    tokens: list[list[int]]
    leads: list[list[float]]
    ends: frozenset[int]


@dataclass(frozen=True)
class Equality:
    """Prompts whose tokens are all the same, and the reference's lead at the first other token of each that parts."""

    equal: int
    prompts: int
    parted: tuple[float, ...]


def compare(reference: Reference, tokens: Sequence[Ids]) -> Equality:
    """Hold ``tokens`` against the reference, prompt by prompt."""
    parted = []
    for wanted, leads, got in zip(reference.tokens, reference.leads, tokens, strict=True):
        for place, token in enumerate(wanted):
            said = got[place] if place < len(got) else None
            if said != token and not (said is None and token in reference.ends):
                parted.append(leads[place])
                break
    return Equality(len(tokens) - len(parted), len(tokens), tuple(parted))


def by_transformers(folder: Path, prompts: Sequence[Ids], count: int) -> Reference:
    """Up to ``count`` tokens for each prompt."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    if model.num_parameters() < SMALL:
        torch.set_num_threads(1)
    told = model.generation_config.eos_token_id
    ends = frozenset(told if isinstance(told, list) else [told])
    tokens, leads = [], []
    with torch.no_grad():
        for prompt in prompts:
            ids, cache = torch.tensor([list(prompt)]), None
            made: list[int] = []
            led: list[float] = []
            while len(made) < count and not (made and made[-1] in ends):
                out = model(ids, past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                best = torch.topk(out.logits[0, -1], 2)
                made.append(int(best.indices[0]))
                led.append(float(best.values[0] - best.values[1]))
                ids = best.indices[:1].unsqueeze(0)
            tokens.append(made)
            leads.append(led)
    return Reference(tokens, leads, ends)


def by_onnx(folder: Path, prompts: Sequence[Ids], count: int) -> list[list[int]]:
    """The same by ONNX Runtime GenAI on the CPU."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import numpy as np
    import onnxruntime_genai as og

    model = og.Model(str(folder))
    made = []
    for prompt in prompts:
        params = og.GeneratorParams(model)
        params.set_search_options(do_sample=False, max_length=len(prompt) + count)
        generator = og.Generator(model, params)
        generator.append_tokens(np.array(prompt, dtype=np.int32))
        tokens: list[int] = []
        while len(tokens) < count and not generator.is_done():
            generator.generate_next_token()
            tokens.append(int(generator.get_next_tokens()[0]))
        made.append(tokens)
    return made


class LlamaCpp:
    """One GGUF file in llama.cpp's server, asked on the loopback."""

    def __init__(self, file: Path, context: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel = context, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.n_gpu_layers, params.fit_params, params.warmup, params.verbosity = 0, False, False, 0
        params.cache_ram_mib = 0
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._server: Any = xllamacpp.Server(params)

    def greedy(self, prompts: Sequence[Ids], count: int) -> list[list[int]]:
        """``count`` tokens for each prompt."""
        made = []
        for prompt in prompts:
            asked = {"prompt": list(prompt), "n_predict": count, "temperature": 0.0, "top_k": 1, "samplers": ["top_k"]}
            asked |= {"return_tokens": True, "cache_prompt": False}
            made.append([int(token) for token in self._ask("/completion", asked)["tokens"]])
        return made

    def tokenize(self, text: str) -> list[int]:
        """With BOS where the file says so, special tokens read as such."""
        asked = {"content": text, "add_special": True, "parse_special": True}
        return [int(token) for token in self._ask("/tokenize", asked)["tokens"]]

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self._server.listening_address + path, json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
