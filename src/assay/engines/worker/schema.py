"""JSON Schemas that answers must satisfy: checked and cleaned, and the answers looked at.

A schema is refused unless every keyword in it is one that the grammar really enforces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from assay.engines.worker.grammar import interval, schema_grammar
from assay.engines.worker.model import Refused

if TYPE_CHECKING:
    from llguidance import LLTokenizer

MAX_BYTES = 128 * 1024
"""Of a schema."""
MAX_DEPTH = 48
MAX_ITEMS = 1000
"""For minItems and maxItems; each item is a node of the grammar."""
MAX_PROPERTIES = 400
"""Of one object: the grammar's parser follows all that may come next, 2,000 items at most, four for a property."""
MAX_LENGTH = 10_000
"""For minLength and maxLength."""
MAX_REMAINDERS = 100_000
"""Of all multipleOf, added up: the compiler follows each remainder, which took 1 s for 99,991 and no end for 2**31."""
DIGITS = 15
"""That a bound may have: more are not always exact, either."""
EXACT = 2**53
"""Whole numbers up to this are exact as floating point, which the grammar's compiler reads bounds as."""

ANNOTATIONS = frozenset(
    {
        "title",
        "description",
        "default",
        "example",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentMediaType",
        "contentEncoding",
        "discriminator",
        "$schema",
        "$comment",
    }
)
"""Keywords that say nothing about which answers are valid."""
FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
DRAFTS = ("draft-07/", "draft/2019-09/", "draft/2020-12/")


