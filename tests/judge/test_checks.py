from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from assay.errors import BadPrompts
from assay.judge import check, mean_value, score, vet
from assay.types import Expect, Phase, Prompt, RequestError, Sample

RECORDS = [{"who": "Ann", "what": "write it", "when": "3 May"}, {"who": "Bob", "what": "read it", "when": None}]
PATTERN = r"^- (?P<who>[^:]+): (?P<what>.+?) \((?:no date|by (?P<when>.+))\)$"
FIELD = st.none() | st.sampled_from(["a", "b", "c d"])
RECORD = st.fixed_dictionaries({"who": FIELD, "what": FIELD, "when": FIELD})


def expects(**fields: Any) -> Expect:
    return convert(fields, Expect)


def value(text: str, **fields: Any) -> float:
    return mean_value(text, expects(**fields))


@pytest.mark.parametrize(("text", "right"), [(" yes.\n", 1), ("YES", 1), ("yes, it was", 0), ("", 0)])
def test_answer(text: str, right: float) -> None:
    assert value(text, answer="Yes") == right


@pytest.mark.parametrize(("text", "right"), [("It is Not  Stated.", 1), ("unknown to me", 1), ("nothing", 0)])
def test_any_of(text: str, right: float) -> None:
    assert value(text, any_of=["not stated", "Unknown"]) == right


@pytest.mark.parametrize(("text", "right"), [("on 2026-11-22 at", 1), ("tomorrow", 0)])
def test_regex(text: str, right: float) -> None:
    assert value(text, regex=r"\b\d{4}-\d\d-\d\d\b") == right


SCHEMA = {"type": "object", "required": ["who"], "properties": {"who": {"type": "string"}}}


@pytest.mark.parametrize(
    ("text", "right", "why"),
    [
        ('```json\n{"who": "Ann"}\n```', 1, "valid"),
        ('{"who": 3}', 0, "$.who: 3 is not of type 'string'"),
        ("{}", 0, "$: 'who' is a required property"),
        ("Ann", 0, "no JSON value in the answer"),
    ],
)
def test_json_schema(text: str, right: float, why: str) -> None:
    [found] = check(text, expects(json_schema=SCHEMA))
    assert (found.value, found.why) == (right, why)


def test_a_schema_may_refer_to_its_own_definitions() -> None:
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}
    assert value("7", json_schema=schema) == 1
    assert value('"7"', json_schema=schema) == 0


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('[{"who": "Ann", "what": "write it", "when": "3 May"}, {"who": "Bob", "what": "read it", "when": null}]', 1),
        ('[{"who": " Ann ", "what": "write it", "when": "3 May"}, {"who": "Bob", "what": "read it"}]', 1),
        ('[{"who": "Ann", "what": "write it", "when": "3 May"}, {"who": "Bob", "what": "read it", "when": ""}]', 1),
        (
            '[{"who": "ann", "what": "write it", "when": "3 May"}, {"who": "Bob", "what": "read it", "when": null}]',
            5 / 6,
        ),
        ('[{"who": "Ann", "what": "write it", "when": "3 May"}]', 3 / 6),
        ('[{"who": "Bob", "what": "read it"}, {"who": "Ann", "what": "write it", "when": "3 May"}]', 0),
        ('[{"who": "Ann", "what": "write it", "when": "3 May", "why": "x"}, {"who": "Bob", "what": "read it"}]', 6 / 7),
        (
            '[{"who":"Ann","what":"write it","when":"3 May"},{"who":"Bob","what":"read it"},{"who":"C","what":"d"}]',
            6 / 9,
        ),
        ('["Ann", {}]', 0),
        ('{"who": "Ann"}', 0),
        ("Ann writes it", 0),
        ("[]", 0),
    ],
)
def test_records_from_json(text: str, right: float) -> None:
    assert value(text, records=RECORDS) == pytest.approx(right)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("- Ann: write it (by 3 May)\n- Bob: read it (no date)", 1),
        ("Actions:\n- Ann: write it (by 3 May)\n\n  - Bob: read it (no date)  \nThat is all.", 1),
        ("- Ann: write it (by 4 May)\n- Bob: read it (no date)", 5 / 6),
        ("- Ann: write it (by 3 May)", 3 / 6),
        ("nothing", 0),
    ],
)
def test_records_from_lines(text: str, right: float) -> None:
    assert value(text, records=RECORDS, record_pattern=PATTERN) == pytest.approx(right)


def test_no_records_expected() -> None:
    assert value("[]", records=[]) == 1
    assert value('[{"who": "Ann"}]', records=[]) == 0
    assert value("No action items.", records=[], record_pattern=PATTERN) == 1


