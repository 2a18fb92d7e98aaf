"""The store on the command line: listed, verified, moved, removed, pruned; and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from assay.catalog import bundled_folder
from assay.store import Store
from tests.cli.conftest import Command, Told


@pytest.fixture
def assay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Command) -> Command:
    """Call the command in this process; its home has two models: ``one`` linked, ``two`` copied."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name, model in (("one", "notes-0.5m"), ("two", "notes-1.5m")):
        file = tmp_path / "elsewhere" / f"{name}-Q8_0.gguf"
        file.parent.mkdir(exist_ok=True)
        shutil.copy(bundled_folder() / model / f"{model}-q8_0.gguf", file)
        told = call("model", "import", str(file), *(["--copy"] if name == "two" else []))
        assert told.code == 0, told.err
    return call


def ids(told: Told) -> list[str]:
    return [kept["stored"]["variant"]["id"] for kept in json.loads(told.out)["models"]]


def test_list_tells_what_is_owned_and_what_is_linked(assay: Command, tmp_path: Path) -> None:
    told = assay("cache", "list")
    assert told.code == 0
    assert told.out == assay("cache", "ls").out
    assert "one:q8_0" in told.out
    assert str(tmp_path / "home" / "models") in told.out
    kept = {
        one["stored"]["variant"]["alias"]: one for one in json.loads(assay("cache", "list", "-o", "json").out)["models"]
    }
    assert kept["one"]["own"] == 0 < kept["one"]["linked"]
    assert kept["two"]["linked"] == 0 < kept["two"]["own"]


def test_location(assay: Command, tmp_path: Path) -> None:
    assert assay("cache", "location").out.strip() == str(tmp_path / "home" / "models")


def test_damage_is_told_with_both_hashes_and_exit_code_one(assay: Command, tmp_path: Path) -> None:
    assert assay("cache", "verify").code == 0
    file = next((tmp_path / "home" / "models" / "files").rglob("two*.gguf"))
    with file.open("r+b") as opened:
        opened.seek(-5, 2)
        opened.write(b"x")
    told = assay("cache", "verify")
    assert told.code == 1
    assert "damaged (expected " in told.out
    assert "assay cache remove two:q8_0" in told.out
    assert assay("cache", "verify", "one").code == 0


def test_what_is_in_use_is_not_removed(assay: Command, tmp_path: Path) -> None:
    with Store(tmp_path / "home" / "models").hold("two:q8_0"):
        told = assay("cache", "remove", "two")
        assert told.code == 2
        assert "in use" in told.err
    assert assay("cache", "remove", "two").code == 0
    assert ids(assay("cache", "list", "-o", "json")) == ["one:q8_0"]


def test_everything_goes_only_when_that_is_said(assay: Command) -> None:
    told = assay("cache", "remove", "*")
    assert told.code == 2
    assert "--yes" in told.err
    assert assay("cache", "remove", "*", "--yes").code == 0
    assert ids(assay("cache", "list", "-o", "json")) == []
    assert "no models in" in assay("cache", "list").out


def test_an_unknown_name_removes_nothing(assay: Command) -> None:
    told = assay("cache", "remove", "one", "onne")
    assert told.code == 2
    assert "one" in told.err
    assert len(ids(assay("cache", "list", "-o", "json"))) == 2


def test_prune_shows_before_it_removes(assay: Command) -> None:
    told = assay("cache", "prune", "--unused")
    assert told.code == 0
    assert "two:q8_0" in told.out
    assert "give --yes" in told.out
    assert len(ids(assay("cache", "list", "-o", "json"))) == 2
    assert assay("cache", "prune", "--over", "0", "--yes").code == 0
    assert "two:q8_0" not in ids(assay("cache", "list", "-o", "json"))
    assert assay("cache", "prune", "--older-than", "sometime").code == 2
    assert assay("cache", "prune", "--over", "lots").code == 2


@pytest.mark.parametrize("how", ["--move", "--point"])
def test_the_store_can_lie_elsewhere(assay: Command, tmp_path: Path, how: str) -> None:
    asked = assay("cache", "cd", str(tmp_path / "disk"))
    assert asked.code == 2
    assert "--move" in asked.err
    assert "--point" in asked.err
    told = assay("cache", "cd", str(tmp_path / "disk"), how)
    assert told.code == 0, told.err
    assert assay("cache", "location").out.strip() == str(tmp_path / "disk")
    assert len(ids(assay("cache", "list", "-o", "json"))) == (2 if how == "--move" else 0)
    assert assay("cache", "verify").code == 0


def test_the_store_has_a_folder_with_a_name(call: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    told = call("cache", "cd", "", "--point")
    assert told.code == 2
    assert "which folder" in told.err
    assert call("cache", "location").out.strip() == str(tmp_path / "home" / "models")


def test_a_variable_that_would_win_is_told(assay: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_MODELS", str(tmp_path / "set"))
    told = assay("cache", "cd", str(tmp_path / "disk"), "--point")
    assert told.code == 2
    assert "ASSAY_MODELS" in told.err