def read_schema(schema: Any, param: str) -> str:
    """Check a schema for an object; return it as JSON without its annotations.

    Raise ``Refused`` for ``param``, naming the place and the keyword, where it is no schema, does not describe an
    object, or uses what the grammar does not enforce.
    """
    from llguidance import LLMatcher

    if not isinstance(schema, dict):
        raise Refused(f"{param} must hold a JSON Schema, not {type(schema).__name__}", param=param)
    walk = _Walk(schema, param)
    try:
        cleaned = walk.clean()
        text = json.dumps(cleaned, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise Refused(f"{param}: the schema holds a number that JSON has not: {error}", param=param) from None
    if len(text) > MAX_BYTES:
        raise Refused(f"{param}: the schema has more than {MAX_BYTES} bytes", param=param)
    matcher = LLMatcher(_bytes(), schema_grammar(text), log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()  # what is too complex to be followed fails here, not in the middle of an answer
    if matcher.is_error():
        problem = matcher.get_error()
        if "oneOf constraints" in problem:
            raise _unenforced(param, f"oneOf at {' or '.join(walk.overlapping)}", "its schemas may overlap; use anyOf")
        raise _unenforced(param, "the schema", _reason(problem))
    return text


def complaint(schema: str, answer: str) -> str | None:
    """What is wrong with a finished answer; None when it satisfies the schema.

    A last look, since an engine that drops its grammar half-way says so nowhere. Patterns are left out: Python reads
    them a little differently from the grammar.
    """
    from jsonschema import Draft202012Validator, validators

    lenient: Any = validators.extend(Draft202012Validator, {"pattern": lambda *_: None})  # type: ignore[no-untyped-call]
    try:
        first = next(lenient(json.loads(schema)).iter_errors(json.loads(answer)), None)
    except ValueError as error:
        return f"it is not JSON: {error}"
    except RecursionError:
        return "it is nested too deep to be looked at"
    return None if first is None else f"{first.json_path}: {first.message}"


class _Walk:
    """Goes through a schema once, keyword by keyword."""

    def __init__(self, root: Mapping[str, Any], param: str) -> None:
        self._root = root
        self._param = param
        self._old = False
        self._remainders = 0
        self._met: list[Mapping[str, Any]] = []
        self._one_of: dict[str, tuple[Mapping[str, Any], dict[str, Any]]] = {}
        self.overlapping: list[str] = []
        """Where oneOf stands that may be more than anyOf."""

    def clean(self) -> Any:
        from jsonschema import Draft202012Validator, SchemaError

        draft = self._root.get("$schema", DRAFTS[-1])
        if not isinstance(draft, str) or not any(known in draft for known in DRAFTS):
            raise self._unenforced("$schema", "$schema", f"only JSON Schema {', '.join(DRAFTS)} are known")
        self._old = DRAFTS[0] in draft
        if self._depth(self._root) > MAX_DEPTH:
            raise Refused(f"{self._param}: the schema is nested more than {MAX_DEPTH} deep", param=self._param)
        try:
            Draft202012Validator.check_schema(self._root)
        except SchemaError as error:
            message = f"{self._param}: no valid JSON Schema: {error.json_path}: {error.message[:200]}"
            raise Refused(message, param=self._param) from None
        self._root = {key: value for key, value in self._root.items() if key != "$id"}
        if not self._is_object(self._root):
            message = f'{self._param}: the schema must describe an object: its type must be "object"'
            raise Refused(message, param=self._param)
        cleaned = self._schema(self._root, "$")
        self._refuse_strange_references()
        self._refuse_circles()
        self._refuse_endless()
        self._write_any_of()
        return cleaned

    def _is_object(self, schema: Mapping[str, Any]) -> bool:
        for _ in range(MAX_DEPTH):
            if schema.get("type") == "object":
                return True
            if "$ref" not in schema:
                return False
            found = self._find(schema["$ref"], "$.$ref")
            if not isinstance(found, dict):
                return False
            schema = found
        return False

    @staticmethod
    def _depth(schema: Any) -> int:
        depth, level = 0, [schema]
        while level and depth <= MAX_DEPTH:
            depth += 1
            values = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))]
            level = [inner for value in values for inner in value]
        return depth

    def _schema(self, schema: Any, where: str) -> Any:
        if isinstance(schema, bool):
            return schema
        self._met.append(schema)
        cleaned = {}
        for key, value in schema.items():
            if key in ANNOTATIONS or key.startswith("x-"):
                continue
            check = _CHECKS.get(key)
            if check is None:
                raise self._unenforced(where, key, "answers could break it")
            cleaned[key] = check(self, value, f"{where}.{key}")
        self._check_interval(cleaned, where)
        if "oneOf" in cleaned:
            self._one_of[where] = (schema, cleaned)
        if self._old and "$ref" in cleaned and len(cleaned) > 1:
            raise self._unenforced(where, "$ref", "draft 7 ignores what stands beside it; take that out")
        return cleaned

    def _write_any_of(self) -> None:
        """For oneOf, where it is the same: the compiler sees that only of schemas without references."""
        for where, (schema, cleaned) in self._one_of.items():
            if "anyOf" not in cleaned and self._exclude_each_other(schema["oneOf"]):
                cleaned["anyOf"] = cleaned.pop("oneOf")
            else:
                self.overlapping.append(where)

    def _exclude_each_other(self, schemas: Sequence[Any]) -> bool:
        """Whether these are objects that all require one property, with other strings in each."""
        options = [self._meant(schema) for schema in schemas]
        if not all(isinstance(option, dict) and option.get("type") == "object" for option in options):
            return False
        return any(self._differ(name, options) for name in options[0].get("required", ()))

    @staticmethod
    def _differ(name: str, options: Sequence[Mapping[str, Any]]) -> bool:
        values: list[str] = []
        for option in options:
            schema = option.get("properties", {}).get(name)
            if name not in option.get("required", ()) or not isinstance(schema, dict):
                return False
            own = [schema["const"]] if "const" in schema else schema.get("enum", [None])
            if not all(isinstance(value, str) for value in own):
                return False
            values += set(own)
        return len(values) == len(set(values))

    def _meant(self, schema: Any) -> Any:
        """What a schema refers to in the end."""
        for _ in range(MAX_DEPTH):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._find(schema["$ref"], "$ref")
        return schema

    def _schemas(self, schemas: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {name: self._schema(schema, f"{where}.{name}") for name, schema in schemas.items()}

    def _properties(self, schemas: Mapping[str, Any], where: str) -> dict[str, Any]:
        if len(schemas) > MAX_PROPERTIES:
            most = f"at most {MAX_PROPERTIES} are possible, not {len(schemas)}"
            raise self._unenforced(where, "properties", most)
        return self._schemas(schemas, where)

    def _list(self, schemas: list[Any], where: str) -> list[Any]:
        return [self._schema(schema, f"{where}[{i}]") for i, schema in enumerate(schemas)]

    def _same(self, value: Any, _where: str) -> Any:
        return value

    def _count(self, value: float, where: str) -> int:
        most = MAX_LENGTH if where.endswith("Length") else MAX_ITEMS
        if value > most:
            raise self._unenforced(where, where.rpartition(".")[2], f"at most {most} is possible, not {value}")
        return int(value)

    def _bound(self, value: float, where: str) -> float:
        if not abs(value) <= EXACT:
            raise self._unenforced(where, where.rpartition(".")[2], f"{value} is too large to be exact")
        if float(f"{value:.{DIGITS}g}") != value:
            raise self._unenforced(where, where.rpartition(".")[2], f"{value} has more than {DIGITS} digits")
        return int(value) if float(value).is_integer() else value

    def _check_interval(self, schema: Mapping[str, Any], where: str) -> None:
        """In an interval shorter than 1, the compiler lets through an exclusive bound that is whole."""
        excluded = [key for key in ("exclusiveMinimum", "exclusiveMaximum") if key in schema]
        low, high = interval(schema)
        if excluded and high - low < 1 and schema.get("type") != "integer":
            raise self._unenforced(where, excluded[0], "the bounds are less than 1 apart")
        if "multipleOf" in schema and high < 0:
            raise self._unenforced(where, "multipleOf", "not for numbers that are all below zero")

    def _multiple(self, value: float, where: str) -> int:
        if not value <= EXACT or not float(value).is_integer():
            raise self._unenforced(where, "multipleOf", f"only whole numbers are possible, not {value}")
        step = int(value)
        self._remainders += 0 if str(step).rstrip("0") == "1" else step
        if self._remainders > MAX_REMAINDERS:
            most = f"what is not a power of ten may come to {MAX_REMAINDERS} in a schema, added up"
            raise self._unenforced(where, "multipleOf", most)
        return step

    def _format(self, value: str, where: str) -> str:
        if value not in FORMATS:
            raise self._unenforced(where, "format", f"{value!r} is not one of {', '.join(sorted(FORMATS))}")
        return value

    def _unique(self, value: bool, where: str) -> bool:
        if value:
            raise self._unenforced(where, "uniqueItems", "answers could break it")
        return value

    def _ref(self, value: str, where: str) -> str:
        """Written as the compiler wants it, who takes nothing but a URI."""
        self._find(value, where)
        return "#" + quote(unquote(value[1:]), safe="/~$")

    def _refuse_strange_references(self) -> None:
        """To what is no schema, or is one in a place where it was not checked."""
        checked = {id(schema) for schema in self._met}
        for schema in self._met:
            found = self._find(schema["$ref"], "$ref") if "$ref" in schema else True
            if not isinstance(found, bool) and id(found) not in checked:
                raise Refused(f"{self._param}: no schema is at {schema['$ref']!r}", param=self._param)

    def _refuse_circles(self) -> None:
        """A schema that is about the very same value as itself, by references, says nothing that can be written."""
        done: set[int] = set()
        for start in self._met:
            path: dict[int, list[Any]] = {id(start): self._about_the_same(start)}
            while path:
                here, ahead = next(reversed(path.items()))
                if not ahead:
                    path.pop(here)
                    done.add(here)
                    continue
                following = ahead.pop()
                if id(following) in path:
                    message = (
                        f"{self._param}: a $ref leads in a circle: to a schema that contains it for the same value"
                    )
                    raise Refused(message, param=self._param)
                if id(following) not in done:
                    path[id(following)] = self._about_the_same(following)

    def _about_the_same(self, schema: Any) -> list[Any]:
        if not isinstance(schema, dict):
            return []
        found = [inner for key in ("anyOf", "allOf", "oneOf") for inner in schema.get(key, ())]
        return [*found, self._find(schema["$ref"], "$ref")] if "$ref" in schema else found

    def _refuse_endless(self) -> None:
        """A schema all of whose answers contain another one like it has no answer."""
        ending: set[int] = set()
        for _ in range(MAX_DEPTH):
            found = {id(s) for s in reversed(self._met) if id(s) not in ending and self._ends(s, ending)}
            ending |= found
            if not found:
                break
        if len(ending) < len({id(schema) for schema in self._met}):
            raise Refused(f"{self._param}: no answer to the schema, or to a part of it, has an end", param=self._param)

    def _ends(self, schema: Mapping[str, Any], ending: set[int]) -> bool:
        """Whether an answer exists whose parts have schemas among ``ending``."""

        def all_end(parts: Iterable[Any]) -> bool:
            return all(not isinstance(part, dict) or id(part) in ending for part in parts)

        if not all_end(schema.get("allOf", ())) or ("$ref" in schema and not all_end([self._find(schema["$ref"], "")])):
            return False
        if any(not any(all_end([option]) for option in schema[key]) for key in ("anyOf", "oneOf") if schema.get(key)):
            return False
        types = schema.get("type", "null")
        if not set(types if isinstance(types, list) else [types]) <= {"object", "array"}:
            return True
        return all_end(self._needed(schema))

    @staticmethod
    def _needed(schema: Mapping[str, Any]) -> list[Any]:
        """The schemas of the parts that every object or list of this schema has."""
        properties, least, first = (
            schema.get("properties", {}),
            schema.get("minItems", 0),
            schema.get("prefixItems", []),
        )
        more = schema.get("additionalProperties")
        named = [properties.get(name, more) for name in schema.get("required", ())]
        return [*named, *first[: int(least)], *([schema.get("items")] if least > len(first) else [])]

    def _find(self, reference: str, where: str) -> Any:
        """What a reference inside the schema means, by RFC 6901, which has it percent-encoded."""
        place: Any = self._root
        if reference != "#" and not reference.startswith("#/"):
            raise self._unenforced(where, "$ref", f"{reference!r} is not inside the schema")
        for part in unquote(reference[2:]).split("/") if reference != "#" else []:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(place, dict) or name not in place:
                raise Refused(f"{self._param}: {where}: nothing is at {reference!r}", param=self._param)
            place = place[name]
        return place

    def _unenforced(self, where: str, keyword: str, why: str) -> Refused:
        return _unenforced(self._param, f"{keyword} at {where}", why)


_CHECKS: dict[str, Callable[[_Walk, Any, str], Any]] = {
    "type": _Walk._same,
    "enum": _Walk._same,
    "const": _Walk._same,
    "properties": _Walk._properties,
    "required": _Walk._same,
    "additionalProperties": _Walk._schema,
    "items": _Walk._schema,
    "prefixItems": _Walk._list,
    "uniqueItems": _Walk._unique,
    "minItems": _Walk._count,
    "maxItems": _Walk._count,
    "minLength": _Walk._count,
    "maxLength": _Walk._count,
    "pattern": _Walk._same,
    "format": _Walk._format,
    "minimum": _Walk._bound,
    "maximum": _Walk._bound,
    "exclusiveMinimum": _Walk._bound,
    "exclusiveMaximum": _Walk._bound,
    "multipleOf": _Walk._multiple,
    "anyOf": _Walk._list,
    "allOf": _Walk._list,
    "oneOf": _Walk._list,
    "$ref": _Walk._ref,
    "$defs": _Walk._schemas,
    "definitions": _Walk._schemas,
}
"""The keywords that the grammar enforces, with what is checked about their values."""


@cache
def _bytes() -> LLTokenizer:
    """A vocabulary of bytes, to try grammars with; kept, since to make it takes nearly as long as a small try."""
    from llguidance import LLTokenizer

    return LLTokenizer("byte")


def _unenforced(param: str, what: str, why: str) -> Refused:
    message = f"{param}: {what} cannot be enforced: {why}"
    return Refused(message, param=param, code="unsupported_schema")


def _reason(problem: str) -> str:
    """What the compiler said, without the grammar that it quotes."""
    said = problem.rpartition("failed to compile JSON schema: ")[2].partition("\n   1 | ")[0]
    return " ".join(said.split())[:300]
