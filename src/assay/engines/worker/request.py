"""A request body, checked: what is asked for, or a 400 that names the field and says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from assay.engines.worker.fields import boolean, integer, number, unsupported, wrong
from assay.engines.worker.foreign_fields import CHAT, COMPLETION, refuse_foreign
from assay.engines.worker.model import Feature, Message, Refused, Sampling
from assay.engines.worker.tools import Tools, read_calls, read_tools

MAX_CHOICES = 128
MAX_ANSWERS = 2048
"""Of one request: ``n`` for each prompt."""
MAX_STOPS = 16
MAX_STOP = 1000
"""Characters of a stop string: every one is compared with the end of the text, token by token."""
MAX_LOGPROBS = 20
LEAST_PENALTY = 0.01
"""Scores are divided by it; engines have it as a 32-bit float, which can be 0 for less."""
MAX_BIAS = 100
_ID = re.compile(r"[0-9]{1,10}", re.ASCII)
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Ask(Struct, frozen=True, kw_only=True):
    """A checked request. One of ``messages``, ``texts`` and ``ids`` is set; the last two hold one entry a prompt."""

    model: str
    messages: tuple[Message, ...] | None = None
    texts: tuple[str, ...] | None = None
    ids: tuple[tuple[int, ...], ...] | None = None
    template_options: Mapping[str, Any] = {}
    tools: Tools | None = None
    schema: Any = None
    """The JSON Schema that the answer must satisfy, not checked yet; None where it may be any text."""
    n: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    top_logprobs: int | None = None
    """How many alternatives to tell each token with; None: no log-probabilities are asked for."""
    echo: bool = False
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False


def read_chat(body: Mapping[str, Any], features: frozenset[Feature]) -> Ask:
    """Check the body of ``/v1/chat/completions``; raise ``Refused``."""
    refuse_foreign(body, CHAT)
    return _read(
        body,
        features,
        messages=_messages(body),
        template_options=_template_options(body),
        tools=_tools(body),
        schema=_response_schema(body),
        top_logprobs=_chat_logprobs(body),
    )


def read_completion(body: Mapping[str, Any], features: frozenset[Feature]) -> Ask:
    """Check the body of ``/v1/completions``; raise ``Refused``."""
    refuse_foreign(body, COMPLETION)
    texts, ids = prompts(body)
    return _read(
        body, features, texts=texts, ids=ids, top_logprobs=_completion_logprobs(body), echo=boolean(body, "echo")
    )


def _read(body: Mapping[str, Any], features: frozenset[Feature], **prompt: Any) -> Ask:
    options = _stream_options(body)
    ask = Ask(
        model=model_id(body),
        n=integer(body, "n", 1, low=1, high=MAX_CHOICES),
        max_tokens=_max_tokens(body, least=0 if prompt.get("echo") else 1),
        stop=_stop(body),
        sampling=_sampling(body),
        stream=boolean(body, "stream"),
        include_usage=boolean(options, "include_usage", of="stream_options."),
        continuous_usage=boolean(options, "continuous_usage_stats", of="stream_options."),
        **prompt,
    )
    _refuse_missing_features(ask, features)
    count = len(ask.texts or ask.ids or ())
    if count * ask.n > MAX_ANSWERS:
        message = f"prompt holds {count} entries, for {ask.n} answers each; at most {MAX_ANSWERS} answers are allowed"
        raise Refused(message, param="prompt")
    return ask


def model_id(body: Mapping[str, Any]) -> str:
    """The model that a body names."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise wrong("model", "a model id", model)
    return model


def _sampling(body: Mapping[str, Any]) -> Sampling:
    top_k = integer(body, "top_k", 0, low=-1)
    return Sampling(
        temperature=number(body, "temperature", 1.0, low=0, high=100),
        top_p=number(body, "top_p", 1.0, low=0, high=1, above_low=True),
        top_k=max(top_k, 0),
        min_p=number(body, "min_p", 0.0, low=0, high=1),
        seed=None if body.get("seed") is None else integer(body, "seed", 0),
        repetition_penalty=number(body, "repetition_penalty", 1.0, low=LEAST_PENALTY, high=100),
        frequency_penalty=number(body, "frequency_penalty", 0.0, low=-2, high=2),
        presence_penalty=number(body, "presence_penalty", 0.0, low=-2, high=2),
        logit_bias=_logit_bias(body),
    )


def _logit_bias(body: Mapping[str, Any]) -> Mapping[int, float]:
    bias = body.get("logit_bias")
    if bias is None:
        return {}
    if not isinstance(bias, dict):
        raise wrong("logit_bias", "an object of token ids and what to add to their scores", bias)
    found = {}
    for key, value in bias.items():
        if not _ID.fullmatch(key):
            raise Refused(f"logit_bias has the key {key[:80]!r}, which is no token id", param="logit_bias")
        if value is None:
            raise wrong(f"logit_bias.{key}", "a number", value)
        found[int(key)] = number(bias, key, 0.0, low=-MAX_BIAS, high=MAX_BIAS, of="logit_bias.")
    return {token: value for token, value in found.items() if value}


