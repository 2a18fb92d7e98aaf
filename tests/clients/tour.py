"""What every client is taken through: the same questions, and what must be true of the answers."""

from __future__ import annotations

import json
from typing import Any

WORDS = "Notes: Anna will send the budget to Ben by Friday. List the action items."
MESSAGES = [{"role": "user", "content": WORDS}]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"who": {"type": "string", "maxLength": 20}, "urgent": {"type": "boolean"}},
    "required": ["who", "urgent"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


def check_schema(text: str) -> None:
    """An answer under ``SCHEMA``."""
    made = json.loads(text)
    assert set(made) == {"who", "urgent"}
    assert isinstance(made["who"], str)
    assert isinstance(made["urgent"], bool)


def check_call(name: str, arguments: str | dict[str, Any]) -> None:
    """A call of ``WEATHER``."""
    assert name == "weather"
    made = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert set(made) == {"city", "days"}
    assert made["days"] in {1, 2, 3}
