from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from assay.decide import DEFAULT_POLICY, FIGURES, parse_policy, policy_schema, read_policy
from assay.decide.amounts import UNITS, parse_amount
from assay.errors import BadPolicy
from assay.types import Limit, Policy

DESIGN = """
[require]                 # a variant that fails one is rejected, and told why
licence = "permissive"    # or a list of SPDX ids
peak_memory = "4GB"
ttft_p95 = "500ms"
decode_tps = ">=20"
quality = ">=0.7"

[prefer]
objective = "quality"     # one objective
tolerance = 0.02          # within this, two are equal, and the next line decides
then = ["e2e_p95", "peak_memory", "disk"]

confidence = 0.9
"""


def limit(text: str) -> Limit:
    [found] = parse_policy(f"[require]\n{text}").limits
    return found


def test_the_policy_of_the_documentation() -> None:
    assert parse_policy(DESIGN) == Policy(
        limits=(
            Limit(figure="peak_memory", op="<=", bound=4e9, text="peak_memory <= 4GB"),
            Limit(figure="ttft_p95", op="<=", bound=0.5, text="ttft_p95 <= 500ms"),
            Limit(figure="decode_tps", op=">=", bound=20.0, text="decode_tps >= 20"),
            Limit(figure="quality", op=">=", bound=0.7, text="quality >= 0.7"),
        ),
        licence="permissive",
        objective="quality",
        tolerance=0.02,
        then=("e2e_p95", "peak_memory", "disk"),
        confidence=0.9,
    )


def test_nothing_given_is_the_default() -> None:
    assert parse_policy("") == DEFAULT_POLICY == Policy()
    assert parse_policy('[prefer]\nobjective = "disk"').then == ("e2e_p95", "peak_memory")


@pytest.mark.parametrize(
    ("text", "op", "bound"),
    [
        ('disk = "512MiB"', "<=", 512 * 2**20),
        ('disk = "1.5 gb"', "<=", 1.5e9),
        ("disk = 1000", "<=", 1000),
        ('e2e_p95 = "1.2s"', "<=", 1.2),
        ('e2e_p95 = " <= 1s "', "<=", 1),
        ("e2e_p95 = 0.25", "<=", 0.25),
        ('load_time = "2 min"', "<=", 120),
        ('gap_p99 = "250\u00b5s"', "<=", 250e-6),
        ('e2e_p50 = ">=100ms"', ">=", 0.1),
        ("throughput = 20", ">=", 20),
        ('decode_tps = "20 tok/s"', ">=", 20),
        ('decode_tps = "<= 90"', "<=", 90),
        ('quality = "70%"', ">=", 0.7),
        ('"quality.answer" = 0.5', ">=", 0.5),
        ("error_rate = 0", "<=", 0),
        ('goodput = "\u2265 0.9"', ">=", 0.9),
        ("total_tps = 5", ">=", 5),
    ],
)
def test_limits(text: str, op: str, bound: float) -> None:
    found = limit(text)
    assert found.op == op
    assert found.bound == pytest.approx(bound)
    assert found.text.startswith(f"{found.figure} {op} ")


@pytest.mark.parametrize(
    "text",
    [
        "confidence = 0.8\nconcurrency = 4\n[prefer]\ntolerance = 0",
        "[prefer]\ntolerance = 0\nconfidence = '80%'\nconcurrency = 4",
    ],
)
def test_confidence_and_concurrency_may_stand_in_either_place(text: str) -> None:
    policy = parse_policy(text)
    assert (policy.confidence, policy.concurrency, policy.tolerance) == (0.8, 4, 0.0)


