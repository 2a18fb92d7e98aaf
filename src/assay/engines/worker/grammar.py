"""The grammar that an answer must follow, in llguidance's Lark, which both built-in engines read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assay.engines.worker.model import Generation

HEAD = '%llguidance {"no_forcing": true}\n'
"""Nothing is forced, since that asks the tokenizer for tokens of parts of words, and some add blanks to them."""
LARGEST = 2**53
"""Of the numbers that an answer may hold (RFC 7493 wants no larger ones), so that a repeated digit comes to an end."""
PLACES = 1e-9
"""What fractions are multiples of, for the same reason."""
_FRAME = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def schema_rule(schema: str) -> str:
    """A JSON Schema as a right-hand side of a rule.

    Answers have one blank after each comma and colon and none elsewhere, so that no model can pad without end. Numbers
    have an end for the same reason.
    """
    return "%json " + json.dumps({**_with_short_numbers(json.loads(schema)), "x-guidance": _FRAME})


def schema_grammar(schema: str) -> str:
    """The grammar of the answers that satisfy ``schema``."""
    return f"{HEAD}start: {schema_rule(schema)}\n"


def _with_short_numbers(schema: Any) -> Any:
    """The schema with numbers of at most ``LARGEST``, and ``PLACES`` places where the grammar's compiler can say so.

    Some builds of it know no multiple below zero: there, places are not bounded.
    """
    if not isinstance(schema, dict):
        return schema
    found = {key: _inside(key, value) for key, value in schema.items()}
    if found.get("type") not in ("integer", "number"):
        return found
    if "minimum" not in found and "exclusiveMinimum" not in found:
        found["minimum"] = -LARGEST
    if "maximum" not in found and "exclusiveMaximum" not in found:
        found["maximum"] = LARGEST
    return found if found["type"] == "integer" or "multipleOf" in found else _with_short_fraction(found)


def _inside(key: str, value: Any) -> Any:
    if key in ("items", "additionalProperties"):
        return _with_short_numbers(value)
    if key in ("properties", "$defs", "definitions"):
        return {name: _with_short_numbers(inner) for name, inner in value.items()}
    if key in ("prefixItems", "anyOf", "allOf"):
        return [_with_short_numbers(inner) for inner in value]
    return value


def _with_short_fraction(schema: dict[str, Any]) -> dict[str, Any]:
    low, high = interval(schema)
    if low >= 0:
        return {**schema, "multipleOf": PLACES}
    if high <= 0:
        return schema
    above = {key: value for key, value in schema.items() if key not in ("minimum", "exclusiveMinimum")}
    below = {key: value for key, value in schema.items() if key not in ("maximum", "exclusiveMaximum")}
    return {"anyOf": [{**above, "minimum": 0, "multipleOf": PLACES}, {**below, "exclusiveMaximum": 0}]}


def interval(schema: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest number by a schema's bounds, excluded ones too; infinite where there is none."""
    low = max((schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema), default=-math.inf)
    high = min((schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema), default=math.inf)
    return low, high


def literal(text: str) -> str:
    """``text`` as it stands, for a rule."""
    return json.dumps(text, ensure_ascii=False)


def grammar_of(generation: Generation, ids_of: Callable[[str], Sequence[int]]) -> str | None:
    """What ``generation`` must follow, whole; ``ids_of`` gives the tokens of a text, special ones recognised."""
    if generation.json_schema is not None:
        return schema_grammar(generation.json_schema)
    if generation.grammar is None:
        return None
    ids = [ids_of(marker) for marker in generation.markers]
    rules = [
        f"marker_{i}: <[{found[0]}]>\n" if len(found) == 1 else f"marker_{i}: {literal(marker)}\n"
        for i, (marker, found) in enumerate(zip(generation.markers, ids, strict=True))
    ]
    return generation.grammar + "".join(rules)
