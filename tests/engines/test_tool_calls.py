"""Calls of functions in an answer's text, however it is split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.worker.call_format import (
    GRANITE,
    HERMES,
    LLAMA,
    MISTRAL,
    PHI,
    PHI_SINGLE,
    CallFormat,
    find_format,
)
from assay.engines.worker.tool_calls import CallPart, CallStream

FORMATS = (HERMES, MISTRAL, PHI, PHI_SINGLE, GRANITE, LLAMA)
NAMES = ("weather", "send_mail")
Told = tuple[str, list[tuple[str, str]]]


def accept(name: str, _arguments: Mapping[str, Any]) -> bool:
    return name in NAMES


def run(
    known: CallFormat, pieces: Sequence[str], *, sure: bool = False, single: bool = False, only: bool = False
) -> Told:
    """The text that came out, and the calls as names and arguments."""
    stream = CallStream(known, NAMES, accept, sure=sure, single=single, only=only)
    parts = [part for piece in pieces for part in stream.feed(piece)] + stream.finish()
    text = "".join(part for part in parts if isinstance(part, str))
    calls: dict[int, list[str]] = {}
    ids = []
    for part in parts:
        if isinstance(part, CallPart):
            if part.name is not None:
                assert part.index == len(calls)
                assert part.id
                ids.append(part.id)
                calls[part.index] = [part.name, ""]
            calls[part.index][1] += part.arguments
    assert len(set(ids)) == len(ids) == stream.calls
    return text, [(name, arguments) for name, arguments in calls.values()]


def split(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def written(known: CallFormat, calls: Sequence[tuple[str, Any]]) -> str:
    """Calls as a model of this kind writes them."""
    bodies = [f'{{"name": "{name}", "{known.key}": {json.dumps(arguments)}}}' for name, arguments in calls]
    if known.bare:
        return "; ".join(bodies)
    if known.listed:
        return f"{known.opening[0]}[{', '.join(bodies)}]{known.close}"
    return "\n".join(f"{known.opening[0]}\n{body}\n{known.close}" for body in bodies)


arguments = st.dictionaries(
    st.sampled_from(["city", "to", 'a"b', "é}"]),
    st.one_of(st.text(max_size=8), st.integers(-9, 9), st.lists(st.sampled_from(["}", "{", "</tool_call>", "\\"]))),
    max_size=3,
)
calls = st.lists(st.tuples(st.sampled_from(NAMES), arguments), min_size=1, max_size=3)
cuts = st.lists(st.integers(0, 400), max_size=12)
plain = st.text(st.sampled_from('ab <>|_/[]{}"\n:toolcalTOOLCALS'), max_size=30)


@given(known=st.sampled_from(FORMATS), made=calls, cuts=cuts)
def test_calls_come_out_whole(known: CallFormat, made: list[tuple[str, Any]], cuts: list[int]) -> None:
    text, found = run(known, split(written(known, made), cuts))
    assert text == ""
    assert [(name, json.loads(told)) for name, told in found] == made


@given(known=st.sampled_from([f for f in FORMATS if not f.bare]), made=calls, cuts=cuts)
def test_text_before_and_after_calls_stays(known: CallFormat, made: list[tuple[str, Any]], cuts: list[int]) -> None:
    text, found = run(known, split(f"Let me see. \n{written(known, made)}\n\nThere you are.", cuts))
    assert text == "Let me see.\n\nThere you are."
    assert [(name, json.loads(told)) for name, told in found] == made


@given(known=st.sampled_from(FORMATS), made=calls, cuts=cuts)
def test_arguments_of_sure_calls_come_as_they_are(
    known: CallFormat, made: list[tuple[str, Any]], cuts: list[int]
) -> None:
    made = made[:1] if known.bare else made
    pieces = split(written(known, made), cuts)
    assert run(known, pieces, sure=True) == ("", [(name, json.dumps(arguments)) for name, arguments in made])


@given(known=st.sampled_from(FORMATS), made=calls, tail=plain, cuts=cuts)
def test_only_the_first_call_comes_where_one_is_wanted(
    known: CallFormat, made: list[tuple[str, Any]], tail: str, cuts: list[int]
) -> None:
    text, found = run(known, split(written(known, made) + tail, cuts), single=True)
    assert (text, [(name, json.loads(told)) for name, told in found]) == ("", made[:1])


@given(known=st.sampled_from(FORMATS), text=plain, cuts=cuts, sure=st.booleans())
def test_what_is_no_call_is_text_and_nothing_is_lost(known: CallFormat, text: str, cuts: list[int], sure: bool) -> None:
    assert run(known, split(text, cuts), sure=sure) == (text, [])


@given(known=st.sampled_from(FORMATS), made=calls, head=plain, tail=plain, cuts=cuts)
def test_the_split_does_not_matter(
    known: CallFormat, made: list[tuple[str, Any]], head: str, tail: str, cuts: list[int]
) -> None:
    whole = head + written(known, made) + tail
    assert run(known, split(whole, cuts)) == run(known, [whole])


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "unknown", "arguments": {}}',
        '{"name": "weather", "arguments": {"city": }}',
        '{"name": "weather", "arguments": [1]}',
        '{"name": "weather", "arguments": {"n": NaN}}',
        '{"name": "weather"}',
        '{"name": 3, "arguments": {}}',
        '{"name": "weather", "arguments": {"n": 1e999}}',
        "[]",
        "[1]",
        "not JSON",
        '{"name": "weather", "arguments": {"city": "never ends',
        "",
    ],
)
def test_a_broken_call_comes_out_as_it_was_written(body: str) -> None:
    answer = f"Hm. <tool_call>\n{body}\n</tool_call> So."
    for pieces in ([answer], list(answer)):
        assert run(HERMES, pieces) == (answer, [])


def test_a_call_after_a_broken_one_is_found() -> None:
    good = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
    text, found = run(HERMES, [f"<tool_call>no</tool_call>{good}"])
    assert (text, found) == ("<tool_call>no</tool_call>", [("weather", '{"city": "Oslo"}')])


def test_a_call_may_lack_its_closing_mark_at_the_end() -> None:
    for end in ("", "\n", "</tool", "\n</tool_call>"):
        answer = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}' + end
        assert run(HERMES, list(answer)) == ("", [("weather", '{"city": "Oslo"}')])


def test_arguments_as_a_string_and_under_the_other_name_are_read() -> None:
    answer = '<tool_call>{"name": "weather", "parameters": "{\\"city\\": \\"Oslo\\"}"}</tool_call>'
    assert run(HERMES, [answer]) == ("", [("weather", '{"city": "Oslo"}')])


def test_half_a_character_in_arguments_can_still_be_sent() -> None:
    _, found = run(HERMES, ['<tool_call>{"name": "weather", "arguments": {"city": "\\ud800"}}</tool_call>'])
    assert found[0][1].encode() == b'{"city": "\\ud800"}'


def test_text_that_only_looks_like_a_mark_is_held_no_longer_than_needed() -> None:
    stream = CallStream(HERMES, NAMES, accept)
    assert stream.feed("a <tool") == ["a"]
    assert stream.feed("box> b") == [" <toolbox> b"]
    assert stream.feed(" and") == [" and"]


def test_sure_arguments_stream_while_they_are_written() -> None:
    stream = CallStream(HERMES, NAMES, accept, sure=True)
    stream.feed('<tool_call>\n{"name": "weather", "argu')
    begin, *first = stream.feed('ments": {"city": "Os')
    assert isinstance(begin, CallPart)
    assert (begin.name, begin.arguments) == ("weather", "")
    more = stream.feed("lo")
    assert "".join(p.arguments for p in [*first, *more] if isinstance(p, CallPart)) == '{"city": "Oslo'
    assert stream.finish() == []


def test_a_cut_call_is_text() -> None:
    assert run(HERMES, ['<tool_call>\n{"name": "wea'], sure=True) == ('<tool_call>\n{"name": "wea', [])
    assert run(LLAMA, ['{"name": "weather", "parameters": {"city"']) == (
        '{"name": "weather", "parameters": {"city"',
        [],
    )


@pytest.mark.parametrize("known", FORMATS)
def test_what_is_left_of_a_cut_call_is_dropped_where_there_are_only_calls(known: CallFormat) -> None:
    made = [("weather", {"city": "Oslo"}), ("send_mail", {"to": "a"})][: 1 if known.bare else 2]
    whole = written(known, made)
    for end in range(len(whole)):
        text, found = run(known, [whole[:end]], sure=True, only=True)
        assert text == ""
        assert [name for name, _ in found] == [name for name, _ in made[: len(found)]]
        for (_, arguments), (_, whole_arguments) in zip(found, made, strict=False):
            assert json.dumps(whole_arguments).startswith(arguments)


@pytest.mark.parametrize("known", FORMATS)
def test_an_answer_knows_whether_it_was_cut_within_a_call(known: CallFormat) -> None:
    whole = written(known, [("weather", {"city": "Oslo"})])
    start, end = (1 if known.bare else len(known.opening[0])), whole.index("}") + 1
    for place in range(len(whole) + 1):
        stream = CallStream(known, NAMES, accept, sure=True)
        stream.feed(whole[:place])
        assert stream.cut == (start <= place < end)
    free = CallStream(known, NAMES, accept)
    free.feed(whole[:end])
    assert not free.cut


def test_a_model_that_marks_nothing_may_answer_in_json() -> None:
    answer = '{"city": "Oslo"} is what I know.'
    assert run(LLAMA, list(answer)) == (answer, [])
    assert run(LLAMA, list('Look: {"name": "weather", "parameters": {}}'))[1] == []
    marked = '<|python_tag|>{"name": "weather", "parameters": {}}'
    assert run(LLAMA, list(marked)) == ("", [("weather", "{}")])


def test_ids_are_as_the_template_wants_them() -> None:
    for known, length in ((MISTRAL, 9), (HERMES, 29)):
        parts = CallStream(known, NAMES, accept).feed(written(known, [("weather", {})]))
        assert isinstance(parts[0], CallPart)
        assert len(parts[0].id or "") == length


@pytest.mark.parametrize(
    ("template", "known"),
    [
        ("{% if tools %}within <tool_call></tool_call>{% endif %}", HERMES),
        ("[AVAILABLE_TOOLS]{{ tools }}[TOOL_CALLS]", MISTRAL),
        ("<|tool|>{{ tools }}<|/tool|> <|tool_call|> <|/tool_call|>", PHI),
        ('{{ tools }} <|tool_call|>{"name": "f"}<|/tool_call|>', PHI_SINGLE),
        ("<|tool_call|>{{ tools }}", GRANITE),
        ('{{ tools }} {"name": function name, "parameters": dictionary}', LLAMA),
        ("<|python_tag|>", LLAMA),
        ("<tool_call>\n<function=name>", None),
        ("[TOOL_CALLS]name[ARGS]", None),
        ("{{ tools }}", None),
    ],
)
def test_the_format_is_known_from_the_template(template: str, known: CallFormat | None) -> None:
    assert find_format(template) == known
