"""The shape of ``models.json``: the types that its entries are checked against, and the JSON Schema made of them.

The schema ships as ``models.schema.json`` beside this file.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Words = Text | list[Text]
Amount = float | Text
Prompts = Text | list[Text | dict[str, Any]]


class EntryFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model. Relative paths start from the registry's own folder."""

    alias: Annotated[Text | None, Meta(description="What the model is called here.")] = None
    name: Annotated[Text | None, Meta(description="The same as alias.")] = None
    source: Annotated[Text | None, Meta(description="Where the model comes from, or a bundled model's name.")] = None
    path: Annotated[
        Text | None,
        Meta(description="A .gguf file, a folder of them or of ONNX Runtime GenAI, an adapter's weights."),
    ] = None
    endpoint: Annotated[Text | None, Meta(description="Base URL of an OpenAI-compatible server.")] = None
    model: Annotated[Text | None, Meta(description="The model id to send to the endpoint; the alias if absent.")] = None
    key: Annotated[
        Text | None,
        Meta(description="Where the endpoint's key is kept: env:NAME, or keyring:SERVICE/USER. Never the key itself."),
    ] = None
    engine: Annotated[Text | None, Meta(description="The engine to run it on.")] = None
    adapter: Annotated[Text | None, Meta(description="module:Class of a custom model adapter.")] = None
    quantisation: Annotated[Text | None, Meta(description="Which one, where the path or source holds several.")] = None
    quantization: Annotated[Text | None, Meta(description="The same as quantisation.")] = None
    licence: Annotated[Text | None, Meta(description="SPDX id, or the Hub's tag.")] = None
    license: Annotated[Text | None, Meta(description="The same as licence.")] = None
    task: Annotated[Words | None, Meta(description="What it is for: one, several by commas, or a list.")] = None
    tasks: Annotated[Words | None, Meta(description="The same as task.")] = None
    capabilities: Annotated[Words | None, Meta(description="What it can do: one, several by commas, or a list.")] = None
    min_ram_gb: Annotated[Amount | None, Meta(description="Memory it needs: GB (10^9 bytes), or text (8 GiB).")] = None
    size_mb: Annotated[Amount | None, Meta(description="Size of its files: MB (10^6 bytes), or text (2.4 GB).")] = None
    context_length: Annotated[int, Meta(ge=1, description="Tokens.")] | None = None
    notes: Annotated[str | None, Meta(description="Anything a person should know.")] = None
    prompts: Annotated[Prompts | None, Meta(description="Its own prompts: a prompts.json, or the list.")] = None


class RegistryFile(Struct, frozen=True, kw_only=True):
    """A registry with everything that Assay reads."""

    models: list[Text | EntryFile] | dict[str, EntryFile]
    version: Annotated[int, Meta(ge=1, le=1)] = 1
    prompts: Annotated[Prompts | None, Meta(description="A prompts.json, or the list itself.")] = None


def registry_schema() -> dict[str, Any]:
    """JSON Schema of ``models.json`` in its three shapes; keys that Assay does not know are allowed."""
    (_, _), components = msgspec.json.schema_components([EntryFile, RegistryFile], ref_template="#/$defs/{name}")
    entry = {"$ref": "#/$defs/EntryFile"}
    with_name = {**entry, "anyOf": [{"required": ["alias"]}, {"required": ["name"]}]}
    named = {"anyOf": [{"type": "string", "minLength": 1}, with_name]}
    components["RegistryFile"]["properties"]["models"]["anyOf"][0]["items"] = named
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Assay model registry",
        "anyOf": [
            {"type": "array", "items": named},
            {"$ref": "#/$defs/RegistryFile"},
            {
                "type": "object",
                "not": {"required": ["models"]},
                "properties": {"$schema": {"type": "string"}, "prompts": True},
                "additionalProperties": entry,
            },
        ],
        "$defs": components,
    }