def _chat_logprobs(body: Mapping[str, Any]) -> int | None:
    asked = boolean(body, "logprobs")
    count = integer(body, "top_logprobs", 0, low=0, high=MAX_LOGPROBS)
    if count and not asked:
        raise Refused("top_logprobs is only allowed when logprobs is true", param="top_logprobs")
    return count if asked else None


def _completion_logprobs(body: Mapping[str, Any]) -> int | None:
    """The number is that of the alternatives; ``false``, which some clients send, asks for none."""
    if body.get("logprobs") is None or body["logprobs"] is False:
        return None
    return integer(body, "logprobs", 0, low=0, high=MAX_LOGPROBS)


def _refuse_missing_features(ask: Ask, features: frozenset[Feature]) -> None:
    neutral = Sampling()
    asked = [name for name in Sampling.__struct_fields__ if getattr(ask.sampling, name) != getattr(neutral, name)]
    others = {"n": ask.n > 1, "logprobs": ask.top_logprobs is not None, "echo": ask.echo}
    for name in [*asked, *(name for name, given in others.items() if given)]:
        if name not in features:
            known = ", ".join(sorted(features)) or "none"
            raise Refused(
                f"{name} is not supported by this model's engine; supported: {known}",
                param=name,
                code="unsupported_parameter",
            )


def _max_tokens(body: Mapping[str, Any], *, least: int) -> int | None:
    given = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    values = {integer(body, name, 1, low=least) for name in given}
    if len(values) > 1:
        raise Refused("max_tokens and max_completion_tokens differ; send one of them", param="max_tokens")
    return values.pop() if values else None


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    stop = body.get("stop")
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(entry, str) and entry for entry in stops):
        raise wrong("stop", "a non-empty string or a list of them", stop)
    if len(stops) > MAX_STOPS:
        raise Refused(f"stop holds {len(stops)} strings; at most {MAX_STOPS} are allowed", param="stop")
    longest = max(map(len, stops), default=0)
    if longest > MAX_STOP:
        message = f"stop holds a string of {longest} characters; at most {MAX_STOP} are allowed"
        raise Refused(message, param="stop")
    return tuple(stops)


def _stream_options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("stream_options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise wrong("stream_options", "an object", options)
    if not body.get("stream"):
        raise Refused("stream_options is only allowed when stream is true", param="stream_options")
    return options


def _template_options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("chat_template_kwargs")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise wrong("chat_template_kwargs", "an object", options)
    for name in ("messages", "tools"):
        if name in options:
            param = f"chat_template_kwargs.{name}"
            raise Refused(f"{param} would not count: send {name} beside chat_template_kwargs", param=param)
    if options.get("add_generation_prompt", True) is not True:
        raise unsupported("chat_template_kwargs.add_generation_prompt")
    return options


def _tools(body: Mapping[str, Any]) -> Tools | None:
    tools = read_tools(body)
    if tools is not None and boolean(body, "logprobs"):
        raise Refused("logprobs cannot be told together with tools, since calls are no text", param="logprobs")
    return tools


def _response_schema(body: Mapping[str, Any]) -> Any:
    form = body.get("response_format")
    if form is None or form == {"type": "text"}:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema":
        raise wrong("response_format", 'an object with type "text", "json_object" or "json_schema"', form)
    named = form.get("json_schema")
    if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
        raise wrong("response_format", "an object with json_schema, which has a name and a schema", form)
    if not isinstance(named.get("name"), str):
        raise wrong("response_format.json_schema.name", "a string", named.get("name"))
    boolean(named, "strict", of="response_format.json_schema.")
    return named["schema"]


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", "a non-empty list of messages", messages)
    return tuple(_message(message, f"messages[{i}]") for i, message in enumerate(messages))


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict):
        raise wrong(where, "an object with role and content", message)
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise wrong(f"{where}.role", f"one of {', '.join(sorted(ROLES))}", role)
    content = message.get("content")
    if content is None and role == "assistant":
        content = message["refusal"] if isinstance(message.get("refusal"), str) else ""
    return {**read_calls(message, where), "content": _content(content, f"{where}.content")}


def _content(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(where, "a string or a list of text parts", content)
    texts = []
    for i, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise Refused(f"{where}[{i}] is not a text part; this server takes text only", param=f"{where}[{i}]")
        texts.append(part["text"])
    return "".join(texts)


def prompts(
    body: Mapping[str, Any], name: str = "prompt"
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, ...], ...] | None]:
    """The texts of a body, or its token ids; a string or one list of ids is one prompt."""
    prompt = body.get(name)
    if isinstance(prompt, str):
        return (prompt,), None
    if isinstance(prompt, list) and prompt:
        if all(isinstance(entry, str) for entry in prompt):
            return tuple(prompt), None
        if _is_ids(prompt):
            return None, (tuple(prompt),)
        if all(isinstance(entry, list) and _is_ids(entry) for entry in prompt):
            return None, tuple(tuple(entry) for entry in prompt)
    raise wrong(name, "a string, a list of strings, a list of token ids, or a list of those", prompt)


def _is_ids(entries: list[Any]) -> bool:
    return bool(entries) and all(type(entry) is int and entry >= 0 for entry in entries)
