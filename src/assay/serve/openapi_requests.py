"""Schemas of what is posted: the fields that the workers know, with their bounds."""

from __future__ import annotations

from typing import Any

from assay.serve.limits import MOST_TTL_S

Doc = dict[str, Any]


def _maybe(schema: Doc) -> Doc:
    """The schema, or null, which means the default."""
    return {"anyOf": [schema, {"type": "null"}]}


def _number(low: float, high: float, what: str, **more: Any) -> Doc:
    return {**_maybe({"type": "number", "minimum": low, "maximum": high, **more}), "description": what}


def _integer(what: str, low: int | None = None, high: int | None = None) -> Doc:
    bounds = {"minimum": -(2**63) if low is None else low, "maximum": 2**63 - 1 if high is None else high}
    return {**_maybe({"type": "integer", **bounds}), "description": what}


def _flag(what: str) -> Doc:
    return {**_maybe({"type": "boolean"}), "description": what}


def _object(required: list[str], properties: Doc, **more: Any) -> Doc:
    return {"type": "object", "required": required, "properties": properties, **more}


_MODEL: Doc = {
    "type": "string",
    "pattern": r"\S",
    "description": "An alias, a variant's id or a route's name; GET /v1/models lists them",
}
_IDS: Doc = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "minItems": 1}
_TEXT: Doc = {"type": "string", "minLength": 1}
_TEXTS: Doc = {"type": "array", "items": _TEXT, "minItems": 1}
_INPUT: Doc = {"anyOf": [_TEXT, _TEXTS, _IDS, {"type": "array", "items": _IDS, "minItems": 1}]}
_BIAS = {
    "type": "object",
    "propertyNames": {"pattern": "^[0-9]{1,10}$"},
    "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
}


def _if_given(name: str, value: Doc, needed: str, must: Doc) -> Doc:
    """Where field ``name`` is as ``value`` says, field ``needed`` must be as ``must`` says."""
    return {
        "if": {"properties": {name: value}, "required": [name]},
        "then": {"properties": {needed: must}, "required": [needed]},
    }


_STREAMED = _if_given("stream_options", {"type": "object"}, "stream", {"const": True})
_TOLD = _if_given("top_logprobs", {"type": "integer", "minimum": 1}, "logprobs", {"const": True})
_CHOSEN = _if_given(
    "tool_choice",
    {"anyOf": [{"const": "required"}, {"type": "object"}]},
    "tools",
    {"type": "array", "minItems": 1},
)

_ECHOED = _if_given("max_tokens", {"const": 0}, "echo", {"const": True})

