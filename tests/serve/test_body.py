"""Bodies: what is read, under which limits, and what of it the door sees."""

from __future__ import annotations

import json
import math
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from assay.serve import Refused, body
from tests.serve.doorstep import QUICK, Model, open_door, run
from tests.serve.opened import read_answer

NESTED = 100_000
CHAT = "/v1/chat/completions"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
fields = st.dictionaries(text.filter(lambda name: name != "model"), values, max_size=5)


@given(
    before=fields, after=fields, name=text.filter(str.strip), wanted=text, indent=st.sampled_from([None, 1]), ascii_=...
)
def test_naming_another_model_changes_nothing_else(
    before: dict[str, Any], after: dict[str, Any], name: str, wanted: str, indent: int | None, ascii_: bool
) -> None:
    after = {key: value for key, value in after.items() if key not in before}
    raw = json.dumps({**before, "model": name, **after}, indent=indent, ensure_ascii=ascii_).encode()
    parsed = body.parse(raw)
    assert parsed.model == name
    renamed = json.loads(parsed.named(wanted))
    assert renamed == {**before, "model": wanted, **after}
    assert list(renamed) == [*before, "model", *after]
    assert parsed.named(name) is raw
    assert json.loads(raw[parsed.start : parsed.end]) == name
    assert parsed.named(wanted).startswith(raw[: parsed.start])
    assert parsed.named(wanted).endswith(raw[parsed.end :])


@given(fields, text, values, values)
def test_a_field_that_stands_twice_is_refused(others: dict[str, Any], name: str, first: Any, second: Any) -> None:
    others.pop(name, None)
    pairs = [*others.items(), (name, first), (name, second)]
    raw = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
    with pytest.raises(Refused) as refused:
        body.decode(raw.encode())
    assert refused.value.refusal.code == "duplicate_field"
    assert refused.value.refusal.param == name


def strictly(raw: bytes) -> dict[str, Any] | None:
    """What another program reads in it; None for what is to be refused."""

    objects: list[list[tuple[str, Any]]] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        objects.append(pairs)
        return dict(pairs)

    try:
        read = json.loads(raw.decode(), object_pairs_hook=note, parse_constant=lambda _: 1 / 0)
        json.dumps([read, objects], ensure_ascii=False).encode()
    except (ValueError, ZeroDivisionError):
        return None
    if not isinstance(read, dict) or len(read) < len(objects[-1]):
        return None
    out = [value for value in read.values() if type(value) in {int, float} and not -(2**63) <= value < 2**63]
    return None if any(type(value) is int or math.isinf(value) for value in out) else read


@given(
    pairs=st.lists(st.tuples(text, values), max_size=5),
    indent=st.sampled_from([None, 1]),
    at=st.integers(0, 2**16),
    cut=st.integers(0, 2),
    more=st.sampled_from(
        [b"", b'"', b"}", b"{", b"[]", b",", b":", b" ", b"\n", b"\\", b"\\ud800", b"\xff", b"9", b"-", b"e"]
    ),
)
@example(pairs=[("a", 1), ("a", "}    ")], indent=None, at=0, cut=0, more=b"")
@example(pairs=[("a", 1), ("a", 12)], indent=None, at=0, cut=0, more=b"")
@example(pairs=[("a", 1), ("b", 2), ("a", 1)], indent=None, at=0, cut=0, more=b"")
def test_what_is_read_is_what_another_program_reads(
    pairs: list[tuple[str, Any]], indent: int | None, at: int, cut: int, more: bytes
) -> None:
    whole = ",".join(f"{json.dumps(name)}: {json.dumps(value, indent=indent)}" for name, value in pairs)
    raw = f"{{{whole}}}".encode()
    at %= len(raw)
    raw = raw[:at] + more + raw[at + cut :]
    try:
        found = body.decode(raw)
    except Refused:
        assert strictly(raw) is None
        return
    known = strictly(raw)
    assert known is not None
    assert list(found) == list(known)
    for name, value in known.items():
        assert found[name] == (type(value)() if isinstance(value, dict | list) else value)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_refuse(raw: bytes) -> None:
    parsed, status = None, None
    try:
        parsed = body.parse(raw)
    except Refused as refused:
        status = refused.refusal.status
    assert status == 400 if parsed is None else json.loads(raw)["model"] == parsed.model


