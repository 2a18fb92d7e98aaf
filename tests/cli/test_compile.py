"""A checkpoint becomes variants on the command line: proven, kept or refused, listed, and not made twice."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from assay import compile as room
from assay.app.compiling import fillable
from assay.catalog.bundled import bundled_folder, bundled_prompts
from assay.cli import main
from assay.types import Silent
from tests.cli.conftest import Told

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "gguf")),
        reason="the extra compile is not installed",
    ),
]
SOURCE = bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Flags for a proof of few questions and little text, and limits that suit figures of so little."""
    folder = tmp_path_factory.mktemp("proof")
    questions = json.loads(bundled_prompts().read_bytes())[:4]
    (folder / "prompts.json").write_text(json.dumps(questions))
    (folder / "text.txt").write_text("The meeting was short, and it was raining.\n\nMax will buy the short mirror.")
    wide = ("--max-kl", "1", "--max-perplexity-rise", "1", "--min-agreement", "0.5")
    return ("--prompts", str(folder / "prompts.json"), "--text", str(folder / "text.txt"), *wide)


def assay(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> Told:
    capsys.readouterr()
    code = main([*words, "--home", str(home)])
    captured = capsys.readouterr()
    return Told(code, captured.out, captured.err)


def started(home: Path, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own, where Ctrl-C counts even if it does not for whoever runs the tests."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from assay.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "model", "compile", *words, "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def listed(capsys: pytest.CaptureFixture[str], home: Path) -> dict[str, Any]:
    """What is in the store, by id."""
    models = json.loads(assay(capsys, home, "cache", "list", "-o", "json").out)["models"]
    return {one["stored"]["variant"]["id"]: one["stored"] for one in models}


def test_a_product_that_lost_too_much_is_refused_and_the_other_kept(
    capsys: pytest.CaptureFixture[str], home: Path, quick: tuple[str, ...]
) -> None:
    words = ("notes-0.5m", "--precision", "q8_0,q4_0", "--alias", "mine", *quick, "--max-kl", "0.005")
    told = assay(capsys, home, "model", "compile", *words)
    assert told.code == 1, told.err
    table = told.out.splitlines()
    assert [(row.split()[0], row.split()[-1]) for row in table[1:3]] == [
        ("mine:q8_0", "passed"),
        ("mine:q4_0", "refused"),
    ]
    assert "mean KL divergence" in told.out
    assert list(listed(capsys, home)) == ["mine:q8_0"]
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


def test_what_was_ended_in_the_middle_goes_on_with_what_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: tuple[str, ...]
) -> None:
    words = ("notes-0.5m", "--precision", "q8_0", "--precision", "f16", *quick)
    made = tmp_path / "models" / "compiling" / "made" / "notes-0.5m-q8_0"
    for end in (signal.SIGKILL, signal.SIGINT) if sys.platform != "win32" else (signal.SIGTERM,):
        process = started(tmp_path, *words)
        until = time.monotonic() + 120
        while not any(child.name() for child in asking(process)) or not made.is_dir():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(end)
        process.communicate(timeout=60)
        assert process.returncode != 0
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []
        assert listed(capsys, tmp_path) == {}
    told = assay(capsys, tmp_path, "model", "compile", *words, "-o", "json")
    assert told.code == 0, told.err
    assert [(one["variant"]["id"], one["seconds"] is None) for one in json.loads(told.out)] == [
        ("notes-0.5m:q8_0", True),
        ("notes-0.5m:f16", False),
    ]
    assert sorted(listed(capsys, tmp_path)) == ["notes-0.5m:f16", "notes-0.5m:q8_0"]
    assert not (tmp_path / "models" / "compiling").exists()


def asking(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process that runs the original, where it runs."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "assay.compile.reference_process" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def test_two_at_once_make_each_product_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: tuple[str, ...]
) -> None:
    both = [started(tmp_path, "notes-0.5m", "--precision", "q8_0", *quick, "-o", "json") for _ in range(2)]
    told = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    times = [json.loads(out)[0]["seconds"] for out, _ in told]
    assert sum(seconds is None for seconds in times) == 1
    assert list(listed(capsys, tmp_path)) == ["notes-0.5m:q8_0"]


def test_a_checkpoint_that_changed_is_compiled_anew(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: tuple[str, ...]
) -> None:
    source = tmp_path / "tuned"
    shutil.copytree(SOURCE, source)
    words = ("model", "compile", str(source), "--precision", "q8_0", *quick, "-o", "json")
    (first,) = json.loads(assay(capsys, tmp_path / "home", *words).out)
    weights = source / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(content)
    (second,) = json.loads(assay(capsys, tmp_path / "home", *words).out)
    assert second["seconds"] is not None
    assert second["proof"]["original_digest"] != first["proof"]["original_digest"]
    kept = listed(capsys, tmp_path / "home")["tuned:q8_0"]
    assert kept["variant"]["files"] == second["variant"]["files"] != first["variant"]["files"]


def test_a_product_that_its_engine_cannot_load_is_kept_aside_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: tuple[str, ...]
) -> None:
    """What an earlier call finished has been damaged since."""
    work = tmp_path / "models" / "compiling"
    plan = room.plan(room.read_checkpoint(SOURCE, name="mine"), "gguf", ["q8_0"], free_disk=None, free_memory=None)
    (product,) = room.build(plan, work / "made", reporter=Silent(), work=work / "unfinished")
    with Path(product.variant.path or "").open("r+b") as file:
        file.write(b"GGUX")
    words = ("model", "compile", "notes-0.5m", "--precision", "q8_0,q4_0", "--alias", "mine")
    told = assay(capsys, tmp_path, *words, *quick)
    assert told.code == 1
    table = [row.split() for row in told.out.splitlines()[1:3]]
    assert [row[0] for row in table] == ["mine:q8_0", "mine:q4_0"]
    assert [row[-1] for row in table] == ["proof", "passed"]
    aside = tmp_path / "models" / "aside" / "mine--q8_0"
    assert "mine:q8_0" in (aside / "reason.txt").read_text()
    assert f"it is kept in {aside}" in told.out
    assert list(listed(capsys, tmp_path)) == ["mine:q4_0"]


