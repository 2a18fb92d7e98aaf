"""The JSON Schema that ships: current, and of one mind with the reader."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from assay.catalog import registry_schema

SHIPPED: dict[str, Any] = json.loads((files("assay.catalog") / "models.schema.json").read_text(encoding="utf-8"))


def test_the_shipped_schema_is_current() -> None:
    assert registry_schema() == SHIPPED, "write it again: json.dumps(assay.catalog.registry_schema(), indent=2)"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SHIPPED)


@pytest.mark.parametrize(
    "content",
    [
        [],
        ["a", {"name": "b"}],
        [{"name": "a", "task": "chat", "min_ram_gb": 8, "notes": ""}],
        [{"alias": "a", "task": ["chat"], "min_ram_gb": "8 GB", "own": 1}],
        {"a": {"capabilities": ["chat"], "size_mb": 2400}},
        {"$schema": "x", "prompts": ["Hi"], "a": {}},
        {"version": 1, "models": [{"alias": "a", "endpoint": "http://h"}], "prompts": "prompts.json"},
        {"models": {"a": {"prompts": [{"id": "p", "prompt": "Hi"}]}}},
    ],
)
def test_sound_files_pass(content: Any) -> None:
    jsonschema.validate(content, SHIPPED)


@pytest.mark.parametrize(
    "content",
    [
        3,
        "text",
        [3],
        [""],
        {"a": "b"},
        [{"task": "chat"}],
        [{"name": ""}],
        [{"name": "a", "task": 3}],
        {"a": 3},
        {"version": 2, "models": []},
        {"models": [{"notes": "no name"}]},
        {"models": [], "prompts": 3},
    ],
)
def test_broken_files_do_not(content: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SHIPPED)
