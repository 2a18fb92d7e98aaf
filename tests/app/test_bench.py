"""Whole benches through the Python API, on bundled models, real engines and real servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.app import stable_files
from assay.errors import BadInput, EngineUnavailable, NothingMeasured, RunInUse

ROOT = Path(__file__).parents[2]
PROMPTS: list[str | dict[str, Any]] = [
    {
        "id": "decided",
        "prompt": "Note: We agreed to move the launch.\n\nWas a decision made?",
        "expect": {"regex": "."},
    },
    "Note: Mara will send the report by Friday.\n\nList the action items.",
]


@pytest.fixture
def counting_server(tmp_path: Path) -> Iterator[str]:
    program = ROOT / "benchmarks" / "counting_server.py"
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "finished")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


def test_a_bench_measures_scores_and_can_be_chosen_from(tmp_path: Path) -> None:
    run = assay.bench(
        ["notes-0.5m", "notes-1.5m"], prompts=PROMPTS, rounds=2, max_tokens=16, concurrency=(1, 2), home=tmp_path
    )
    record = run.data.record
    assert record.status == "complete"
    assert [candidate.status for candidate in record.candidates] == ["measured", "measured"]
    measured = [sample for sample in run.data.samples if sample.phase == "measure"]
    assert len(measured) == 2 * 2 * 2 * 2
    assert len({sample.key for sample in measured}) == len(measured)
    assert all(sample.token_source == "server" and sample.e2e for sample in measured)
    assert {score.judge for score in run.data.scores} == {"check"}
    assert record.selftest is not None
    assert all(candidate.load_ns for candidate in record.candidates)
    assert {reading.variant for reading in run.data.readings} == {"notes-0.5m:q8_0", "notes-1.5m:q8_0"}
    choice = assay.choose(run)
    assert choice.winner in {candidate.key for candidate in record.candidates}
    assert choice.runs == (run.id,)
    frame = run.to_pandas()
    assert sorted(frame["concurrency"]) == [1, 1, 2, 2]
    assert (frame["peak_memory"] > 1e6).all()
    assert len(run.to_pandas("samples")) == len(run.data.samples)
    assert len(run.to_pandas("scores")) == len(run.data.scores)


def test_a_figure_that_nobody_has_is_a_column_of_a_frame_all_the_same(tmp_path: Path) -> None:
    run = assay.bench("notes-0.5m", prompts=PROMPTS, rounds=1, max_tokens=1, home=tmp_path / "home")
    assert all("decode_tps" not in summary.figures for summary in run.summaries)
    frame = run.to_pandas()
    assert frame["decode_tps"].isna().all()
    assert (frame["e2e_p50"] > 0).all()


def test_reports_come_in_the_form_that_the_suffix_asks_for(tmp_path: Path) -> None:
    run = assay.bench("notes-0.5m", prompts=PROMPTS, rounds=1, max_tokens=4, home=tmp_path / "home")
    html = run.report(tmp_path / "deep" / "report.html").read_text()
    assert html.startswith(("<!doctype html>", "<!DOCTYPE html>"))
    assert "notes-0.5m" in run.report(tmp_path / "report.md").read_text()
    assert json.loads(run.report(tmp_path / "report.json").read_text())["run"]["id"] == run.id
    assert "e2e_p50" in run.report(tmp_path / "report.csv").read_text()
    with pytest.raises(BadInput, match="pdf"):
        run.report(tmp_path / "report.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        run.report(tmp_path / "file" / "report.html")


def test_one_that_fails_is_recorded_and_the_bench_goes_on(tmp_path: Path, counting_server: str) -> None:
    broken = tmp_path / "broken.gguf"
    source = next(candidate for candidate in _bundled() if candidate.endswith("notes-0.5m-q8_0.gguf"))
    content = Path(source).read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    config = tmp_path / "models.json"
    models = [
        {"alias": "nobody", "endpoint": "http://127.0.0.1:9/v1", "model": "x"},
        {"alias": "there", "endpoint": counting_server, "model": "x"},
    ]
    config.write_text(json.dumps({"models": models, "prompts": PROMPTS}))
    run = assay.bench(config=config, rounds=1, home=tmp_path)
    nobody, there = run.data.record.candidates
    assert (nobody.status, there.status) == ("failed", "measured")
    assert "connection" in (nobody.reason or "")
    failed = [sample for sample in run.data.samples if sample.error and sample.error.kind == "connect"]
    assert failed
    choice = run.choose()
    assert choice.winner == there.key
    assert any(verdict.rejected for verdict in choice.verdicts if verdict.variant == "nobody")
    with pytest.raises(BadInput, match="broken"):
        assay.bench(str(broken), prompts=PROMPTS, home=tmp_path)


def test_when_every_candidate_fails_the_reasons_are_told_and_the_run_is_kept(tmp_path: Path) -> None:
    with pytest.raises(NothingMeasured) as caught:
        assay.bench("x", endpoint="127.0.0.1:9", prompts=PROMPTS, rounds=1, home=tmp_path)
    assert "connection" in str(caught.value)
    kept = assay.load(home=tmp_path)
    assert kept.data.record.status == "failed"
    assert kept.choose().winner is None


def test_every_model_of_an_endpoint_is_measured_where_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="does not answer"):
        assay.bench(endpoint="127.0.0.1:9", prompts=PROMPTS, home=tmp_path)


def test_it_runs_inside_a_loop_that_is_running_already(tmp_path: Path, counting_server: str) -> None:
    async def cell() -> assay.Run:
        return assay.bench("x", endpoint=counting_server, prompts=PROMPTS, rounds=1, home=tmp_path)

    assert asyncio.run(cell()).data.record.status == "complete"


def test_answers_at_temperature_0_make_files_that_do_not_change(tmp_path: Path) -> None:
    first, second = (
        assay.bench("notes-0.5m", prompts=PROMPTS, rounds=1, max_tokens=16, seed=seed, home=tmp_path) for seed in (0, 0)
    )
    assert first.id != second.id
    assert stable_files(first)["results.json"] == stable_files(second)["results.json"]
    assert stable_files(first)["timings.json"] != stable_files(second)["timings.json"]


def test_an_interrupt_keeps_what_ended_and_resume_finishes_it(tmp_path: Path, counting_server: str) -> None:
    command = [sys.executable, "-m", "assay", "bench", "x", "--endpoint", counting_server, "--rounds", "400"]
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps(PROMPTS))
    process = subprocess.Popen(
        [*command, "--prompts", str(prompts), "--home", str(tmp_path)], stderr=subprocess.PIPE, start_new_session=True
    )
    samples = _wait_for_samples(tmp_path, 5)
    with pytest.raises(RunInUse):
        assay.resume(home=tmp_path)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr.decode()
    assert b"Traceback" not in stderr
    cut = assay.load(home=tmp_path)
    assert cut.data.record.status == "interrupted"
    assert len(cut.data.samples) >= samples
    whole = assay.resume(home=tmp_path)
    assert whole.data.record.status == "complete"
    keys = [sample.key for sample in whole.data.samples if sample.phase == "measure"]
    assert len(keys) == len(set(keys)) == 400 * 2
    assert whole.data.samples[: len(cut.data.samples)] == cut.data.samples


@pytest.mark.engines
def test_kills_lose_nothing_double_nothing_and_leave_no_engine_behind() -> None:
    program = ROOT / "benchmarks" / "kill.py"
    command = [sys.executable, str(program), "--kills", "6"]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert told.returncode == 0, told.stderr
    assert "none lost" in told.stdout


def _wait_for_samples(home: Path, least: int) -> int:
    for _ in range(600):
        found = list((home / "runs").glob("*/samples.jsonl")) if (home / "runs").is_dir() else []
        count = len(found[0].read_bytes().splitlines()) if found else 0
        if count >= least:
            return count
        time.sleep(0.05)
    raise AssertionError("no samples came")


def _bundled() -> list[str]:
    folder = ROOT / "src" / "assay" / "catalog" / "bundled"
    return [str(path) for path in folder.rglob("*.gguf")]
