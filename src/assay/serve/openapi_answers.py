"""Schemas of what is answered."""

from __future__ import annotations

from typing import Any

from assay.serve.model_state import STATES

Doc = dict[str, Any]

_TEXT: Doc = {"type": "string"}
_COUNT: Doc = {"type": "integer", "minimum": 0}
_SECONDS: Doc = {"type": ["number", "null"], "minimum": 0}
_MAYBE_COUNT: Doc = {"type": ["integer", "null"], "minimum": 0}
_MAYBE_TEXT: Doc = {"type": ["string", "null"]}
_CODE: Doc = {"type": ["string", "integer", "null"]}
_LOGPROBS: Doc = {"type": ["object", "null"]}


def _object(properties: Doc, *, optional: tuple[str, ...] = ()) -> Doc:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def _list(schema: Doc) -> Doc:
    return {"type": "array", "items": schema}


def ref(name: str) -> Doc:
    """A schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(kind: str, choice: Doc) -> Doc:
    return _object(
        {
            "id": _TEXT,
            "object": {"const": kind},
            "created": {"type": "integer"},
            "model": _TEXT,
            "choices": _list(choice),
            "usage": {"anyOf": [ref("Usage"), {"type": "null"}]},
        },
        optional=("usage",),
    )


_CALL = _object(
    {
        "id": _TEXT,
        "type": {"const": "function"},
        "function": _object({"name": _TEXT, "arguments": _TEXT}),
    }
)
_MESSAGE = _object(
    {"role": {"const": "assistant"}, "content": _MAYBE_TEXT, "tool_calls": _list(_CALL)}, optional=("tool_calls",)
)
_FINISH: Doc = {"type": ["string", "null"], "description": "stop, length, tool_calls; null while it goes on"}


def _choice(content: Doc) -> Doc:
    fields = {"index": _COUNT, **content, "logprobs": _LOGPROBS, "finish_reason": _FINISH}
    return _object(fields, optional=("logprobs",))


ANSWERS: Doc = {
    "Error": _object(
        {
            "error": _object(
                {
                    "message": _TEXT,
                    "type": _TEXT,
                    "param": _MAYBE_TEXT,
                    "code": _CODE,
                },
                optional=("type", "param", "code"),
            )
        }
    ),
    "Usage": _object(
        {
            "prompt_tokens": _COUNT,
            "completion_tokens": _COUNT,
            "total_tokens": _COUNT,
            "prompt_tokens_details": {"type": ["object", "null"]},
        },
        optional=("prompt_tokens_details", "completion_tokens"),
    ),
    "ChatCompletion": _answer("chat.completion", _choice({"message": _MESSAGE})),
    "ChatChunk": _answer("chat.completion.chunk", _choice({"delta": {"type": "object"}})),
    "Completion": _answer("text_completion", _choice({"text": _TEXT})),
    "CompletionChunk": _answer("text_completion", _choice({"text": _TEXT})),
    "Embeddings": _object(
        {
            "object": {"const": "list"},
            "data": _list(
                _object(
                    {
                        "object": {"const": "embedding"},
                        "index": _COUNT,
                        "embedding": {"anyOf": [_list({"type": "number"}), _TEXT]},
                    }
                )
            ),
            "model": _TEXT,
            "usage": {"anyOf": [ref("Usage"), {"type": "null"}]},
        }
    ),
    "Model": _object(
        {
            "id": _TEXT,
            "object": {"const": "model"},
            "created": {"type": "integer", "description": "When the service started"},
            "owned_by": _TEXT,
            "kind": {"enum": ["alias", "variant", "route"]},
            "variant": {**_TEXT, "description": "What the name stands for at this moment"},
            "variants": {**_list(_TEXT), "description": "What a fallback list tries in turn"},
            "context_length": _MAYBE_COUNT,
            "task": {"enum": ["text-generation", "embedding"]},
        },
        optional=("variants",),
    ),
    "ModelList": _object({"object": {"const": "list"}, "data": _list(ref("Model"))}),
    "LoadedModel": _object(
        {
            "id": _TEXT,
            "alias": _TEXT,
            "engine": _TEXT,
            "engine_version": _MAYBE_TEXT,
            "context_length": {**_MAYBE_COUNT, "description": "Tokens of each slot, once it is up"},
            "state": {"enum": list(STATES)},
            "running": _COUNT,
            "waiting": _COUNT,
            "slots": _COUNT,
            "reserved": _MAYBE_COUNT,
            "resident": _MAYBE_COUNT,
            "load_s": _SECONDS,
            "idle_s": _SECONDS,
            "expires_s": {**_SECONDS, "description": "When it goes if it stays idle"},
            "retry_s": {**_SECONDS, "description": "When it is tried again after it failed"},
            "pinned": {"type": "boolean"},
            "crashes": _COUNT,
            "problem": _MAYBE_TEXT,
        }
    ),
    "Loaded": _object({"models": _list(ref("LoadedModel"))}),
    "Unloaded": _object({"unloaded": _list(_TEXT)}),
    "Health": _object({"status": {"enum": ["ok", "stopping"]}}),
    "Status": _object(
        {
            "status": {"enum": ["ok", "stopping"]},
            "pid": _COUNT,
            "version": _TEXT,
            "started": {"type": "integer", "description": "Seconds since 1970"},
            "uptime_s": {"type": "number", "minimum": 0},
            "address": _TEXT,
            "models": _list(_TEXT),
            "preload": {
                **_list(_object({"name": _TEXT, "model": _MAYBE_TEXT, "problem": _MAYBE_TEXT})),
                "description": "What was to be loaded at once and was not up yet; problem tells why",
            },
            "running": _COUNT,
            "queued": _COUNT,
            "connections": _MAYBE_COUNT,
            "memory": _object({"budget": _MAYBE_COUNT, "reserved": _COUNT, "resident": _COUNT}),
            "limits": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
        }
    ),
}
