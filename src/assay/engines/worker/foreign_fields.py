"""Fields of OpenAI, llama-server, vLLM, SGLang and Ollama that would change the answer, and that no engine here has.

Each is refused unless it has a value under which it changes nothing; clients send many with their servers' defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.engines.worker.fields import unsupported

Neutral = Mapping[str, tuple[Any, ...]]
"""Fields, and the values under which they change nothing."""

_UNSET = (None,)
_OFF: tuple[Any, ...] = (None, False, 0, "", [], {})
_NO_LIMIT = (None, -1)

_PROMPT: Neutral = {
    "documents": _OFF,
    "chat_template": _OFF,
    "template": _OFF,
    "system": _OFF,
    "raw": _OFF,
    "add_generation_prompt": (None, True),
    "continue_final_message": _OFF,
    "truncate_prompt_tokens": _NO_LIMIT,
    "reasoning_effort": _OFF,
    "reasoning": _OFF,
    "think": _UNSET,
    "enable_thinking": _UNSET,
    "thinking_budget_tokens": _NO_LIMIT,
    "suffix": _OFF,
}
_FORM: Neutral = {
    "functions": _OFF,
    "function_call": (None, "none", "auto"),
    "modalities": (None, ["text"]),
    "audio": _OFF,
    "prediction": _OFF,
    "web_search_options": _OFF,
    "verbosity": _OFF,
    "format": _OFF,
    "grammar": _OFF,
    "json_schema": _OFF,
    "structured_outputs": _OFF,
    "structural_tag": _OFF,
    "guided_decoding": _OFF,
    "guided_json": _OFF,
    "guided_regex": _OFF,
    "guided_choice": _OFF,
    "guided_grammar": _OFF,
    "regex": _OFF,
    "ebnf": _OFF,
    "prompt_logprobs": (None, False),
    "n_probs": _OFF,
    "post_sampling_probs": _OFF,
    "return_tokens_as_token_ids": _OFF,
    "skip_special_tokens": (None, True),
}
_LENGTH: Neutral = {
    "n_predict": _NO_LIMIT,
    "num_predict": _NO_LIMIT,
    "max_new_tokens": _UNSET,
    "max_output_tokens": _UNSET,
    "t_max_predict_ms": (None, 0, -1),
    "min_tokens": _OFF,
    "min_new_tokens": _OFF,
    "ignore_eos": _OFF,
    "stop_token_ids": _OFF,
    "stop_sequences": _OFF,
    "stop_regex": _OFF,
    "include_stop_str_in_output": _OFF,
    "no_stop_trim": _OFF,
}
_SAMPLING: Neutral = {
    "options": _OFF,
    "extra_body": _OFF,
    "n_cmpl": (None, 1),
    "best_of": (None, 1),
    "use_beam_search": _OFF,
    "length_penalty": (None, 1),
    "early_stopping": _OFF,
    "repeat_penalty": (None, 1),
    "repeat_last_n": (None, -1, 64),
    "no_repeat_ngram_size": _OFF,
    "bad_words": _OFF,
    "allowed_token_ids": _OFF,
    "logits_processors": _OFF,
    "custom_logit_processor": _OFF,
    "vllm_xargs": _OFF,
    "lora": _OFF,
    "lora_path": _OFF,
    "samplers": _UNSET,
    "min_keep": (None, 0, 1),
    "typical_p": (None, 1),
    "top_n_sigma": (None, 0, -1),
    "dynatemp_range": _OFF,
    "mirostat": _OFF,
    "dry_multiplier": _OFF,
    "xtc_probability": _OFF,
}
_ANY: Neutral = {**_PROMPT, **_FORM, **_LENGTH, **_SAMPLING}

CHAT: Neutral = {**_ANY, "add_special_tokens": (None, False), "echo": _OFF}
COMPLETION: Neutral = {
    **_ANY,
    "add_special_tokens": (None, True),
    "top_logprobs": _OFF,
    "tools": _OFF,
    "tool_choice": _OFF,
    "response_format": _OFF,
}
EMBEDDINGS: Neutral = {
    "add_special_tokens": (None, True),
    "input_type": _UNSET,
    "task": _UNSET,
    "prompt_name": _UNSET,
    "instruction": _UNSET,
    "instructions": _UNSET,
    "normalize": (None, True),
    "embd_normalize": (None, 2),
    "pooling": _UNSET,
    "truncate": (None, False),
    "truncate_prompt_tokens": _NO_LIMIT,
    "embed_dtype": (None, "float32"),
    "options": _OFF,
    "extra_body": _OFF,
}


def refuse_foreign(body: Mapping[str, Any], fields: Neutral) -> None:
    """Raise ``Refused`` for one of ``fields`` with a value that would change the answer."""
    for name, values in fields.items():
        if name in body and not any(_same(body[name], value) for value in values):
            raise unsupported(name)


def _same(value: Any, known: Any) -> bool:
    """``True`` is not 1 here, nor ``False`` 0."""
    return bool(value == known) and isinstance(value, bool) == isinstance(known, bool)