@pytest.mark.parametrize(
    ("raw", "weight"),
    [
        (b'{"model":"m"}', 1),
        (b'{"model":"m","n":4}', 4),
        (b'{"model":"m","n":4,"prompt":["a","b"]}', 8),
        (b'{"model":"m","prompt":[1,2,3]}', 1),
        (b'{"model":"m","prompt":[[1],[2],[3]]}', 3),
        (b'{"model":"m","prompt":[]}', 1),
        (b'{"model":"m","n":-1,"prompt":"a"}', 1),
        (b'{"model":"m","n":"7"}', 1),
        (b'{"model":"m","n":true}', 1),
        (b'{"model":"m","n":1.5}', 1),
        (b'{"model":"m","prompt": [ "a]" , "\\"]," , "[,"] ,"n":2}', 6),
        (b'{"model":"m","prompt":[[1,2],[3,4]],"user":["a","b"]}', 2),
        (b'{"model":"m","prompt":"[[1],[2]]"}', 1),
        (b'{"model":"m","n":9000000000000000000}', body.MOST_WEIGHT),
        (b'{"model":"m","n":128,"prompt":[' + b'"a",' * 9999 + b'"a"]}', body.MOST_WEIGHT),
    ],
)
def test_weight_is_how_many_generations_a_request_starts(raw: bytes, weight: int) -> None:
    assert body.parse(raw).weight == weight


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"", "empty_body", None),
        (b"{", "invalid_json", None),
        (b"hello", "invalid_json", None),
        (b"[1]", "invalid_json", None),
        (b'"text"', "invalid_json", None),
        (b"null", "invalid_json", None),
        (b"\xef\xbb\xbf{}", "invalid_json", None),
        (b'{"model":"m","a":NaN}', "invalid_json", None),
        (b'{"model":"m","a":Infinity}', "invalid_json", None),
        (b'{"model":"m","a":1e999}', "invalid_json", None),
        (b'{"model":"m","a":"\xff"}', "invalid_json", None),
        (b'{"model":"m","\xff":1}', "invalid_json", None),
        (b'{"model":"m","a":"\\ud800"}', "invalid_json", None),
        (b'{"model":"m"} {}', "invalid_json", None),
        (b'{"model":"m",}', "invalid_json", None),
        (b"[" * NESTED, "invalid_json", None),
        (b'{"a":' * NESTED + b"1" + b"}" * NESTED, "invalid_json", None),
        (b'{"model":"m","a":' + b"[" * 300 + b"]" * 300 + b"}", "invalid_json", None),
        (b'{"model":"m","n":' + b"9" * 300 + b"}", "invalid_value", "n"),
        (b'{"model":"m","n":' + b"9" * 30_000 + b"}", "invalid_json", None),
        (b'{"model":"m","model":"x"}', "duplicate_field", "model"),
        (b'{"model":"m","mod\\u0065l":"x"}', "duplicate_field", "model"),
        (b'{"model":"m","a":1,"a":1}', "duplicate_field", "a"),
        (b"{}", "invalid_value", "model"),
        (b'{"model":null}', "invalid_value", "model"),
        (b'{"model":""}', "invalid_value", "model"),
        (b'{"model":" "}', "invalid_value", "model"),
        (b'{"model":7}', "invalid_value", "model"),
        (b'{"model":["m"]}', "invalid_value", "model"),
        (b'{"model":{"m":1}}', "invalid_value", "model"),
    ],
)
def test_a_body_that_cannot_be_served_is_refused_before_a_model_is_touched(
    raw: bytes, code: str, param: str | None
) -> None:
    async def work() -> None:
        model = Model()
        async with open_door(model) as door:
            status, answer = await door.post(CHAT, raw)
            assert status == 400
            assert (answer["error"]["code"], answer["error"]["param"]) == (code, param)
            assert model.asked == []
            assert door.service.models() == ()

    run(work)


BRACKETS = b'"[[[{{{::: \\\\\\" ]]]}" , "\\\\", '


def nested(levels: int) -> bytes:
    """An object of so many levels, with texts that look like more."""
    inner = (levels - 1) // 2
    deep = BRACKETS * 100 + b'{"a":[' * inner + b"[]" * ((levels - 1) % 2) + b"]}" * inner
    return b'{"model":"m","a":' + deep[len(BRACKETS) * 100 :] + b',"b":[' + BRACKETS * 100 + b"1]}"


@pytest.mark.parametrize("levels", [199, 200, 201, 202])
def test_depth_is_counted_outside_of_texts(levels: int) -> None:
    raw = nested(levels)
    assert json.loads(raw)["model"] == "m"
    if levels <= body.MOST_DEPTH:
        assert body.parse(raw).model == "m"
        return
    with pytest.raises(Refused, match="200 levels deep"):
        body.parse(raw)


