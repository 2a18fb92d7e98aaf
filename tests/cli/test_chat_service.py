"""``model run``, ``load`` and ``unload`` through a real service, which is left as it was found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from assay.app.service_client import need_service
from assay.catalog import bundled_folder
from tests.cli.conftest import ROOT

pytest.importorskip("pty", reason="this system has no pseudo-terminals")

from tests.cli.terminal import AtTerminal

pytestmark = pytest.mark.engines
ASK = ("--prompt", "Who is going?", "--max-tokens", "4")


class Assay(NamedTuple):
    """The command with a home of its own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        home, user = self.folder / "home", self.folder / "user"
        own = {"ASSAY_HOME": str(home), "HOME": str(user), "ASSAY_SERVE_PORT": "0", "PYTHONPATH": str(ROOT / "src")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "XDG_"))}
        return {**kept, **own}

    def __call__(self, *words: str, code: int = 0, folder: Path | None = None) -> str:
        """What it said, both streams."""
        told = subprocess.run(
            [sys.executable, "-m", "assay", *words],
            cwd=folder or self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert told.returncode == code, told
        return told.stdout + told.stderr

    def loaded(self) -> dict[str, Any]:
        """The models that are up, by id."""
        rows = need_service(self.folder / "home").models()
        return {row["id"]: row for row in rows if row["state"] == "ready"}


@pytest.fixture(scope="module")
def assay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assay]:
    command = Assay(tmp_path_factory.mktemp("served"))
    command("service", "start", "--route", "fast=nosuch,notes-0.5m,notes-4m")
    yield command
    state = json.loads((command.folder / "home" / "service" / "state.json").read_text(encoding="utf-8"))
    service = psutil.Process(state["pid"])
    left = [service, *service.children(recursive=True)]
    command("service", "stop")
    _, alive = psutil.wait_procs(left, timeout=30)
    assert alive == []


def test_one_answer_leaves_the_service_as_it_was(assay: Assay) -> None:
    told = assay("model", "run", "notes-4m", *ASK, "--verbose")
    assert "in the service at http://127.0.0.1:" in told
    assert " (it was running); found in " in told
    assert assay.loaded() == {}


def test_retain_and_ttl_leave_the_model_loaded(assay: Assay) -> None:
    assay("model", "run", "notes-4m", *ASK, "--retain")
    told = json.loads(assay("model", "run", "notes-1.5m", *ASK, "--ttl", "90", "-o", "json"))
    assert told["where"].startswith("the service at ")
    assert told["context_length"] == 2048
    assert told["load_s"] > 0
    loaded = assay.loaded()
    assert set(loaded) == {"notes-4m:q8_0", "notes-1.5m:q8_0"}
    assert loaded["notes-1.5m:q8_0"]["expires_s"] <= 90 < loaded["notes-4m:q8_0"]["expires_s"]

    assay("model", "run", "notes-4m", *ASK)
    assert "notes-4m:q8_0" in assay.loaded(), "it was there before"
    for name in ("notes-4m", "notes-1.5m"):
        assay("model", "unload", name)
    assert assay.loaded() == {}


def test_load_and_unload(assay: Assay) -> None:
    assert "notes-0.5m:q8_0 on llamacpp: ready, loaded in " in assay("model", "load", "notes-0.5m", "--ttl", "60")
    assert set(assay.loaded()) == {"notes-0.5m:q8_0"}
    assert json.loads(assay("model", "unload", "notes-0.5m", "-o", "json")) == {"unloaded": ["notes-0.5m:q8_0"]}
    assert "notes-0.5m is not loaded" in assay("model", "unload", "notes-0.5m")
    assert "there is no model 'nosuch'" in assay("model", "load", "nosuch", code=2)


def test_a_fallback_list_of_the_service_is_a_name_too(assay: Assay) -> None:
    told = json.loads(assay("model", "run", "Fast", *ASK, "-o", "json"))
    assert (told["variant"], told["engine"], told["context_length"]) == ("notes-0.5m:q8_0", "llamacpp", 2048)
    assert told["reasons"] == ["the first of the service's list Fast that can be had"]
    assert told["where"].startswith("the service at ")
    assert told["sample"]["error"] is None
    assert assay.loaded() == {}
    assay("model", "run", "fast", *ASK, "--retain")
    assay("model", "run", "fast", *ASK)
    assert set(assay.loaded()) == {"notes-0.5m:q8_0"}, "it was there before"
    assay("model", "unload", "notes-0.5m")
    refused = assay("model", "run", "fast", *ASK, "--ctx", "512", code=2)
    assert "fast is a fallback list of the service\n  why: --ctx: the service loads models in its own way" in refused
    assert "faster" in assay("model", "run", "faster", *ASK, code=2)


