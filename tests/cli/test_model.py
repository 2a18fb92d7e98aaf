"""Models by name on the command line: found, fetched through a hub server, verified, asked; and bad days of that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.catalog import bundled_folder, curated
from tests.cli.conftest import Command, Told
from tests.hub.running import Server, running

ROOT = Path(__file__).parents[2]
TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hub with one model in GGUF, ONNX and safetensors, one that nothing here runs, and one behind terms."""
    root, ours = tmp_path_factory.mktemp("hub"), bundled_folder()
    gguf = root / "acme" / "Tiny-GGUF"
    gguf.mkdir(parents=True)
    shutil.copy(ours / "notes-0.5m" / "notes-0.5m-q8_0.gguf", gguf / "tiny-Q8_0.gguf")
    shutil.copy(ours / "notes-4m" / "notes-4m-q4_0.gguf", gguf / "tiny-Q4_0.gguf")
    described = {"tags": ["gguf", "license:apache-2.0", "base_model:acme/Tiny"], "pipeline_tag": "text-generation"}
    (gguf / ".repo.json").write_text(json.dumps(described), encoding="utf-8")
    shutil.copytree(ours / "notes-4m" / "notes-4m-onnx-int4", root / "acme" / "Tiny-ONNX" / "cpu-int4")
    shutil.copytree(ours / "notes-0.5m" / "notes-0.5m-safetensors", root / "acme" / "Tiny")
    pickles = root / "acme" / "Pickled"
    pickles.mkdir()
    (pickles / "config.json").write_text("{}", encoding="utf-8")
    (pickles / "pytorch_model.bin").write_bytes(b"PK\x03\x04 no weights")
    gated = root / "acme" / "Gated-GGUF"
    gated.mkdir()
    shutil.copy(gguf / "tiny-Q8_0.gguf", gated / "gated-Q8_0.gguf")
    (gated / ".repo.json").write_text(json.dumps({"gated": "manual", "tags": ["gguf"]}), encoding="utf-8")
    known = next(entry for entry in curated() if entry.alias == "qwen2.5-0.5b")
    alias = root / known.gguf[0]
    alias.mkdir(parents=True)
    shutil.copy(gguf / "tiny-Q8_0.gguf", alias / "qwen2.5-0.5b-instruct-q8_0.gguf")
    with running(root, token=TOKEN) as server:
        yield server