@given(st.lists(RECORD, max_size=4))
def test_the_expected_records_are_right(records: list[dict[str, str | None]]) -> None:
    empties = any(not any(record.values()) for record in records)
    right = value(json.dumps(records), records=records)
    assert right == 1 or empties
    assert value(json.dumps([*records, {"who": "z"}]), records=records) < 1


@given(st.lists(RECORD, max_size=4), st.lists(RECORD, max_size=4))
def test_records_score_from_0_to_1(wanted: list[dict[str, str | None]], got: list[dict[str, str | None]]) -> None:
    assert 0 <= value(json.dumps(got), records=wanted) <= 1


def test_aspects_and_max_sentences_are_a_criterion_each() -> None:
    found = check("Ann checks privacy. Bob pays.", expects(aspects=["privacy", "cost"], max_sentences=1))
    assert [(f.criterion, f.value) for f in found] == [("aspects", 0.5), ("max_sentences", 0.0)]
    assert found[0].why == "not mentioned: cost"
    assert mean_value("Ann checks privacy. Bob pays.", expects(aspects=["privacy", "cost"], max_sentences=1)) == 0.25


@pytest.mark.parametrize(("text", "right"), [("One.", 1), ("One. Two.", 1), ("One. Two. Three.", 0), ("  ", 0)])
def test_max_sentences_wants_at_least_one(text: str, right: float) -> None:
    assert value(text, max_sentences=2) == right


@pytest.mark.parametrize(("text", "right"), [("- a\n- b", 1), ("- a", 0), ('["a", "b", "c"]', 1)])
def test_min_items(text: str, right: float) -> None:
    assert value(text, min_items=2) == right


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "holds no check"),
        ({"regex": "(["}, "no regular expression"),
        ({"json_schema": {"type": "wrong"}}, "no JSON Schema"),
        ({"json_schema": {"$ref": "https://example.org/schema.json"}}, "not in it"),
        ({"any_of": []}, "any_of"),
        ({"aspects": ["a", " "]}, "aspects"),
        ({"min_items": 0}, "min_items"),
        ({"max_sentences": 0}, "max_sentences"),
        ({"record_pattern": "(?P<a>x)"}, "no `records`"),
        ({"records": [], "record_pattern": "x"}, "no named groups"),
        ({"records": [], "record_pattern": "("}, "record_pattern"),
    ],
)
def test_an_expectation_that_cannot_be_used_is_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(BadPrompts) as caught:
        vet([Prompt(id="fine", prompt="?"), Prompt(id="p7", prompt="?", expect=expects(**fields))])
    assert "'p7'" in caught.value.message
    assert says in str(caught.value)


def test_usable_expectations_pass() -> None:
    vet([Prompt(id="a", prompt="?", expect=expects(answer="x", records=RECORDS, record_pattern=PATTERN, regex="x"))])


def test_a_dangling_reference_met_in_checking_is_refused() -> None:
    with pytest.raises(BadPrompts, match="not in it"):
        check("{}", expects(json_schema={"$ref": "#/$defs/gone"}))


def sample(i: int, prompt: str, text: str, phase: Phase = "measure", error: RequestError | None = None) -> Sample:
    return Sample(i=i, variant="v", engine="e", prompt=prompt, round=0, phase=phase, text=text, error=error)


def test_only_measured_samples_that_succeeded_are_scored() -> None:
    prompts = [
        Prompt(id="a", prompt="?", expect=expects(answer="yes", max_sentences=1)),
        Prompt(id="free", prompt="?"),
    ]
    samples = [
        sample(0, "a", "yes", phase="warmup"),
        sample(1, "a", "Yes."),
        sample(2, "a", "", error=RequestError(kind="timeout", message="late")),
        sample(3, "free", "anything"),
        sample(4, "elsewhere", "anything"),
        sample(5, "a", "no"),
    ]
    scores = score(samples, prompts)
    assert [(s.sample, s.criterion, s.value) for s in scores] == [
        (1, "answer", 1.0),
        (1, "max_sentences", 1.0),
        (5, "answer", 0.0),
        (5, "max_sentences", 1.0),
    ]
    assert {s.judge for s in scores} == {"check"}
    assert scores[2].why == "expected 'yes'"


def test_a_bad_expectation_met_in_scoring_names_its_prompt() -> None:
    with pytest.raises(BadPrompts, match="'p'"):
        score([sample(0, "p", "x")], [Prompt(id="p", prompt="?", expect=expects(regex="("))])
