"""A request body, checked: what is asked for, or a 400 that names the field and says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from assay.engines.worker.model import Feature, Message, Refused, Sampling

MAX_CHOICES = 128
MAX_STOPS = 16
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Ask(Struct, frozen=True, kw_only=True):
    """A checked request. One of ``messages``, ``texts`` and ``ids`` is set; the last two hold one entry a prompt."""

    model: str
    messages: tuple[Message, ...] | None = None
    texts: tuple[str, ...] | None = None
    ids: tuple[tuple[int, ...], ...] | None = None
    template_options: Mapping[str, Any] = {}
    n: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False


def read_chat(body: Mapping[str, Any], features: frozenset[Feature]) -> Ask:
    """Check the body of ``/v1/chat/completions``; raise ``Refused``."""
    return _read(body, features, messages=_messages(body), template_options=_template_options(body))


def read_completion(body: Mapping[str, Any], features: frozenset[Feature]) -> Ask:
    """Check the body of ``/v1/completions``; raise ``Refused``."""
    texts, ids = _prompts(body)
    return _read(body, features, texts=texts, ids=ids)


def _read(body: Mapping[str, Any], features: frozenset[Feature], **prompt: Any) -> Ask:
    _refuse_unsupported(body)
    sampling = _sampling(body)
    n = _integer(body, "n", 1, low=1, high=MAX_CHOICES)
    _refuse_missing_features(sampling, n, features)
    options = _stream_options(body)
    return Ask(
        model=_model(body),
        n=n,
        max_tokens=_max_tokens(body),
        stop=_stop(body),
        sampling=sampling,
        stream=_boolean(body, "stream"),
        include_usage=_boolean(options, "include_usage", of="stream_options."),
        continuous_usage=_boolean(options, "continuous_usage_stats", of="stream_options."),
        **prompt,
    )


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _wrong("model", "a model id", model)
    return model


def _sampling(body: Mapping[str, Any]) -> Sampling:
    top_k = _integer(body, "top_k", 0, low=-1)
    return Sampling(
        temperature=_number(body, "temperature", 1.0, low=0, high=100),
        top_p=_number(body, "top_p", 1.0, low=0, high=1, above_low=True),
        top_k=max(top_k, 0),
        min_p=_number(body, "min_p", 0.0, low=0, high=1),
        seed=None if body.get("seed") is None else _integer(body, "seed", 0),
        repetition_penalty=_number(body, "repetition_penalty", 1.0, low=0, high=100, above_low=True),
        frequency_penalty=_number(body, "frequency_penalty", 0.0, low=-2, high=2),
        presence_penalty=_number(body, "presence_penalty", 0.0, low=-2, high=2),
    )


def _refuse_missing_features(sampling: Sampling, n: int, features: frozenset[Feature]) -> None:
    neutral = Sampling()
    asked = [name for name in Sampling.__struct_fields__ if getattr(sampling, name) != getattr(neutral, name)]
    for name in [*asked, *(["n"] if n > 1 else [])]:
        if name not in features:
            known = ", ".join(sorted(features)) or "none"
            raise Refused(
                f"{name} is not supported by this model's engine; supported: {known}",
                param=name,
                code="unsupported_parameter",
            )


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    given = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    values = {_integer(body, name, 1, low=1) for name in given}
    if len(values) > 1:
        raise Refused("max_tokens and max_completion_tokens differ; send one of them", param="max_tokens")
    return values.pop() if values else None


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    stop = body.get("stop")
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(entry, str) and entry for entry in stops):
        raise _wrong("stop", "a non-empty string or a list of them", stop)
    if len(stops) > MAX_STOPS:
        raise Refused(f"stop holds {len(stops)} strings; at most {MAX_STOPS} are allowed", param="stop")
    return tuple(stops)


def _stream_options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("stream_options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise _wrong("stream_options", "an object", options)
    if not body.get("stream"):
        raise Refused("stream_options is only allowed when stream is true", param="stream_options")
    return options


def _template_options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("chat_template_kwargs")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise _wrong("chat_template_kwargs", "an object", options)
    return options


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "a non-empty list of messages", messages)
    return tuple(_message(message, f"messages[{i}]") for i, message in enumerate(messages))


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict):
        raise _wrong(where, "an object with role and content", message)
    role = message.get("role")
    if role not in ROLES:
        raise _wrong(f"{where}.role", f"one of {', '.join(sorted(ROLES))}", role)
    for field in ("tool_calls", "function_call"):
        if message.get(field):
            raise _unsupported(f"{where}.{field}")
    return {**message, "content": _content(message.get("content"), role, f"{where}.content")}


def _content(content: Any, role: str, where: str) -> str:
    if content is None and role == "assistant":
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _wrong(where, "a string or a list of text parts", content)
    texts = []
    for i, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise Refused(f"{where}[{i}] is not a text part; this server takes text only", param=f"{where}[{i}]")
        texts.append(part["text"])
    return "".join(texts)


def _prompts(body: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[tuple[int, ...], ...] | None]:
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return (prompt,), None
    if isinstance(prompt, list) and prompt:
        if all(isinstance(entry, str) for entry in prompt):
            return tuple(prompt), None
        if _is_ids(prompt):
            return None, (tuple(prompt),)
        if all(isinstance(entry, list) and _is_ids(entry) for entry in prompt):
            return None, tuple(tuple(entry) for entry in prompt)
    raise _wrong("prompt", "a string, a list of strings, a list of token ids, or a list of those", prompt)


def _is_ids(entries: list[Any]) -> bool:
    return bool(entries) and all(type(entry) is int and entry >= 0 for entry in entries)


_off: Callable[[Any], bool] = lambda value: value in (None, False, 0, "", [], {})  # noqa: E731
_NEUTRAL: dict[str, Callable[[Any], bool]] = {
    "logprobs": lambda value: value is None or value is False,
    "top_logprobs": _off,
    "prompt_logprobs": lambda value: value is None or value is False,
    "logit_bias": _off,
    "tools": _off,
    "functions": _off,
    "tool_choice": lambda value: value in (None, "none", "auto"),
    "function_call": lambda value: value in (None, "none", "auto"),
    "response_format": lambda value: value is None or value == {"type": "text"},
    "modalities": lambda value: value is None or value == ["text"],
    "audio": _off,
    "prediction": _off,
    "web_search_options": _off,
    "reasoning_effort": _off,
    "verbosity": _off,
    "echo": _off,
    "suffix": _off,
    "best_of": lambda value: value is None or value == 1,
    "use_beam_search": _off,
    "min_tokens": _off,
    "ignore_eos": _off,
    "stop_token_ids": _off,
    "include_stop_str_in_output": _off,
    "bad_words": _off,
    "grammar": _off,
    "json_schema": _off,
    "structured_outputs": _off,
    "guided_json": _off,
    "guided_regex": _off,
    "guided_choice": _off,
    "guided_grammar": _off,
    "mirostat": _off,
    "typical_p": lambda value: value in (None, 1),
    "continue_final_message": _off,
    "add_generation_prompt": lambda value: value in (None, True),
    "chat_template": _off,
}
"""Fields that would change the answer, with the values under which they would not."""


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for name, neutral in _NEUTRAL.items():
        if name in body and not neutral(body[name]):
            raise _unsupported(name)


def _unsupported(name: str) -> Refused:
    return Refused(
        f"{name} is not supported by this server, and leaving it out would change the answer",
        param=name,
        code="unsupported_parameter",
    )


def _boolean(body: Mapping[str, Any], name: str, *, of: str = "") -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(of + name, "true or false", value)
    return value


def _integer(
    body: Mapping[str, Any], name: str, default: int, *, low: int | None = None, high: int | None = None
) -> int:
    value = body.get(name)
    if value is None:
        return default
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _wrong(name, "an integer", value)
    if (low is not None and value < low) or (high is not None and value > high):
        raise _out_of_range(name, value, low, high)
    return value


def _number(
    body: Mapping[str, Any], name: str, default: float, *, low: float, high: float, above_low: bool = False
) -> float:
    value = body.get(name)
    if value is None:
        return default
    if type(value) not in {int, float} or not math.isfinite(value):
        raise _wrong(name, "a number", value)
    if not low <= value <= high or (above_low and value == low):
        raise _out_of_range(name, value, low, high)
    return float(value)


def _out_of_range(name: str, value: float, low: float | None, high: float | None) -> Refused:
    bounds = [f"at least {low}"] if low is not None else []
    bounds += [f"at most {high}"] if high is not None else []
    return Refused(f"{name} is {value}, but must be {' and '.join(bounds)}", param=name)


def _wrong(name: str, wanted: str, value: Any) -> Refused:
    shown = repr(value)
    got = f"{type(value).__name__} {shown[:80]}" if value is not None else "nothing"
    return Refused(f"{name} must be {wanted}, not {got}", param=name)
