"""The document of the routes: valid, whole, and true of what is answered."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from assay.serve.openapi import document
from tests.serve.doorstep import Model, open_door, run

DOCUMENT = document("1.2.3")
CHAT = "/v1/chat/completions"
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def check(name: str, value: Any) -> None:
    """Hold ``value`` against a schema of the document; an error tells what is wrong with it."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def closed(schema: Any) -> Any:
    """The schema with nothing allowed beside what it names."""
    if isinstance(schema, list):
        return [closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    more = {} if "properties" not in schema else {"additionalProperties": False}
    return {**{name: closed(entry) for name, entry in schema.items()}, **more}


def test_the_document_is_openapi_3_1() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            assert (await door.get("/openapi.json"))[1] == DOCUMENT
            routes = {
                (resource.canonical, route.method.lower())
                for resource in door.app.router.resources()
                for route in resource
                if route.method != "HEAD"
            }
        documented = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
        assert routes == documented

    run(work)


def test_each_operation_has_a_name_of_its_own_and_every_error_the_one_shape() -> None:
    operations = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        for status, answer in operation["responses"].items():
            if status != "200":
                assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


@pytest.mark.parametrize(
    "name", ["ChatRequest", "CompletionRequest", "EmbeddingsRequest", "LoadRequest", "UnloadRequest"]
)
def test_no_schema_takes_what_is_no_request(name: str) -> None:
    wrongs: tuple[Any, ...] = ({}, [], "text", None, {"model": 7}, {"model": ""}, {"model": None})
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            check(name, wrong)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}]}),
        ("ChatRequest", {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "stop": ["a"]}),
        ("ChatRequest", {"messages": [{"role": "assistant", "content": None}], "temperature": None, "seed": -5}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"}}),
        (
            "ChatRequest",
            {
                "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
        ),
        (
            "ChatRequest",
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [CALL],
                    },
                    {"role": "tool", "tool_call_id": "1", "content": "5"},
                ],
                "stream": True,
                "stream_options": {"include_usage": True},
                "logprobs": True,
                "top_logprobs": 2,
                "tool_choice": "auto",
                "logit_bias": {"17": -100},
            },
        ),
        ("CompletionRequest", {"prompt": "a", "logprobs": 3}),
        ("CompletionRequest", {"prompt": ["a", "b"]}),
        ("CompletionRequest", {"prompt": [1, 2]}),
        ("CompletionRequest", {"prompt": [[1], [2]]}),
        ("EmbeddingsRequest", {"input": "a", "encoding_format": "base64"}),
        ("LoadRequest", {"ttl": 60}),
        ("UnloadRequest", {"force": True}),
    ],
)
def test_what_clients_send_is_in_the_schemas(name: str, body: dict[str, Any]) -> None:
    check(name, {"model": "m", **body})


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("ChatRequest", {"messages": []}),
        ("ChatRequest", {"messages": [{"role": "owner", "content": "hi"}]}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "temperature": -1}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "n": 0}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "stop": 5}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "xml"}}),
        ("ChatRequest", {"messages": [{"role": "user"}]}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "stream_options": {}}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "top_logprobs": 2}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "tool_choice": "required"}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "hi"}], "logit_bias": {"a": 1}}),
        ("CompletionRequest", {"prompt": []}),
        ("CompletionRequest", {"prompt": ""}),
        ("CompletionRequest", {"prompt": [-1]}),
        ("EmbeddingsRequest", {"input": "a", "encoding_format": "hex"}),
        ("LoadRequest", {"time": 5}),
    ],
)
def test_what_is_refused_is_outside_the_schemas(name: str, body: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(name, {"model": "m", **body})


def test_the_answers_are_those_of_the_document() -> None:
    async def work() -> None:
        model = Model()
        async with open_door(model) as door:
            await door.service.start(["nobody"])
            check("ModelList", (await door.get("/v1/models"))[1])
            check("Model", (await door.get("/v1/models/m"))[1])
            check("Error", (await door.get("/v1/models/n"))[1])
            check("Error", (await door.post(CHAT, b"{"))[1])
            check("Health", (await door.get("/health"))[1])
            check("LoadedModel", (await door.post("/assay/load", b'{"model":"m","ttl":5}'))[1])
            loaded, status = (await door.get("/assay/models"))[1], (await door.get("/assay/status"))[1]
            check("Loaded", loaded)
            check("Status", status)
            check("ChatCompletion", (await door.post(CHAT, b'{"model":"m"}'))[1])
            model.broken = "gone"
            check("Unloaded", (await door.post("/assay/unload", b'{"model":"m"}'))[1])
            check("Error", (await door.post("/assay/load", b'{"model":"m"}'))[1])
            for name, value in (("Loaded", loaded), ("Status", status)):
                strict = {"$ref": f"#/components/schemas/{name}", "components": closed(DOCUMENT["components"])}
                jsonschema.Draft202012Validator(strict).validate(value)

    run(work)