@pytest.mark.parametrize("part", [b"[]", b"{}", b'{"a":1}', b'[{"a":[]}]'])
def test_many_arrays_objects_and_names_are_refused(part: bytes) -> None:
    each = part.count(b"[") + part.count(b"{") + part.count(b":")
    fits = (body.MOST_PARTS - 4) // each
    texts = b'"[{:",' * body.MOST_PARTS
    assert body.parse(b'{"model":"m","x":[' + texts + (part + b",") * fits + b"1]}").model == "m"
    for raw in (
        b'{"model":"m","x":[' + (part + b",") * (fits + 1) + b"1]}",
        b'{"model":"m","model":"m","x":[' + (part + b",") * (fits + 1) + b"1]}",
    ):
        with pytest.raises(Refused) as refused:
            body.parse(raw)
        assert (refused.value.refusal.status, refused.value.refusal.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"m","' + b"a" * 2**20 + b'":1}',
        b'{"model":"m","' + b"\\n" * 2**19 + b'":1}',
        b'{"model":"m","prompt":[' + b'"a",' * 2**18 + b'"a"]}',
        b'{"model":"m","prompt":[' + b"1000," * 2**18 + b"1]}",
        b'{"model":"m","x":[' + b"[]," * 2**18 + b"1]}",
        b'{"model":"m","model":"m","x":[' + b"{}," * 2**18 + b"1]}",
        b'{"model":[' + b'"a",' * 2**18 + b"1]}",
        b'{"model":"m","x":"' + "\u00e9".encode() * 2**19 + b'"}',
    ],
    ids=["name", "escapes", "texts", "numbers", "lists", "twice", "model", "text"],
)
def test_to_read_a_body_takes_a_few_times_its_size(raw: bytes) -> None:
    tracemalloc.start()
    try:
        with suppress(Refused):
            kept = body.parse(raw)
            assert kept.model == "m"
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(raw)
    assert now < 50_000


def test_what_is_asked_of_the_service_itself_is_small() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            status, answer = await door.post("/assay/load", b'{"model":"m"' + b" " * body.SMALL + b"}")
            assert (status, answer["error"]["code"]) == (413, "body_too_large")

    run(work)


@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("text/plain", {}, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", {}, "unsupported_media_type"),
        ("multipart/form-data; boundary=x", {}, "unsupported_media_type"),
        ("application/json; charset=utf-16", {}, "unsupported_media_type"),
        ("\xff\xfe", {}, "unsupported_media_type"),
        ("application/json", {"Content-Encoding": "br, zstd"}, "unsupported_encoding"),
    ],
)
def test_only_plain_json_is_taken(kind: str, more: dict[str, str], code: str) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            for path in (CHAT, "/assay/load"):
                status, answer = await door.post(path, b'{"model":"m"}', kind, **more)
                assert (status, answer["error"]["code"]) == (415, code)
            assert (await door.post(CHAT, b'{"model":"m"}', "Application/JSON; charset=UTF-8"))[0] == 200

    run(work)


def test_a_body_over_the_limit_is_refused_by_its_length_and_while_it_comes() -> None:
    async def work() -> None:
        model = Model()
        async with open_door(model, limits=structs.replace(QUICK, body=1000)) as door:
            fits = b'{"model":"m","a":"' + b"x" * 980 + b'"}'
            assert len(fits) == 1000
            assert (await door.post(CHAT, fits))[0] == 200
            status, answer = await door.post(CHAT, fits.replace(b'"}', b'x"}'))
            assert (status, answer["error"]["code"]) == (413, "body_too_large")
            assert "1000 bytes" in answer["error"]["message"]

            async def pieces() -> Any:
                for _ in range(20):
                    yield b" " * 100

            sent = {"Content-Type": "application/json"}
            async with door.client.post(door.url + CHAT, data=pieces(), headers=sent) as got:
                assert got.status == 413
            assert len(model.asked) == 1

    run(work)


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def work() -> None:
        async with open_door(Model(), limits=structs.replace(QUICK, read_s=0.2)) as door:
            reader, writer = await door.begin(CHAT, "Content-Length: 100", body=b"{")
            answer = await read_answer(reader)
            assert (answer.status, answer.code) == (408, "request_timeout")
            writer.close()
            await writer.wait_closed()

    run(work)


def test_a_broken_chunked_body_is_refused() -> None:
    async def work() -> None:
        model = Model()
        async with open_door(model) as door:
            reader, writer = await door.begin(CHAT, "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n")
            answer = await read_answer(reader)
            assert answer.status == 400
            assert model.asked == []
            writer.close()
            await writer.wait_closed()

    run(work)
