"""The examples in docs/files.md are read by the program's own readers and agree with its schemas."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import msgspec

from assay.decide import FIGURES, parse_policy, policy_schema
from assay.judge import vet
from assay.measure import read_prompts
from assay.measure.prompts import prompts_schema
from assay.settings import SETTINGS, resolve
from assay.types import Expect, Sample, Score
from tests.docs.blocks import ROOT, blocks

FILE = ROOT / "docs" / "files.md"
TEXT = FILE.read_text(encoding="utf-8")


def _under(heading: str, language: str) -> list[str]:
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [block.body for block in blocks(FILE) if block.language == language and block.body in section]


def test_the_prompts_are_read_and_every_check_can_be_used(tmp_path: Path) -> None:
    (example,) = _under("prompts.json", "json")
    (tmp_path / "prompts.json").write_text(example, encoding="utf-8")
    prompts = read_prompts(tmp_path / "prompts.json")
    assert [prompt.id for prompt in prompts] == ["p001", "capital", "actions", "pros"]
    vet(prompts)
    jsonschema.validate(json.loads(example), json.loads(prompts_schema()))
    lines = "\n".join(json.dumps(entry) for entry in json.loads(example))
    (tmp_path / "prompts.jsonl").write_text(lines, encoding="utf-8")
    assert read_prompts(tmp_path / "prompts.jsonl") == prompts


def test_every_check_is_told_and_no_other() -> None:
    table = TEXT.partition("| field | right when |")[2].partition("\n\n")[0]
    told = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == set(Expect.__struct_fields__)


def test_the_policy_is_read() -> None:
    (example,) = _under("policy.toml", "toml")
    policy = parse_policy(example)
    assert {limit.figure: (limit.op, limit.bound) for limit in policy.limits} == {
        "peak_memory": ("<=", 4e9),
        "ttft_p95": ("<=", 0.5),
        "decode_tps": (">=", 20),
        "quality": (">=", 0.7),
        "quality.json_schema": (">=", 0.9),
    }
    assert (policy.objective, policy.confidence, policy.concurrency) == ("quality", 0.95, 1)
    jsonschema.validate(tomllib.loads(example), policy_schema())


def test_every_figure_stands_in_the_table_with_its_direction() -> None:
    table = TEXT.partition("| figure | unit |")[2].partition("<!--")[0]
    rows = [row.split("|") for row in table.splitlines()[2:]]
    told = {name: row[3].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert told == {name: what.better for name, what in FIGURES.items()}


def test_the_settings_are_read_and_every_one_is_shown(tmp_path: Path) -> None:
    (example,) = _under("assay.toml and config.toml", "toml")
    (tmp_path / "assay.toml").write_text(example, encoding="utf-8")
    settings = resolve({"home": tmp_path / "home"}, {}, tmp_path)
    assert settings.models == ("notes-0.5m", "notes-1.5m")
    assert settings.policy == tmp_path / "policy.toml"
    assert (settings.timeout_s, settings.context_length) == (60, 4096)
    shown = {f"{head}.{key}" for head, table in tomllib.loads(example).items() for key in table}
    named = set(re.findall(r"`((?:bench|choose|engine|serve)\.\w+)`", TEXT))
    assert shown | named == {setting.key for setting in SETTINGS}


def test_every_variable_is_told() -> None:
    heard = {name for setting in SETTINGS for name in setting.env}
    table = TEXT.partition("| variable | sets |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z_]+)`", table)) >= heard | {"ASSAY_HOME", "OPENAI_API_KEY", "API_KEY"}


def test_the_lines_of_a_run_are_read() -> None:
    sample, score = _under("A run's folder", "json")
    read = msgspec.json.decode(sample, type=Sample, strict=True)
    assert set(json.loads(sample)) <= set(Sample.__struct_fields__)
    assert len(read.chunk_ns) == len(read.chunk_chars)
    assert sum(read.chunk_chars) == len(read.text)
    assert msgspec.json.decode(score, type=Score).sample == read.i
    assert set(json.loads(score)) <= set(Score.__struct_fields__)
