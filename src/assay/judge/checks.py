"""Checks by rule: an answer against what its prompt expects, one finding per criterion.

The criterion's name is the field of `assay.types.Expect`; every value is 0..1:

=============== ==========================================================================================
``answer``       1 when equal; both sides NFC, casefolded, white space as one space, one final full stop dropped
``any_of``       1 when one of the strings is in the answer as whole words, both sides normalised as above
``regex``        1 when ``re.search`` finds it in the answer as it is
``json_schema``  1 when the first JSON value of the answer validates (2020-12 unless the schema says otherwise)
``records``      equal fields at the same position / the larger of the expected and the given fields
``aspects``      share of the strings that occur as whole words, normalised as above
``max_sentences`` 1 when the answer has at least one sentence and at most so many
``min_items``    1 when the answer's list has at least so many items
=============== ==========================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from assay.errors import BadPrompts
from assay.judge.answers import NoJson, count_items, count_sentences, first_json, mentions, normalised
from assay.types import Expect, Prompt, Sample, Score

Record = Mapping[str, Any]


class Finding(Struct, frozen=True, kw_only=True):
    """What one check found in one answer; ``value`` is 0..1."""

    criterion: str
    value: float
    why: str = ""


def check(text: str, expect: Expect) -> list[Finding]:
    """Hold an answer against every criterion that ``expect`` gives.

    Raises `BadPrompts` where the expectation itself cannot be used (a regex or a schema that is not one).
    """
    return [
        Finding(criterion=name, value=value, why=why)
        for name, judge in _CHECKS.items()
        if getattr(expect, name) is not None
        for value, why in [judge(text, expect)]
    ]


def mean_value(text: str, expect: Expect) -> float:
    """The mean over all criteria, 0..1: the quality of one answer. Raises `BadPrompts` where nothing is expected."""
    findings = check(text, expect)
    if not findings:
        raise BadPrompts("`expect` holds no check", remedy=f"give at least one of {', '.join(_CHECKS)}")
    return sum(finding.value for finding in findings) / len(findings)


def score(samples: Iterable[Sample], prompts: Iterable[Prompt]) -> list[Score]:
    """Scores of every measured sample that succeeded and whose prompt expects something.

    A failed request gets no score (it is a failure, and counted as one), nor does a warm-up, nor a sample of a prompt
    that is not among ``prompts``. Raises `BadPrompts` naming the prompt.
    """
    by_id = {prompt.id: prompt for prompt in prompts}
    scores: list[Score] = []
    for sample in samples:
        prompt = by_id.get(sample.prompt)
        if prompt is None or prompt.expect is None or not sample.ok or sample.phase != "measure":
            continue
        try:
            findings = check(sample.text, prompt.expect)
        except BadPrompts as error:
            raise _named(error, prompt) from error
        scores += [
            Score(sample=sample.i, judge="check", criterion=found.criterion, value=found.value, why=found.why)
            for found in findings
        ]
    return scores


def vet(prompts: Iterable[Prompt]) -> None:
    """Raise `BadPrompts`, naming the prompt, where an ``expect`` cannot be used: for before anything is measured."""
    for prompt in prompts:
        if prompt.expect is not None:
            try:
                _vet_expect(prompt.expect)
                mean_value("", prompt.expect)
            except BadPrompts as error:
                raise _named(error, prompt) from error


def _vet_expect(expect: Expect) -> None:
    for reference in _references(expect.json_schema):
        if not reference.startswith("#"):
            raise _not_in_schema(reference)
    for name in ("any_of", "aspects"):
        strings: Sequence[str] | None = getattr(expect, name)
        if strings is not None and not all(normalised(words) for words in strings or [""]):
            raise BadPrompts(f"`{name}` needs one string or more, none of them empty")
    for name in ("max_sentences", "min_items"):
        number: int | None = getattr(expect, name)
        if number is not None and number < 1:
            raise BadPrompts(f"`{name}` is {number}, and must be 1 or more")
    if expect.record_pattern is not None:
        if expect.records is None:
            raise BadPrompts(
                "`record_pattern` says how to read records, but there are no `records` to hold them against"
            )
        if not _compiled(expect.record_pattern, "record_pattern").groupindex:
            raise BadPrompts("`record_pattern` has no named groups", remedy="name each field: (?P<who>...)")


def _named(error: BadPrompts, prompt: Prompt) -> BadPrompts:
    return BadPrompts(f"prompt {prompt.id!r}: {error.message}", why=error.why, remedy=error.remedy)


def _answer(text: str, expect: Expect) -> tuple[float, str]:
    wanted = expect.answer or ""
    if normalised(text) == normalised(wanted):
        return 1.0, "the answer expected"
    return 0.0, f"expected {wanted!r}"


def _any_of(text: str, expect: Expect) -> tuple[float, str]:
    found = next((words for words in expect.any_of or () if mentions(text, words)), None)
    return (0.0, "none of the strings is in it") if found is None else (1.0, f"holds {found!r}")


def _regex(text: str, expect: Expect) -> tuple[float, str]:
    found = _compiled(expect.regex or "", "regex").search(text)
    return (1.0, f"matches at character {found.start()}") if found else (0.0, "no match")


def _compiled(pattern: str, field: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadPrompts(
            f"`{field}` is no regular expression: {pattern!r}", why=str(error), remedy="Python's re syntax is expected"
        ) from error


def _json_schema(text: str, expect: Expect) -> tuple[float, str]:
    import referencing
    import referencing.exceptions
    from jsonschema import exceptions, validators

    schema = expect.json_schema or {}
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        raise BadPrompts("`json_schema` is no JSON Schema", why=f"{error.json_path}: {error.message}") from error
    # An empty registry keeps a "$ref" to an address from being fetched: nothing leaves the machine unasked.
    validator = kind(schema, registry=referencing.Registry())
    try:
        value = first_json(text)
        problem = exceptions.best_match(validator.iter_errors(value))
    except NoJson as error:
        return 0.0, str(error)
    except referencing.exceptions.Unresolvable as error:
        raise _not_in_schema(error.ref) from error
    return (1.0, "valid") if problem is None else (0.0, f"{problem.json_path}: {problem.message}")


def _not_in_schema(reference: str) -> BadPrompts:
    return BadPrompts(
        f"`json_schema` refers to {reference!r}, which is not in it",
        why="nothing is fetched from elsewhere",
        remedy='put the definition under "$defs" in the same schema',
    )


def _references(schema: Any) -> Iterator[str]:
    """Every ``$ref`` of a schema, at any depth."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _records(text: str, expect: Expect) -> tuple[float, str]:
    wanted = expect.records or ()
    if expect.record_pattern is not None:
        pattern = _compiled(expect.record_pattern, "record_pattern")
        found = (pattern.search(line.strip()) for line in text.splitlines())
        given: list[Record] = [match.groupdict() for match in found if match]
    else:
        try:
            value = first_json(text)
        except NoJson as error:
            return 0.0, str(error)
        if not isinstance(value, list):
            return 0.0, "the first JSON value is no list"
        given = [item if isinstance(item, dict) else {} for item in value]
    return _compare_records(wanted, given)