@pytest.fixture
def assay(hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Command) -> Iterator[Command]:
    """Call the command in this process with a home that holds nothing yet; the hub is sound and its log empty."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "fresh"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.clear()
    yield call
    hub.clear()


def listed(told: Told) -> list[str]:
    return [row["id"] for row in json.loads(told.out)]


@pytest.mark.engines
def test_from_a_name_to_an_answer_in_one_command(hub: Server, assay: Command, tmp_path: Path) -> None:
    told = assay("model", "run", "hf:acme/Tiny-GGUF", "--prompt", "Who is going?", "--max-tokens", "8", "--verbose")
    assert told.code == 0, told.err
    assert told.out.strip()
    assert "ran tiny:q8_0 on llamacpp" in told.err
    assert "it has to be fetched" in told.err
    before = len(hub.log("*.gguf"))
    again = assay("model", "run", "tiny", "--prompt", "Who is going?", "--max-tokens", "8", "-o", "json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["sample"]["text"].strip() == told.out.strip()
    assert len(hub.log("*.gguf")) == before, "what is here is not fetched again"


@pytest.mark.engines
def test_from_an_alias_to_an_answer_in_one_command(assay: Command) -> None:
    told = assay("model", "run", "qwen2.5-0.5b-instruct", "--prompt", "Who is going?", "--max-tokens", "8")
    assert told.code == 0, told.err
    assert told.out.strip()
    info = assay("model", "info", "qwen2.5-0.5b")
    assert "apache-2.0 (permissive)" in info.out
    assert "by download" in info.out


@pytest.mark.engines
def test_a_prompt_may_come_from_standard_input(hub: Server, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "assay", "model", "run", "notes-0.5m", "--max-tokens", "4"],
        input="Who is going?", capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        env={**os.environ, "ASSAY_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip()


def test_download_takes_the_best_and_only_its_files(hub: Server, assay: Command, tmp_path: Path) -> None:
    told = assay("model", "download", "hf:acme/Tiny-GGUF", "hf:acme/Tiny-ONNX")
    assert told.code == 0, told.err
    assert [line.partition(":")[0] for line in told.out.splitlines()] == ["tiny", "tiny"]
    assert [
        entry["path"].rpartition("/")[2] for entry in hub.log("*.gguf", method="GET") if entry["range"] is None
    ] == ["tiny-Q8_0.gguf"]
    rows = listed(assay("model", "list", "--cached", "--variants", "--filter", "alias=tiny", "-o", "json"))
    assert sorted(rows) == ["tiny:onnx-int4-cpu", "tiny:q8_0"]


def test_a_quantisation_can_be_named(assay: Command) -> None:
    assert assay("model", "download", "hf:acme/Tiny-GGUF:q4_0").code == 0
    assert listed(assay("model", "list", "--cached", "--filter", "alias=tiny", "-o", "json")) == ["tiny:q4_0"]
    told = assay("model", "download", "hf:acme/Tiny-GGUF:q5_k_m")
    assert told.code == 2
    assert "q8_0" in told.err


def test_prefetch_reads_names_from_a_file(assay: Command, tmp_path: Path) -> None:
    names = tmp_path / "models.txt"
    names.write_text("# for the plane\nhf:acme/Tiny-GGUF:q4_0  # small\n\nhf:acme/Tiny-ONNX\n", encoding="utf-8")
    told = assay("model", "prefetch", str(names))
    assert told.code == 0, told.err
    assert len(told.out.splitlines()) == 2
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n", encoding="utf-8")
    assert assay("model", "prefetch", str(empty)).code == 2


def test_info_tells_what_runs_and_why(assay: Command) -> None:
    told = assay("model", "info", "hf:acme/Tiny-GGUF", "-v")
    assert told.code == 0, told.err
    for part in ("runs        tiny:q8_0 on llamacpp", "apache-2.0 (permissive)", "made from   acme/Tiny", "tiny:q4_0"):
        assert part in told.out
    rows = json.loads(assay("model", "info", "hf:acme/Tiny-GGUF", "-o", "json").out)
    assert rows["runs"] == "tiny:q8_0"
    assert rows["variants"][0]["estimate"]["weights"] > 0


def test_more_context_takes_more_memory(assay: Command) -> None:
    small, large = (
        json.loads(assay("model", "info", "hf:acme/Tiny-GGUF", "--ctx", ctx, "-o", "json").out)["variants"][0]
        for ctx in ("128", "2048")
    )
    assert small["estimate"]["cache"] < large["estimate"]["cache"]


@pytest.mark.parametrize("count", ["0", "-3", "x", "1.5", ""])
def test_no_requests_at_once_are_no_number(assay: Command, count: str) -> None:
    told = assay("model", "list", "--parallel", count)
    assert (told.code, told.out) == (2, "")
    assert "1 or more" in told.err


def test_a_checkpoint_alone_is_told_to_be_compiled(assay: Command) -> None:
    told = assay("model", "run", "hf:acme/Tiny", "--prompt", "x")
    assert told.code == 2
    assert "assay model compile" in told.err


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("hf:acme/Pickled", 2, "pickle"),
        ("hf:acme/Tinny-GGUF", 2, "acme/Tiny-GGUF"),
        ("qwen2.5-0.5", 2, "qwen2.5-0.5b"),
        ("hf:acme/Gated-GGUF", 3, "HF_TOKEN"),
        ("acme/Tiny-GGUF", 2, "hf:acme/Tiny-GGUF"),
        ("hf:nonsense", 2, "hf:owner/name"),
    ],
)
def test_a_name_that_cannot_be_fetched_says_why(assay: Command, name: str, code: int, said: str) -> None:
    told = assay("model", "download", name)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
    assert "  try: " in told.err
    assert "Traceback" not in told.err


def test_a_token_opens_what_is_gated_and_is_shown_nowhere(
    assay: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = assay("model", "download", "hf:acme/Gated-GGUF", "--token", "hf_wrong0wrong0wrong0")
    assert wrong.code == 3
    assert "hf_wrong" not in wrong.err + wrong.out
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    right = assay("model", "download", "hf:acme/Gated-GGUF")
    assert right.code == 0, right.err
    assert TOKEN not in right.err + right.out
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in content for content in kept)


def test_a_hub_that_a_project_names_is_not_told_who_you_are(
    hub: Server, assay: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "assay.toml").write_text(f'[hub]\naddress = "{hub.url}"\n', encoding="utf-8")
    assert assay("model", "download", "hf:acme/Tiny-GGUF").code == 0
    assert not any(entry["authorization"] for entry in hub.log())


def test_offline_asks_nobody(hub: Server, assay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = assay("model", "download", "hf:acme/Tiny-GGUF")
    assert told.code == 3
    assert "HF_HUB_OFFLINE" in told.err
    assert hub.log() == []
    told = assay("model", "info", "qwen2.5-0.5b")
    assert told.code == 0
    assert "not asked" in told.out


def test_a_wrong_byte_is_never_accepted(hub: Server, assay: Command) -> None:
    hub.fault("wrong", "tiny-Q8_0.gguf", times=None, at=100_000, length=1)
    told = assay("model", "download", "hf:acme/Tiny-GGUF:q8_0")
    assert told.code == 3
    assert listed(assay("model", "list", "--cached", "--filter", "alias=tiny", "-o", "json")) == []
    hub.clear()
    assert assay("model", "download", "hf:acme/Tiny-GGUF:q8_0").code == 0


def test_list_has_the_columns_that_people_know(assay: Command) -> None:
    head = assay("model", "list").out.splitlines()[0]
    assert head.split("  ")[0] == "Alias"
    for column in ("Device", "Task", "File Size", "License", "Model ID", "Fits"):
        assert column in head
    told = assay("model", "list", "--filter", "colour=red")
    assert told.code == 2
    assert "device" in told.err
    assert "no model is like that" in assay("model", "list", "--search", "zzzzz").out


def test_every_alias_of_the_courses_resolves(assay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for alias in (
        "phi-4-mini", "phi-3.5-mini", "qwen2.5-0.5b", "qwen2.5-7b-instruct", "mistral-7b", "gemma-2-2b", "llama-3.2",
        "deepseek-r1-distill-qwen-7b", "deepseek-coder-1.3b",
    ):  # fmt: skip
        assert assay("model", "info", alias).code == 0, alias


def test_the_project_and_the_user_have_lists_of_their_own(assay: Command, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text('[{"name": "mine", "source": "hf:acme/Tiny-GGUF:q4_0"}]', encoding="utf-8")
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "models.json").write_text('{"theirs": {"source": "notes-4m"}, "mine": {}}', encoding="utf-8")
    aliases = [row["alias"] for row in json.loads(assay("model", "list", "-o", "json").out)]
    assert aliases[:2] == ["mine", "theirs"]
    assert assay("model", "download", "mine").code == 0
    assert listed(assay("model", "list", "--cached", "--filter", "alias=mine", "-o", "json")) == ["mine:q4_0"]
    (tmp_path / "models.json").write_text("not json", encoding="utf-8")
    told = assay("model", "list", "--cached")
    assert told.code == 0
    assert "models.json is not JSON" in told.err


def test_import_links_a_file(assay: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "Mine-Q8_0.gguf"
    file.parent.mkdir()
    shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", file)
    told = assay("model", "import", str(file), "--alias", "mine")
    assert told.code == 0, told.err
    assert "1 file linked" in told.out
    assert listed(assay("model", "list", "--cached", "--filter", "alias=mine", "-o", "json")) == ["mine:q8_0"]
    assert assay("cache", "verify").code == 0
    assert assay("cache", "remove", "mine").code == 0
    assert file.is_file(), "a link's target stays"


def test_import_refuses_pickles_and_says_how_to_convert(assay: Command, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"\x80\x02}q\x00.")
    told = assay("model", "import", str(tmp_path / "weights.pt"))
    assert told.code == 2
    assert "save_pretrained" in told.err


def test_import_without_a_path_tells_what_there_is(assay: Command) -> None:
    told = assay("model", "import")
    assert told.code == 0
    assert "no other program's models were found" in told.out


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("model pull", "model download"),
        ("model rm", "cache remove"),
        ("pull", "model download"),
        ("rm", "cache remove"),
        ("list", "model list"),
        ("show", "model info"),
    ],
)
def test_other_runners_words_print_ours(assay: Command, theirs: str, ours: str) -> None:
    told = assay(*theirs.split(), "x")
    assert told.code == 2
    assert f"assay {ours}" in told.err