def test_licences_may_be_listed() -> None:
    assert parse_policy('[require]\nlicence = ["MIT", "Apache-2.0"]').licence == ("MIT", "Apache-2.0")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[require]\n\nx = = 1", ["no TOML", "line 3"]),
        ("requires = 1", ["no requires", "did you mean require?"]),
        ("require = 1", ["must be a table"]),
        ("[prefer]\nobjectives = 1", ["no prefer.objectives", "did you mean objective?"]),
        (
            "[require]\nttft_95 = 1",
            ["ttft_95 is no figure", "did you mean ttft_p95", "known: ttft_mean", "peak_memory"],
        ),
        ("[require]\ntokens_per_chunk = 1", ["is no figure"]),
        ('[require]\nttft_p95 = "4GB"', ["'GB' is no unit here", '"500ms"']),
        ('[require]\nttft_p95 = "fast"', ["'fast' is no amount"]),
        ('[require]\nttft_p95 = ""', ["no amount"]),
        ('[require]\nttft_p95 = "< 1s"', ["no limit", '"<= amount"']),
        ('[require]\nttft_p95 = "1s 2s"', ["no unit"]),
        ("[require]\nttft_p95 = -1", ["no amount from 0 up"]),
        ("[require]\nttft_p95 = nan", ["no amount from 0 up"]),
        ("[require]\nttft_p95 = inf", ["no amount from 0 up"]),
        ("[require]\nttft_p95 = true", ["True is no amount"]),
        ("[require]\nttft_p95 = [1]", ["is no amount"]),
        ("[require]\nquality = 70", ["0..1", "70%"]),
        ("[require]\nlicence = 3", ["is no licence"]),
        ("[require]\nlicence = []", ["is no licence"]),
        ('[prefer]\nobjective = "speed"', ["no figure", "known:"]),
        ("[prefer]\nobjective = 5", ["no figure"]),
        ('[prefer]\nobjective = "total_tps"', ["can't be ranked on", "throughput"]),
        ('[prefer]\nthen = ["disk", "sise"]', ["'sise' is no figure"]),
        ('[prefer]\nthen = "disk"', ["no list"]),
        ("[prefer]\ntolerance = 2", ["prefer.tolerance"]),
        ("confidence = 1", ["nothing is sure"]),
        ("confidence = 0", ["nothing is sure"]),
        ("confidence = 'high'", ["confidence"]),
        ("confidence = 0.9\n[prefer]\nconfidence = 0.9", ["given twice"]),
        ("concurrency = 0", ["no level"]),
        ("concurrency = true", ["no level"]),
    ],
)
def test_what_cannot_be_read_is_named(text: str, says: list[str]) -> None:
    with pytest.raises(BadPolicy) as caught:
        parse_policy(text, "mine.toml")
    assert "mine.toml" in caught.value.message
    assert all(words in str(caught.value) for words in says)


def test_files_are_read_with_a_byte_order_mark_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xef\xbb\xbf" + DESIGN.encode())
    assert read_policy(path) == parse_policy(DESIGN)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadPolicy, match="cannot read"):
        read_policy(path)
    with pytest.raises(BadPolicy, match="cannot read"):
        read_policy(tmp_path / "gone.toml")


@given(st.sampled_from(sorted(UNITS)), st.integers(0, 10**6), st.integers(0, 999), st.data())
def test_every_unit_scales(unit: Any, whole: int, part: int, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(sorted(UNITS[unit])))
    number = f"{whole}.{part:03}"
    if unit == "share":
        number = f"{whole % 100}.{part:03}"
    assert parse_amount(f"{number}{word}", unit) == pytest.approx(float(number) * UNITS[unit][word])
    assert parse_amount(f" {number} {word} ", unit) == parse_amount(f"{number}{word}", unit)


@given(st.text(max_size=12) | st.floats() | st.integers() | st.none() | st.booleans(), st.sampled_from(sorted(UNITS)))
def test_an_amount_is_usable_or_refused(given_: Any, unit: Any) -> None:
    try:
        amount = parse_amount(given_, unit)
    except ValueError:
        return
    assert math.isfinite(amount)
    assert amount >= 0


def test_the_schema_is_one_and_knows_every_figure() -> None:
    schema = policy_schema()
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]["require"]["properties"]) == {*FIGURES, "licence"}
    ranked = schema["$defs"]["figure"]["anyOf"][0]["enum"]
    assert ranked == [name for name, what in FIGURES.items() if what.ranked]
    for name, what in FIGURES.items():
        assert schema["properties"]["require"]["properties"][name] == {"$ref": f"#/$defs/{what.unit}"}


@pytest.mark.parametrize(
    "text",
    [
        DESIGN,
        "",
        'confidence = 0.5\n[require]\nlicence = ["MIT"]\ndisk = "512MiB"\n"quality.answer" = "70%"\nerror_rate = "<=0"',
        '[prefer]\nthen = ["quality.answer"]\nconfidence = "80%"\nconcurrency = 2',
    ],
)
def test_the_schema_takes_what_is_read(text: str) -> None:
    Draft202012Validator(policy_schema()).validate(tomllib.loads(text))
    assert parse_policy(text).confidence > 0


@pytest.mark.parametrize(
    "text",
    [
        "requires = 1",
        "[require]\nttft_95 = 1",
        '[require]\nttft_p95 = "4GB"',
        "[require]\nttft_p95 = -1",
        "[require]\nquality = 70",
        '[prefer]\nobjective = "total_tps"',
        "confidence = 1",
        "concurrency = 0",
    ],
)
def test_the_schema_refuses_what_is_refused(text: str) -> None:
    assert not Draft202012Validator(policy_schema()).is_valid(tomllib.loads(text))
    with pytest.raises(BadPolicy):
        parse_policy(text)