def _compare_records(wanted: Sequence[Record], given: Sequence[Record]) -> tuple[float, str]:
    """Equal fields / fields, where a position counts the larger of its expected and its given fields.

    A surplus record counts as many fields as the longest expected one, so leaving out its empty fields hides nothing.
    A record with nothing in it (or missing) is right in no field, for an empty field must be known to be empty.
    """
    longest = max((len(record) for record in wanted), default=1)
    equal = fields = 0
    for position in range(max(len(wanted), len(given))):
        expected = wanted[position] if position < len(wanted) else {}
        got = given[position] if position < len(given) else {}
        filled = sum(1 for value in got.values() if _field(value) is not None)
        fields += max(len(expected) or longest, filled)
        if filled or not any(_field(value) is not None for value in expected.values()):
            equal += sum(1 for name, value in expected.items() if _field(got.get(name)) == _field(value))
    value = equal / fields if fields else 1.0
    return value, f"{equal} of {fields} fields right; {len(given)} records given, {len(wanted)} expected"


def _field(value: Any) -> Any:
    """A field as it is compared: strings stripped, empty as None; what is no string equals no string."""
    return value.strip() or None if isinstance(value, str) else value


def _aspects(text: str, expect: Expect) -> tuple[float, str]:
    wanted = expect.aspects or ()
    missing = [words for words in wanted if not mentions(text, words)]
    value = 1 - len(missing) / len(wanted) if wanted else 0.0
    return value, f"not mentioned: {', '.join(missing)}" if missing else "all mentioned"


def _max_sentences(text: str, expect: Expect) -> tuple[float, str]:
    count = count_sentences(text)
    return float(
        1 <= count <= (expect.max_sentences or 0)
    ), f"{count} sentences, at most {expect.max_sentences} allowed"


def _min_items(text: str, expect: Expect) -> tuple[float, str]:
    count = count_items(text)
    return float(count >= (expect.min_items or 0)), f"{count} items, at least {expect.min_items} wanted"


_CHECKS: Final[dict[str, Callable[[str, Expect], tuple[float, str]]]] = {
    "answer": _answer,
    "any_of": _any_of,
    "regex": _regex,
    "json_schema": _json_schema,
    "records": _records,
    "aspects": _aspects,
    "max_sentences": _max_sentences,
    "min_items": _min_items,
}