def test_a_model_whose_file_is_replaced_answers_as_the_new_one(assay: Assay) -> None:
    file = assay.folder / "mine-q8_0.gguf"
    home = assay.folder / "home"
    (home / "models.json").write_text(json.dumps([{"alias": "mine", "path": str(file)}]), encoding="utf-8")
    said = []
    for name in ("notes-0.5m", "notes-4m"):
        shutil.copy(bundled_folder() / name / f"{name}-q8_0.gguf", file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)
        told = json.loads(assay("model", "run", "mine", "--prompt", "Who is going?", "--retain", "-o", "json"))
        assert told["where"].startswith("the service at ")
        said.append(told["sample"]["text"])
    expected = json.loads(assay("model", "run", "notes-4m", "--prompt", "Who is going?", "-o", "json"))
    assert said[1] == expected["sample"]["text"] != said[0]
    assay("model", "unload", "mine")
    (home / "models.json").unlink()
    assert assay.loaded() == {}


def test_a_chat_goes_over_to_a_fallback_list(assay: Assay) -> None:
    words = ["-m", "assay", "model", "run", "notes-4m", "--max-tokens", "20"]
    with AtTerminal(words, assay.environment, assay.folder) as terminal:
        terminal.wait("notes-4m:q8_0 on llamacpp")
        terminal.ask("/model fast")
        terminal.wait("notes-0.5m:q8_0 on llamacpp")
        terminal.ask("Who is going?")
        terminal.wait("the answer is cut after 20 tokens")
        assert set(assay.loaded()) == {"notes-0.5m:q8_0"}
        terminal.ask("/exit")
        assert terminal.ended() == 0
    assert assay.loaded() == {}


def test_what_the_service_cannot_do_runs_in_a_process_of_its_own(assay: Assay) -> None:
    told = assay("model", "run", "notes-4m", *ASK, "--ctx", "512", "--verbose")
    assert "in a process of its own (--ctx: the service loads models in its own way)" in told
    refused = assay("model", "run", "notes-4m", *ASK, "--ctx", "512", "--retain", code=2)
    assert "--retain needs the service to keep notes-4m:q8_0 loaded" in refused
    assert assay.loaded() == {}


def test_a_list_that_the_service_does_not_read_is_used_all_the_same(assay: Assay, tmp_path: Path) -> None:
    model = str(bundled_folder() / "notes-4m" / "notes-4m-q4_0.gguf")
    (tmp_path / "models.json").write_text(json.dumps({"models": [{"alias": "mine", "path": model}]}), encoding="utf-8")
    told = assay("model", "run", "mine", *ASK, "--verbose", folder=tmp_path)
    assert "in a process of its own (there is no model 'mine" in told


def test_a_chat_goes_through_the_service_and_outlives_it(assay: Assay) -> None:
    words = ["-m", "assay", "model", "run", "notes-4m", "--verbose", "--max-tokens", "20"]
    with AtTerminal(words, assay.environment, assay.folder) as terminal:
        terminal.wait("notes-4m:q8_0 on llamacpp")
        terminal.ask("Who is going?")
        terminal.wait("of 2,048")
        assert terminal.children() == []
        assert set(assay.loaded()) == {"notes-4m:q8_0"}
        assay("service", "stop")
        terminal.ask("And who else?")
        terminal.wait("does not answer")
        terminal.ask("/model notes-4m")
        terminal.wait("in a process of its own")
        terminal.ask("And who else?")
        terminal.wait("of 2,048")
        assay("service", "start")
        terminal.ask("/model notes-1.5m")
        terminal.wait("notes-1.5m:q8_0 on llamacpp")
        terminal.ask("/exit")
        assert terminal.ended() == 0
    assert assay.loaded() == {}


def test_without_a_service_load_says_how_to_start_one(tmp_path: Path) -> None:
    for action in ("load", "unload"):
        assert "assay service start" in Assay(tmp_path)("model", action, "notes-4m", code=1)