def test_what_an_unfinished_compile_has_taken_counts_as_free_for_the_next(tmp_path: Path) -> None:
    assert fillable(tmp_path, lambda _folder: 100) == 100
    (tmp_path / "compiling" / "made" / "m-q8_0").mkdir(parents=True)
    (tmp_path / "compiling" / "made" / "m-q8_0" / "m-q8_0.gguf").write_bytes(bytes(40))
    assert fillable(tmp_path, lambda _folder: 60) == 100
    assert fillable(tmp_path, lambda _folder: None) is None


def test_a_name_that_another_model_has_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = next((bundled_folder() / "notes-4m").rglob("*.gguf"))
    assert assay(capsys, tmp_path, "model", "import", str(other), "--alias", "mine").code == 0
    for precision in ("q8_0", "q4_0", "f16"):
        words = ("model", "compile", "notes-0.5m", "--precision", precision, "--alias", "Mine")
        told = assay(capsys, tmp_path, *words)
        assert (told.code, told.out) == (2, "")
        assert "another model is here under the name Mine" in told.err
        assert "--alias" in told.err
    assert not (tmp_path / "models" / "compiling").exists()


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from assay.cli import main
sys.exit(main(["model", "compile", "hf:nobody/nothing", "--to", {to!r}, "--home", {home!r}]))
"""


@pytest.mark.parametrize(("to", "blocked"), [("gguf", "transformers"), ("gguf", "gguf"), ("onnx", "torch")])
def test_a_missing_extra_is_told_before_the_hub_is_asked(to: str, blocked: str, tmp_path: Path) -> None:
    code = BLOCKED.format(blocked=blocked, to=to, home=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"compiling to {to} needs {blocked}, which is not installed" in done.stderr
    assert "pip install 'assay[compile]'" in done.stderr


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


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"vision_config": {"hidden_size": 8}}, "has a vision part"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised already (gptq)"),
        ({"architectures": ["FalconForCausalLM"], "model_type": "falcon"}, "family falcon cannot be compiled"),
        ({"num_hidden_layers": 5}, "not a whole qwen3 checkpoint"),
    ],
)
def test_a_checkpoint_of_another_kind_says_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(SOURCE, folder)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    refused(assay(capsys, tmp_path / "home", "model", "compile", str(folder)), said)


@pytest.mark.parametrize(
    ("taken", "put", "said"),
    [
        ("model.safetensors", "pytorch_model.bin", "weights as pickle files only"),
        ("config.json", "adapter_config.json", "holds an adapter, not a model"),
        ("config.json", None, "weights and no config.json"),
    ],
)
def test_a_folder_of_something_else_says_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, taken: str, put: str | None, said: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(SOURCE, folder)
    (folder / taken).rename(folder / put if put else tmp_path / taken)
    refused(assay(capsys, tmp_path / "home", "model", "compile", str(folder)), said)


def refused(told: Told, said: str) -> None:
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "  why: " in told.err
    assert "  try: " in told.err
