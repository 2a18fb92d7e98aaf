"""Schemas that answers are held to: what is refused, and that whatever a grammar lets through satisfies its schema."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from assay.engines.worker.grammar import grammar_of, schema_grammar
from assay.engines.worker.model import Generation, PromptInput, Refused, Sampling
from assay.engines.worker.schema import MAX_PROPERTIES, complaint, read_schema

NAMES = ["a", "b", "né", 'q"', "x y"]
literals = st.sampled_from([None, True, 0, -3, 2.5, "", "ab", 'é\n"', [1, "a"], {"k": [1]}])
STRINGS: list[dict[str, Any]] = [
    {},
    {"minLength": 2},
    {"maxLength": 3},
    {"minLength": 1, "maxLength": 3},
    {"pattern": "^[a-z]{1,4}$"},
    {"pattern": "[0-9]{2}", "maxLength": 5},
    {"format": "date"},
    {"format": "uuid"},
    {"format": "ipv4"},
]
strings = st.sampled_from(STRINGS).map(lambda more: {"type": "string", **more})
integers = st.one_of(
    st.just({}),
    st.builds(lambda low, room: {"minimum": low, "maximum": low + room}, st.integers(-99, 99), st.integers(0, 200)),
    st.builds(lambda low: {"exclusiveMinimum": low}, st.integers(-99, 99)),
    st.builds(lambda step: {"multipleOf": step}, st.integers(1, 9)),
).map(lambda more: {"type": "integer", **more})
numbers = st.builds(
    lambda low, room: {"type": "number", "minimum": low, "exclusiveMaximum": low + room},
    st.sampled_from([-7.5, 0, 0.25, 3]),
    st.sampled_from([0.5, 2, 100]),
)
leaves = st.one_of(
    strings,
    integers,
    numbers,
    st.just({"type": "number"}),
    st.sampled_from([{"type": "null"}, {"type": "boolean"}, {"type": ["string", "null"]}, True, {}]),
    st.builds(lambda values: {"enum": values}, st.lists(literals, min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, literals),
    st.just({"$ref": "#/$defs/leaf"}),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def made(properties: dict[str, Any], required: set[str], more: Any) -> dict[str, Any]:
        schema = {"type": "object", "properties": properties, "required": sorted(required & set(properties))}
        return schema if more is None else {**schema, "additionalProperties": more}

    return st.builds(
        made,
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        st.sets(st.sampled_from(NAMES)),
        st.one_of(st.just(False), st.just(False), st.none(), inner),
    )


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def made(items: Any, first: list[Any], least: int, room: int) -> dict[str, Any]:
        schema = {"type": "array", "items": items, "minItems": least, "maxItems": least + room}
        return {**schema, "prefixItems": first} if first else schema

    return st.builds(made, inner, st.lists(inner, max_size=2), st.integers(0, 2), st.integers(0, 2))


def unions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    kinds = st.sampled_from(["anyOf", "allOf", "oneOf"])
    return st.builds(lambda kind, of: {kind: of}, kinds, st.lists(inner, min_size=1, max_size=2))


anything = st.recursive(leaves, lambda inner: st.one_of(objects(inner), arrays(inner), unions(inner)), max_leaves=5)
schemas = objects(anything)


def answer(grammar: str, seed: int) -> str | None:
    """A random text that the grammar allows, byte by byte; None where it gets too long."""
    tokens = LLTokenizer("byte")
    matcher = LLMatcher(tokens, grammar)
    chosen = random.Random(seed)
    made = bytearray()
    while len(made) < 300:
        bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        assert not matcher.is_error(), matcher.get_error()
        allowed = [int(token) for token in np.flatnonzero(bits)]
        if tokens.eos_token in allowed and (len(allowed) == 1 or chosen.random() < 0.5):
            return made.decode()
        byte = [token for token in allowed if token < 256]
        closing = [token for token in byte if chr(token) in '"}],:']
        made.append(chosen.choice(closing if closing and chosen.random() < 0.5 else byte))
        matcher.consume_token(made[-1])
    return None


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(schema=schemas, leaf=leaves, seed=st.integers(0, 2**32))
def test_whatever_the_grammar_lets_through_satisfies_the_schema(schema: dict[str, Any], leaf: Any, seed: int) -> None:
    whole = {**schema, "$defs": {"leaf": leaf if leaf != {"$ref": "#/$defs/leaf"} else True}}
    try:
        text = read_schema(whole, "response_format")
    except Refused:
        assume(False)
    made = answer(schema_grammar(text), seed)
    if made is not None:
        assert complaint(text, made) is None
        jsonschema.Draft202012Validator(whole).validate(json.loads(made))


def test_blanks_are_bounded() -> None:
    text = read_schema({"type": "object"}, "response_format")
    for start in (
        "{ ",
        "{\n",
        '{"a" ',
        '{"a":  ',
        '{"a": 1 ',
        '{"a": 1,  ',
        '{"a": 1,\n',
        '{"a": [ ',
        '{"a": 1} ',
        "\n",
    ):
        matcher = LLMatcher(LLTokenizer("byte"), schema_grammar(text))
        taken = matcher.try_consume_tokens(list(start.encode()))
        assert taken == len(start) - 1, start


def refusal(schema: Any) -> str:
    with pytest.raises(Refused) as refused:
        read_schema(schema, "response_format")
    assert refused.value.param == "response_format"
    return refused.value.message


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"required": ["a"]}},
        {"if": {}, "then": {}},
        {"properties": {"a": {"type": "array", "contains": {"type": "string"}}}},
        {"properties": {"a": {"type": "array", "uniqueItems": True}}},
        {"properties": {"a": {"type": "array", "maxItems": 1001}}},
        {"properties": {f"p{i}": {"type": "string"} for i in range(401)}},
        {"properties": {"a": {"type": "array", "minItems": 1001}}},
        {"properties": {"a": {"type": "string", "maxLength": 10001}}},
        {"properties": {"a": {"type": "string", "format": "iri"}}},
        {"properties": {"a": {"type": "number", "multipleOf": 0.1}}},
        {"properties": {"a": {"type": "number", "multipleOf": 2**31}}},
        {
            "properties": {
                "a": {"type": "integer", "multipleOf": 60_000},
                "b": {"type": "integer", "multipleOf": 50_000},
            }
        },
        {"properties": {"a": {"type": "integer", "minimum": 1e300}}},
        {"properties": {"a": {"type": "number", "maximum": -3.6900000000000004}}},
        {"properties": {"a": {"type": "integer", "maximum": -1, "multipleOf": 3}}},
        {"properties": {"a": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}}},
        {"properties": {"a": {"type": "string", "nullable": True}}},
        {"minProperties": 1},
        {"maxProperties": 1},
        {"patternProperties": {"^a": {}}},
        {"propertyNames": {"maxLength": 3}},
        {"dependentRequired": {"a": ["b"]}},
        {"unevaluatedProperties": False},
        {"properties": {"a": {"$anchor": "x"}}},
        {"properties": {"a": {"$dynamicRef": "#x"}}},
    ],
)
def test_keywords_that_are_not_enforced_are_named(schema: dict[str, Any]) -> None:
    def keywords(value: Any) -> list[str]:
        if not isinstance(value, dict):
            return []
        return [key for key, inner in value.items() for key in (key, *keywords(inner))]

    message = refusal({"type": "object", **schema})
    assert "cannot be enforced" in message
    assert any(f"{key} at $" in message for key in keywords(schema))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "must hold a JSON Schema"),
        ({}, 'its type must be "object"'),
        ({"type": "string"}, 'its type must be "object"'),
        ({"type": ["object", "null"]}, 'its type must be "object"'),
        ({"$ref": "#"}, 'its type must be "object"'),
        ({"type": "objekt"}, "no valid JSON Schema"),
        ({"type": "object", "properties": []}, "no valid JSON Schema"),
        ({"type": "object", "properties": {"a": {"pattern": "["}}}, "no valid JSON Schema"),
        ({"type": "object", "$schema": "http://json-schema.org/draft-04/schema#"}, "draft-07"),
        ({"type": "object", "properties": {"a": {"$ref": "other.json#/x"}}}, "is not inside the schema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}, "nothing is at"),
        ({"type": "object", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"$ref": "#/$defs/x"}}}, "circle"),
        ({"type": "object", "properties": {"a": {"$ref": "#/properties"}}}, "no schema is at"),
        ({"type": "object", "items": {"const": {}, "anyOf": [{"$ref": "#/items/const"}]}}, "no schema is at"),
        ({"type": "object", "anyOf": [{"$ref": "#"}, {"type": "object"}]}, "circle"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "has an end"),
        ({"type": "object", "additionalProperties": {"$ref": "#"}, "required": ["a"]}, "has an end"),
        ({"type": "object", "items": {"type": "array", "items": {"$ref": "#/items"}, "minItems": 1}}, "has an end"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "nsatisfiable"),
        ({"type": "object", "properties": {"a": {"pattern": "^(?=a)"}}, "required": ["a"]}, "look-around"),
        ({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, "oneOf"),
        ({"type": "object", "oneOf": [{"$ref": "#/const"}], "const": {"type": "object", "required": 1}}, "no schema"),
        (
            {"type": "object", "properties": {"a": {"oneOf": [{"$ref": "#"}, {"type": "object"}]}}},
            "oneOf at $.properties.a c",
        ),
        ({"type": "object", "properties": {"a": {"const": float("inf")}}}, "JSON has not"),
        ({"type": "object", "properties": {"a": {"enum": ["x" * 200_000]}}}, "bytes"),
    ],
)
def test_bad_schemas_are_refused(schema: Any, said: str) -> None:
    assert said in refusal(schema)


def test_a_schema_may_not_be_nested_without_end() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(10_000):
        schema = {"type": "object", "properties": {"a": schema}}
    assert "deep" in refusal(schema)


WORDS = (
    "type properties required items $ref $defs enum anyOf minimum maxItems multipleOf $schema pattern const "
    "definitions prefixItems additionalProperties exclusiveMinimum format minLength allOf oneOf a"
)
words = st.sampled_from(WORDS.split(" "))
values = st.one_of(
    st.sampled_from(["object", "array", "number", "#", "#/$defs/a", "#/properties/a", "draft-07/schema", "[", 10**400]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
)
junk = st.dictionaries(
    words, st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner), max_leaves=8)
)


@given(junk)
def test_whatever_comes_is_read_or_refused(schema: dict[str, Any]) -> None:
    try:
        text = read_schema({"type": "object", **schema}, "response_format")
    except Refused as refused:
        text = refused.param or ""
    assert text


def test_an_object_of_as_many_properties_as_may_be_can_be_followed() -> None:
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(MAX_PROPERTIES)}}
    matcher = LLMatcher(LLTokenizer("byte"), schema_grammar(read_schema(schema, "x")), log_level=0)
    for byte in b'{"p1':
        matcher.compute_bitmask()
        assert matcher.consume_token(byte), matcher.get_error()


def test_annotations_are_left_out_and_say_nothing() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://example.org/x",
        "title": "X",
        "description": "y",
        "x-guidance": {"lenient": True},
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "a property called title", "default": "", "x-order": 1}
        },
    }
    assert json.loads(read_schema(schema, "f")) == {"type": "object", "properties": {"title": {"type": "string"}}}


def test_recursion_and_references_work() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}, "additionalProperties": False}
    text = read_schema({"$ref": "#/$defs/tree", "$defs": {"tree": tree}}, "f")
    answers = {answer(schema_grammar(text), seed) for seed in range(20)}
    assert {"{}", '{"left": {}}'} <= answers
    whole = {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}
    answers = {answer(schema_grammar(read_schema(whole, "f")), seed) for seed in range(20)}
    assert {"{}", '{"a": {}}'} <= answers
    either = {"anyOf": [{"$ref": "#/properties/a"}, {"const": 1}]}
    read_schema({"type": "object", "properties": {"a": {"type": "array", "items": either, "minItems": 1}}}, "f")


def kind(name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"kind": {"type": "string", "const": name}, **more},
        "required": ["kind", *more],
        "additionalProperties": False,
    }


def test_objects_that_a_property_tells_apart_may_be_one_of() -> None:
    pet = {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "discriminator": {"propertyName": "kind"}}
    dog = kind("dog", n={"type": "boolean"})
    dog["properties"]["kind"] = {"enum": ["dog", "wolf"]}
    definitions = {"Cat": kind("cat", m={"type": "boolean"}), "Dog": dog}
    whole = {"type": "object", "properties": {"pet": pet}, "required": ["pet"], "$defs": definitions}
    text = read_schema({**whole, "additionalProperties": False}, "f")
    for seed in range(20):
        made = answer(schema_grammar(text), seed)
        assert made is not None
        jsonschema.Draft202012Validator(whole).validate(json.loads(made))
    dog["properties"]["kind"]["enum"].append("cat")
    assert "oneOf at $.properties.pet cannot be enforced: its schemas may overlap; use anyOf" in refusal(whole)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("Foo Bar", "Foo%20Bar"),
        ("Foo Bar", "Foo Bar"),
        ("Gen[int]", "Gen[int]"),
        ("é", "%C3%A9"),
        ("50%", "50%25"),
        ("a/b", "a~1b"),
    ],
)
def test_names_of_any_kind_can_be_referred_to(name: str, reference: str) -> None:
    schema = kind("a", b={"$ref": f"#/$defs/{reference}"}) | {"$defs": {name: {"const": 1}}}
    text = read_schema(schema, "f")
    assert answer(schema_grammar(text), 1) == '{"kind": "a", "b": 1}'
    assert complaint(text, '{"kind": "a", "b": 1}') is None


def test_an_answer_that_broke_out_is_noticed() -> None:
    text = read_schema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, "f")
    assert complaint(text, '{"a": 1}') is None
    assert "JSON" in (complaint(text, '{"a": 1') or "")
    assert "deep" in (complaint(text, "[" * 100_000 + "]" * 100_000) or "")
    assert "$.a" in (complaint(text, '{"a": "x"}') or "")


def generation(**form: Any) -> Generation:
    return Generation(prompt=PromptInput(ids=(1,), length=1), max_tokens=5, sampling=Sampling(), **form)


def test_markers_are_tokens_where_the_vocabulary_has_them() -> None:
    ids: Callable[[str], list[int]] = {"<a>": [7], "<b>": [1, 2]}.__getitem__
    grammar = grammar_of(generation(grammar="start: marker_0 marker_1\n", markers=("<a>", "<b>")), ids)
    assert grammar == 'start: marker_0 marker_1\nmarker_0: <[7]>\nmarker_1: "<b>"\n'
    assert grammar_of(generation(), ids) is None
    assert grammar_of(generation(json_schema='{"type": "object"}'), ids) == schema_grammar('{"type": "object"}')
