from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from assay.errors import RunNotFound
from assay.runs import create, find, list_runs, new_id
from assay.types import RunRecord

OLD, MIDDLE, NEW = "20261120-100000-aaaa", "20261122-071501-4f2a", "20261122-071501-4f2b"


@pytest.fixture
def home(tmp_path: Path, record: RunRecord) -> Path:
    for run_id, name in ((OLD, "baseline"), (NEW, "twice"), (MIDDLE, "twice")):
        create(tmp_path, msgspec.structs.replace(record, id=run_id, name=name, status="complete")).close()
    return tmp_path


def test_ids_sort_by_time_and_are_in_utc() -> None:
    now = datetime(2026, 11, 22, 8, 15, 1, tzinfo=timezone(timedelta(hours=1)))
    fresh = new_id(now)
    assert re.fullmatch(r"20261122-071501-[0-9a-f]{4}", fresh)
    assert fresh < new_id(now + timedelta(seconds=1)) < new_id()
    assert new_id().startswith(datetime.now(UTC).strftime("%Y"))


def test_ids_of_one_second_differ() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert len({new_id(now) for _ in range(50)}) > 40


def test_runs_are_listed_newest_first(home: Path) -> None:
    assert [(run.id, run.status) for run in list_runs(home)] == [
        (NEW, "complete"),
        (MIDDLE, "complete"),
        (OLD, "complete"),
    ]


def test_one_bad_run_hides_no_other(home: Path) -> None:
    (home / MIDDLE / "run.json").write_text("{")
    (home / "20261125-000000-0000").mkdir()
    (home / "notes.txt").write_text("mine")
    listed = list_runs(home)
    assert [run.id for run in listed] == [NEW, MIDDLE, OLD]
    assert listed[1].status == "damaged"
    assert "cannot be read" in str(listed[1].problem)


def test_a_run_without_its_process_is_interrupted(tmp_path: Path, record: RunRecord) -> None:
    with create(tmp_path, record):
        assert [run.status for run in list_runs(tmp_path)] == ["running"]
    assert [run.status for run in list_runs(tmp_path)] == ["interrupted"]


@pytest.mark.parametrize(
    ("text", "run_id"),
    [
        ("latest", NEW),
        (OLD, OLD),
        ("20261120", OLD),
        (MIDDLE, MIDDLE),
        ("20261122-071501-4f2b", NEW),
        ("baseline", OLD),
    ],
)
def test_a_run_is_found(home: Path, text: str, run_id: str) -> None:
    assert find(home, text) == home / run_id


def test_a_run_is_found_by_its_path(home: Path, tmp_path: Path) -> None:
    path = home / OLD
    assert find(tmp_path / "elsewhere", str(path)) == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("20261122", [NEW, MIDDLE]),
        ("twice", [NEW, MIDDLE]),
        ("basline", ["did you mean baseline?"]),
        ("20261120-100000-aaab", [OLD]),
        ("zzz", ["assay run list"]),
        ("", ["assay run list"]),
    ],
)
def test_what_is_not_found_gets_help(home: Path, text: str, says: list[str]) -> None:
    with pytest.raises(RunNotFound) as caught:
        find(home, text)
    assert all(words in str(caught.value.remedy) for words in says)


def test_there_may_be_no_runs_at_all(tmp_path: Path) -> None:
    assert list_runs(tmp_path) == []
    with pytest.raises(RunNotFound, match="there are no runs"):
        find(tmp_path, "latest")
