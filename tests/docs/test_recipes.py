"""Every recipe of docs/recipes.md, run as it stands there, in order, in one folder; and that it does what it says."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import assay
from tests.docs.blocks import ROOT, blocks, clean_environment

FILE = ROOT / "docs" / "recipes.md"
RECIPES = {block.mark.removeprefix("recipe: "): block for block in blocks(FILE) if block.mark.startswith("recipe: ")}
COLUMNS = ["Model", "Avg Latency (s)", "p95 (s)", "Tokens/sec", "Rounds", "First Token (s)"]
SIMPLE = {"alias", "rounds", "latency_avg", "latency_p95", "tokens_per_sec_avg", "first_token_latency_avg"}
Told = subprocess.CompletedProcess[str]


class Kitchen:
    """One folder in which recipes are run, each once and after those that stand before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".assay"
        self._told: dict[str, Told] = {}

    def after(self, name: str) -> Told:
        """What the recipe said, once it and all before it have been run."""
        for recipe in RECIPES:
            if recipe not in self._told:
                self._told[recipe] = self.run(recipe)
            if recipe == name:
                return self._told[recipe]
        raise AssertionError(f"no recipe {name}")

    def run(self, name: str) -> Told:
        """Run one recipe, whatever was run before."""
        block = RECIPES[name]
        return self.python(block.body) if block.language == "python" else self.shell(block.body)

    def shell(self, body: str) -> Told:
        """Run lines of bash as ``.ci/run`` would."""
        return self._run(["bash", "-euo", "pipefail", "-c", body])

    def python(self, body: str) -> Told:
        """Run lines of Python."""
        return self._run([sys.executable, "-c", body])

    def _run(self, command: list[str]) -> Told:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = clean_environment(dict(os.environ)) | {"PATH": path, "ASSAY_HOME": str(self.home)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    return Kitchen(tmp_path_factory.mktemp("recipes"))


def test_no_recipe_is_forgotten() -> None:
    tested = {name.removeprefix("test_recipe_") for name in globals() if name.startswith("test_recipe_")}
    assert tested == set(RECIPES)
    runnable = [block for block in blocks(FILE) if block.language in {"sh", "python"} and not block.mark]
    assert len(runnable) == 6, "only what needs a server or a package of the reader's own stays unmarked"


def test_recipe_environment(kitchen: Kitchen) -> None:
    told = kitchen.after("environment")
    assert told.returncode == 0, told.stderr
    assert told.stdout == ""
    document = json.loads((kitchen.folder / "bench.json").read_text(encoding="utf-8"))
    assert [model["alias"] for model in document["models"]] == ["notes-0.5m", "notes-1.5m"]
    for model in document["models"]:
        assert model.keys() >= SIMPLE
        assert model["rounds"] == 3
        assert (model["status"], model["engine"]) == ("measured", "llamacpp")
        figures = model["figures"]
        assert model["latency_avg"] == pytest.approx(figures["e2e_mean"]["value"])
        assert model["first_token_latency_avg"] == pytest.approx(figures["ttft_mean"]["value"])
        assert 0 < model["first_token_latency_avg"] <= model["latency_avg"] <= model["latency_p95"]
        assert {"value", "low", "high", "n", "enough"} <= figures["e2e_p50"].keys()
    run = assay.load(document["run"]["id"], home=kitchen.home)
    assert run.data.record.workload.stream
    assert run.data.record.workload.decoding.max_tokens == 48
    measured = [s for s in run.data.samples if s.phase == "measure" and s.variant == "notes-0.5m:q8_0"]
    assert len(measured) == 3
    totals = [(s.prompt_tokens or 0) + (s.output_tokens or 0) for s in measured]
    rates = [total / (s.e2e or 1) for total, s in zip(totals, measured, strict=True)]
    assert document["models"][0]["tokens_per_sec_avg"] == pytest.approx(sum(rates) / len(rates))


def test_a_bench_fails_only_when_every_model_failed(kitchen: Kitchen) -> None:
    dead = "http://127.0.0.1:9/v1"
    models = [{"alias": "gone", "endpoint": dead, "model": "x"}, {"alias": "notes-0.5m", "source": "notes-0.5m"}]
    (kitchen.folder / "half.json").write_text(json.dumps({"models": models}), encoding="utf-8")
    common = "--prompt Hello. --rounds 1 --max-tokens 4 --name failing -o json"
    half = kitchen.shell(f"assay bench --config half.json {common}")
    assert half.returncode == 0, half.stderr
    rows = {model["alias"]: model for model in json.loads(half.stdout)["models"]}
    assert (rows["gone"]["status"], rows["gone"]["latency_avg"]) == ("failed", None)
    assert "connection" in rows["gone"]["reason"]
    assert rows["notes-0.5m"]["status"] == "measured"
    none = kitchen.shell(f"BENCH_MODELS=x assay bench --endpoint {dead} {common}")
    assert none.returncode == 3
    assert none.stdout == ""
    assert "no candidate could be measured" in none.stderr


def test_recipe_config(kitchen: Kitchen) -> None:
    told = kitchen.after("config")
    assert told.returncode == 0, told.stderr
    run = assay.load(_id_in(told.stdout), home=kitchen.home)
    assert [candidate.variant.alias for candidate in run.data.record.candidates] == ["notes-0.5m", "notes-1.5m"]
    assert [prompt.id for prompt in run.data.record.workload.prompts] == ["p001", "decided"]
    assert {score.criterion for score in run.data.scores} == {"regex"}


def test_recipe_deterministic(kitchen: Kitchen) -> None:
    first = kitchen.after("deterministic")
    assert first.returncode == 0, first.stderr
    results, timings = (kitchen.folder / "baseline" / name for name in ("results.json", "timings.json"))
    before, timed = results.read_bytes(), timings.read_bytes()
    document = json.loads(before)
    assert _sorted(document)
    assert "ttft" not in before.decode()
    again = kitchen.run("deterministic")
    assert again.returncode == 0, again.stderr
    assert results.read_bytes() == before
    assert timings.read_bytes() != timed


def test_recipe_simple(kitchen: Kitchen) -> None:
    told = kitchen.after("simple")
    assert told.returncode == 0, told.stderr
    lines = (kitchen.folder / "benchmark_report.md").read_text(encoding="utf-8").splitlines()
    header = lines.index("| " + " | ".join(COLUMNS) + " |")
    assert lines[header + 2].startswith("| notes-0.5m |")
    assert any(line.lstrip("# ").startswith("Highlights") for line in lines)
    assert told.stdout.splitlines() == lines[:3]
    rows = list(csv.DictReader(_lines(kitchen.folder / "benchmark_report.csv")))
    assert [list(row) for row in rows] == [COLUMNS]
    assert float(rows[0]["Avg Latency (s)"]) > 0


def test_recipe_unmeasured(kitchen: Kitchen) -> None:
    told = kitchen.after("unmeasured")
    assert told.returncode == 0, told.stderr
    first, second, choice = told.stdout.splitlines()
    assert first.startswith("notes-4m: fits")
    assert second.startswith("giant: does not fit")
    assert choice.startswith("choice: notes-4m")
    assert "Nothing was measured" in choice
    json_told = kitchen.shell("assay choose --task chat --config wanted.json -o json")
    found = json.loads(json_told.stdout)
    assert (found["measured"], found["choice"]) == (False, "notes-4m")
    assert [entry["fits"] for entry in found["entries"]] == [True, False]


def test_recipe_policy(kitchen: Kitchen) -> None:
    told = kitchen.after("policy")
    assert told.returncode == 0, told.stderr
    assert "notes-0.5m:q8_0" in told.stdout
    (kitchen.folder / "strict.toml").write_text('[require]\npeak_memory = "1kB"\n', encoding="utf-8")
    none = kitchen.shell("assay choose latest --policy strict.toml")
    assert none.returncode == 1
    assert "peak_memory" in none.stdout


def test_recipe_ratings(kitchen: Kitchen) -> None:
    told = kitchen.after("ratings")
    assert told.returncode == 0, told.stderr
    run = assay.load(_id_in(told.stdout), home=kitchen.home)
    people = [score for score in run.data.scores if score.judge == "person"]
    answers = len(list(csv.reader(_lines(kitchen.folder / "ratings.csv")))) - 1
    assert answers > 0
    assert len(people) == 3 * answers
    assert {(score.criterion, score.raw, score.value) for score in people} == {
        ("fluency", 4, 0.75), ("relevance", 5, 1.0), ("correctness", 3, 0.5),
    }  # fmt: skip


def test_recipe_reports(kitchen: Kitchen) -> None:
    told = kitchen.after("reports")
    assert told.returncode == 0, told.stderr
    page = (kitchen.folder / "report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert json.loads((kitchen.folder / "report.json").read_text(encoding="utf-8"))["models"]
    pictures = list((kitchen.folder / "charts").iterdir())
    assert {path.suffix for path in pictures} == {".svg", ".png"}
    for path in pictures:
        start = {".svg": b"<svg", ".png": b"\x89PNG"}[path.suffix]
        assert path.read_bytes().startswith(start)


def test_recipe_python(kitchen: Kitchen) -> None:
    told = kitchen.after("python")
    assert told.returncode == 0, told.stderr
    assert "notes-0.5m:q8_0 @ llamacpp" in told.stdout
    assert "e2e_p50" in told.stdout
    assert (kitchen.folder / "python.html").is_file()


def test_recipe_serve(kitchen: Kitchen) -> None:
    try:
        told = kitchen.after("serve")
        assert told.returncode == 0, told.stderr
        answer = json.loads((kitchen.folder / "answer.json").read_text(encoding="utf-8"))
        assert answer["model"] == "notes-4m:q8_0"
        assert answer["choices"][0]["message"]["content"]
        (row,) = [line for line in told.stdout.splitlines() if line.startswith("notes-4m:q8_0 ")]
        assert row.split()[1:3] == ["ready", "llamacpp"]
        assert told.stdout.splitlines()[-1].startswith("the service has stopped")
    finally:
        kitchen.shell("assay service stop --now || true")


def _lines(path: Path) -> io.StringIO:
    return io.StringIO(path.read_bytes().decode(), newline="")


def _id_in(text: str) -> str:
    line = next(line for line in text.splitlines() if line.startswith("Run: "))
    return line.removeprefix("Run: ").split()[0]


def _sorted(value: Any) -> bool:
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(_sorted, value.values()))
    return all(map(_sorted, value)) if isinstance(value, list) else True
