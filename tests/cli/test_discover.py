"""What is new, on the command line: found, folded, kept for the next look, measured, written down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.catalog import bundled_folder, read_registry
from tests.cli.conftest import Command, Told
from tests.hub.running import Server, running

NOW = datetime.now(UTC)


def repository(root: Path, name: str, age_days: float, **described: object) -> Path:
    """A repository with a small GGUF file that came so many days ago."""
    folder = root / name
    folder.mkdir(parents=True)
    shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", folder / f"{folder.name}-Q8_0.gguf")
    when = (NOW - timedelta(days=age_days)).isoformat().replace("+00:00", "Z")
    told = {"created": when, "modified": when, "pipeline_tag": "text-generation", "downloads": 5000, "likes": 9}
    (folder / ".repo.json").write_text(json.dumps(told | described), encoding="utf-8")
    (folder / "README.md").write_text("# A model\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hub where one model came yesterday with a permissive licence, one without a licence, one long ago."""
    root = tmp_path_factory.mktemp("hub")
    repository(root, "acme/Fresh-GGUF", 1, tags=["gguf", "license:mit", "base_model:quantized:acme/Fresh"])
    repository(root, "acme/Unlicensed-GGUF", 2, tags=["gguf"])
    repository(root, "acme/Old-GGUF", 300, tags=["gguf", "license:mit"])
    with running(root) as server:
        yield server


@pytest.fixture
def assay(hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Command) -> Iterator[Command]:
    """Call the command in this process with a home of its own."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.clear()
    yield call
    hub.clear()


def found(told: Told) -> list[str]:
    return [find["id"] for find in json.loads(told.out)["found"]["finds"]]


def test_what_came_since_is_shown_with_how_to_fetch_it(assay: Command) -> None:
    told = assay("discover", "--since", "7d", "--licence", "permissive", "--fits", "-o", "json")
    assert told.code == 0, told.err
    assert found(told) == ["acme/Fresh", "acme/Old-GGUF"], "what trends is shown whatever its age"
    text = assay("discover", "--since", "7d", "--licence", "permissive", "-v")
    assert "hf:acme/Fresh-GGUF:q8_0" in text.out
    assert "acme/Unlicensed-GGUF" in text.out.partition("left out")[2]


def test_a_second_look_shows_only_what_is_new(assay: Command) -> None:
    assert assay("discover").code == 0
    again = assay("discover")
    assert again.code == 1
    assert "nothing new" in again.out
    assert assay("discover", "--since", "7d").code == 0, "an explicit time shows it all again"


def test_a_look_that_failed_moves_nothing(hub: Server, assay: Command, tmp_path: Path) -> None:
    hub.fault("status", "/api/models", times=None, code=503, retry_after="3600")
    told = assay("discover")
    assert told.code == 3
    assert not (tmp_path / "home" / "discover.json").exists()
    hub.clear()
    assert assay("discover").code == 0


def test_what_was_found_is_kept_in_a_list_and_a_digest(assay: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"kept": {"size_mb": 1}}', encoding="utf-8")
    told = assay("discover", "--since", "7d", "--to", "mine.json", "--digest", "week.md")
    assert told.code == 0, told.err
    entries = {entry.alias: entry for entry in read_registry(tmp_path / "mine.json").entries}
    assert "kept" in entries
    assert entries["fresh"].source == "hf:acme/Fresh-GGUF:q8_0"
    assert assay("discover", "--since", "7d", "--to", "mine.json").code == 0
    assert len(read_registry(tmp_path / "mine.json").entries) == len(entries), "nothing is added twice"
    week = (tmp_path / "week.md").read_text(encoding="utf-8")
    assert "assay model download hf:acme/Fresh-GGUF:q8_0" in week


@pytest.mark.engines
def test_the_first_can_be_measured_at_once(assay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PROMPT", "Who will go?")
    monkeypatch.setenv("BENCH_MAX_TOKENS", "4")
    told = assay("discover", "--since", "7d", "--licence", "permissive", "--bench", "1", "-o", "json")
    assert told.code == 0, told.err
    run = json.loads(told.out)["run"]
    assert run is not None
    assert "fresh:q8_0 @ llamacpp" in assay("run", "show", run).out.replace("\n", " ")


@pytest.mark.parametrize(
    "words",
    [
        ("--since", "soon"),
        ("--max-size", "big"),
        ("--since", "2999-01-01"),
        ("--limit", "x"),
        ("--limit", "0"),
        ("--bench", "-1"),
    ],
)
def test_bad_wishes_say_what_would_do(assay: Command, words: tuple[str, str]) -> None:
    told = assay("discover", *words)
    assert (told.code, told.out) == (2, "")
    assert "  try: " in told.err


def test_a_result_file_that_cannot_be_written_is_refused_before_the_look(
    hub: Server, assay: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for words in (("--digest", "file/week.md"), ("--to", "."), ("--digest", str(tmp_path))):
        told = assay("discover", *words)
        assert (told.code, told.out) == (2, "")
        assert "cannot be written" in told.err
    assert hub.log() == []
    assert not (tmp_path / "home" / "discover.json").exists(), "nothing counts as seen"


def test_a_look_whose_time_cannot_be_kept_is_shown_all_the_same(assay: Command, tmp_path: Path) -> None:
    (tmp_path / "home" / "discover.json").mkdir(parents=True)
    told = assay("discover", "--since", "7d", "-o", "json")
    assert told.code == 0, told.err
    assert "acme/Fresh" in found(told)
    assert "the next look will show the same again" in told.err
