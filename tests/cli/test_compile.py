"""A checkpoint becomes variants on the command line: proven, kept or refused, listed, and not made twice."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from assay.cli import main
from tests.cli.conftest import Told

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "gguf")),
        reason="the extra compile is not installed",
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def assay(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> Told:
    capsys.readouterr()
    code = main([*words, "--home", str(home)])
    captured = capsys.readouterr()
    return Told(code, captured.out, captured.err)


def test_a_product_that_lost_too_much_is_refused_and_the_other_kept(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    words = ("model", "compile", "notes-0.5m", "--precision", "q8_0,q4_0", "--max-kl", "0.05", "--alias", "mine")
    told = assay(capsys, home, *words)
    assert told.code == 1, told.err
    table = told.out.splitlines()
    assert [(row.split()[0], row.split()[-1]) for row in table[1:3]] == [
        ("mine:q8_0", "passed"),
        ("mine:q4_0", "refused"),
    ]
    assert "mean KL divergence" in told.out
    kept = json.loads(assay(capsys, home, "cache", "list", "-o", "json").out)["models"]
    assert [one["stored"]["variant"]["id"] for one in kept] == ["mine:q8_0"]
    assert (home / "models" / "aside" / "mine--q4_0" / "proof.json").is_file()
    assert "mine:q4_0" not in assay(capsys, home, "model", "list", "--variants").out
    assert not (home / "models" / "compiling").exists()


def test_the_proof_stands_with_the_model_and_the_model_runs(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    told = assay(capsys, home, "model", "info", "mine")
    for part in ("what its making lost", "of greedy tokens are equal", "nats mean KL", "check       records", "gate"):
        assert part in told.out
    answer = assay(capsys, home, "model", "run", "mine", "--prompt", "Who will go?", "--max-tokens", "8")
    assert answer.code == 0, answer.err
    assert answer.out.strip()


def test_what_is_here_is_not_made_again(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    before = (home / "models" / "records" / "mine--q8_0.json").stat().st_mtime_ns
    told = assay(capsys, home, "model", "compile", "notes-0.5m", "--precision", "int8", "--alias", "mine", "-o", "json")
    assert told.code == 0
    (made,) = json.loads(told.out)
    assert made["seconds"] is None
    assert made["stored"]["variant"]["id"] == "mine:q8_0"
    assert (home / "models" / "records" / "mine--q8_0.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("notes-0.5m", "--precision", "int3"), "int3"),
        (("notes-0.5m", "--to", "onnx", "--precision", "fp16"), "fp16"),
        (("notes-0.5m", "--min-agreement", "2"), "--min-agreement"),
        (("notes-4m",), "no checkpoint in safetensors"),
        (("nowhere/at/all",), "nowhere/at/all"),
    ],
)
def test_what_cannot_be_compiled_says_why(
    capsys: pytest.CaptureFixture[str], home: Path, words: tuple[str, ...], said: str
) -> None:
    told = assay(capsys, home, "model", "compile", *words)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "  try: " in told.err
