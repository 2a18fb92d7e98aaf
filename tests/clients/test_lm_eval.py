"""lm-evaluation-harness over local-completions with tasks of our own: what is generated, how likely answers are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.catalog import bundled_folder
from tests.clients.conftest import Running

GENERATE = """
task: notes_generate
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 16, do_sample: false}
metric_list: [{metric: exact_match}]
"""
CHOICE = """
task: notes_choice
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["yes", "no"]
doc_to_target: 0
metric_list: [{metric: acc}]
"""


@pytest.mark.engines
@pytest.mark.parametrize(("name", "task"), [("notes_generate", GENERATE), ("notes_choice", CHOICE)])
def test_a_task(running: Running, tmp_path: Path, name: str, task: str) -> None:
    pytest.importorskip("lm_eval", reason="the package lm-eval is not installed")
    rows = [{"question": f"Notes: Anna sends item {i} to Ben. Who sends?", "answer": "Anna"} for i in range(4)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / f"{name}.yaml").write_text(task.replace("DATA", str(tmp_path / "data.jsonl")))
    words = bundled_folder() / "notes-4m" / "notes-4m-onnx-int4"
    about = f"model={running.chat},base_url={running.url}/completions,num_concurrent=2,max_retries=1,max_length=1024"
    about += f",tokenizer_backend=huggingface,tokenizer={words}"
    command = [sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args", about]
    command += ["--tasks", name, "--include_path", str(tmp_path), "--output_path", str(tmp_path / "out")]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **offline}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(found.read_text())
    assert results["n-samples"][name]["effective"] == len(rows)