_SAMPLING: Doc = {
    "model": _MODEL,
    "max_tokens": _integer("Tokens of the answer at most; by default what the context has room for", 1),
    "temperature": _number(0, 100, "0 takes the likeliest token each time; 1 by default"),
    "top_p": _number(0, 1, "Only the likeliest tokens with this share together", exclusiveMinimum=0),
    "top_k": _integer("Only so many of the likeliest tokens; 0 and -1: all", -1),
    "min_p": _number(0, 1, "Only tokens with this share of the likeliest one's probability"),
    "seed": _integer(
        "The same seed and request give the same text, alone on the engine: the prompt is read anew. Without one, what "
        "was kept of it may turn a close call the other way, at temperature 0 too"
    ),
    "repetition_penalty": _number(0.01, 100, "Above 1, what was said becomes less likely"),
    "frequency_penalty": _number(-2, 2, "For each time that a token was said"),
    "presence_penalty": _number(-2, 2, "For a token that was said at all"),
    "logit_bias": {**_maybe(_BIAS), "description": "Token id -> what is added to its score"},
    "n": _integer("How many answers", 1, 128),
    "stop": {
        **_maybe(
            {
                "anyOf": [
                    _TEXT,
                    {"type": "array", "items": _TEXT, "maxItems": 16},
                ]
            }
        ),
        "description": "The answer ends before any of these",
    },
    "stream": _flag("Send the answer as server-sent events while it comes"),
    "stream_options": {
        **_maybe(
            _object(
                [],
                {
                    "include_usage": _flag("A last chunk with the counts of tokens"),
                    "continuous_usage_stats": _flag("Counts so far in every chunk"),
                },
            )
        ),
        "description": "Only with `stream`",
    },
    "user": _maybe({"type": "string"}),
}
_PART = _object(["type", "text"], {"type": {"const": "text"}, "text": {"type": "string"}})
_CALL = _object(
    ["id", "type", "function"],
    {
        "id": {"type": "string"},
        "type": {"const": "function"},
        "function": _object(["name", "arguments"], {"name": {"type": "string"}, "arguments": {"type": "string"}}),
    },
)
_CONTENT: Doc = {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART}]}
_MESSAGE: Doc = {
    "anyOf": [
        _object(
            ["role", "content"],
            {
                "role": {"enum": ["system", "developer", "user", "function"]},
                "content": _CONTENT,
                "name": {"type": "string"},
            },
        ),
        _object(
            ["role", "content", "tool_call_id"],
            {"role": {"const": "tool"}, "content": _CONTENT, "tool_call_id": {"type": "string"}},
        ),
        _object(
            ["role"],
            {
                "role": {"const": "assistant"},
                "content": _maybe(_CONTENT),
                "tool_calls": _maybe({"type": "array", "items": _CALL}),
            },
        ),
    ]
}
_TOOL = _object(
    ["type", "function"],
    {
        "type": {"const": "function"},
        "function": _object(
            ["name"],
            {
                "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
                "description": _maybe({"type": "string"}),
                "parameters": {**_maybe({"type": "object"}), "description": "JSON Schema of the arguments"},
                "strict": _flag("What does not satisfy `parameters` is no call"),
            },
        ),
    },
)
_CHOICE: Doc = {
    "anyOf": [
        {"enum": ["none", "auto", "required", None]},
        _object(
            ["type", "function"],
            {"type": {"const": "function"}, "function": _object(["name"], {"name": {"type": "string"}})},
        ),
    ]
}
_FORMAT: Doc = {
    "oneOf": [
        {"type": "null"},
        _object(["type"], {"type": {"const": "text"}}),
        _object(["type"], {"type": {"const": "json_object"}}),
        _object(
            ["type", "json_schema"],
            {
                "type": {"const": "json_schema"},
                "json_schema": _object(
                    ["name", "schema"],
                    {
                        "name": {"type": "string"},
                        "schema": {"type": "object"},
                        "strict": _flag("It always is"),
                    },
                ),
            },
        ),
    ]
}

REQUESTS: Doc = {
    "ChatRequest": _object(
        ["model", "messages"],
        {
            **_SAMPLING,
            "messages": {"type": "array", "items": _MESSAGE, "minItems": 1},
            "max_completion_tokens": _integer("The same as `max_tokens`", 1),
            "logprobs": _flag("Tell each token's log-probability"),
            "top_logprobs": _integer("With `logprobs`: so many likely tokens in its place", 0, 20),
            "tools": {
                **_maybe({"type": "array", "items": _TOOL, "maxItems": 128}),
                "description": "Functions",
            },
            "tool_choice": _CHOICE,
            "parallel_tool_calls": _flag("Whether one answer may call several"),
            "response_format": _FORMAT,
            "chat_template_kwargs": {**_maybe({"type": "object"}), "description": "For the model's chat template"},
        },
        allOf=[_STREAMED, _TOLD, _CHOSEN],
    ),
    "CompletionRequest": _object(
        ["model", "prompt"],
        {
            **_SAMPLING,
            "max_tokens": _integer("As for a chat; with `echo` it may be 0: the prompt is only read", 0),
            "prompt": {**_INPUT, "description": "Text or token ids, one prompt or several"},
            "logprobs": {
                "anyOf": [{"type": "integer", "minimum": 0, "maximum": 20}, {"const": False}, {"type": "null"}],
                "description": "So many likely tokens in the place of each",
            },
            "echo": _flag("The prompt comes before the answer"),
        },
        allOf=[_STREAMED, _ECHOED],
    ),
    "EmbeddingsRequest": _object(
        ["model", "input"],
        {
            "model": _MODEL,
            "input": {**_INPUT, "description": "Text or token ids, one entry a vector; at most 2,048 entries"},
            "encoding_format": {"enum": ["float", "base64", None]},
            "dimensions": _integer("The model's own width, or left out", 1),
            "user": _maybe({"type": "string"}),
        },
    ),
    "LoadRequest": _object(
        ["model"],
        {"model": _MODEL, "ttl": _number(0, MOST_TTL_S, "Seconds that it stays while nobody asks for it")},
        additionalProperties=False,
    ),
    "UnloadRequest": _object(
        ["model"],
        {"model": _MODEL, "force": _flag("At once, breaking off what it answers; else when that has ended")},
        additionalProperties=False,
    ),
}
