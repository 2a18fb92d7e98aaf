"""What loads took is remembered by many processes at once, and found in spite of damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.json import encode

from assay.errors import StoreError
from assay.store.observed import RECENT, Observations
from assay.types import Observation

SEEN = Observation(
    engine="llamacpp",
    engine_version="1",
    digest="d",
    context_length=4096,
    slots=1,
    peak=100,
    when="2026-01-01T00:00:00Z",
)


def remembered(path: Path, *peaks: int, **changes: object) -> Observations:
    observations = Observations(path)
    for peak in peaks:
        observations.remember(structs.replace(SEEN, peak=peak, **changes))
    return observations


def peak(observations: Observations, **changes: object) -> int | None:
    wanted = structs.replace(SEEN, **changes)
    found = observations.find(*wanted.key)
    return found.peak if found else None


def test_nothing_is_known_before_the_first(tmp_path: Path) -> None:
    assert peak(Observations(tmp_path / "none" / "observed.jsonl")) is None
    assert not (tmp_path / "none").exists()


def test_the_largest_is_found(tmp_path: Path) -> None:
    assert peak(remembered(tmp_path / "deep" / "observed.jsonl", 100, 300, 200)) == 300


def test_what_was_long_ago_does_not_count(tmp_path: Path) -> None:
    assert peak(remembered(tmp_path / "o.jsonl", 900, *[100] * RECENT)) == 100


@pytest.mark.parametrize(
    "other",
    [
        {"engine": "x"},
        {"engine_version": None},
        {"digest": "x"},
        {"context_length": None},
        {"context_length": 8192},
        {"slots": 4},
    ],
)
def test_only_just_that_load_counts(tmp_path: Path, other: dict[str, object]) -> None:
    observations = remembered(tmp_path / "o.jsonl", 100)
    assert peak(observations, **other) is None
    remembered(tmp_path / "o.jsonl", 700, **other)
    assert (peak(observations), peak(observations, **other)) == (100, 700)


def test_a_line_that_was_cut_off_spoils_neither_itself_nor_the_next(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    observations = remembered(path, 100)
    path.write_bytes(path.read_bytes() + encode(SEEN)[:40])
    assert peak(observations) == 100
    remembered(path, 200)
    assert peak(observations) == 200


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_damaged_lines_are_passed_over(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    path = tmp_path_factory.mktemp("damaged") / "o.jsonl"
    observations = remembered(path, 100)
    path.write_bytes(path.read_bytes() + damage + b"\n")
    remembered(path, 200)
    assert peak(observations) == 200


PROGRAM = """
import sys
from pathlib import Path
from assay.store.observed import Observations
from assay.types import Observation
observations = Observations(Path(sys.argv[1]))
for peak in range(200):
    observations.remember(Observation(engine="e" * 300, engine_version="1", digest=sys.argv[2], context_length=1,
                                      slots=1, peak=peak, when=""))
"""


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), name]) for name in "abc"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    lines = [line for line in path.read_text().splitlines() if line]
    assert len(lines) == 600
    for name in "abc":
        found = Observations(path).find("e" * 300, "1", name, 1, 1)
        assert found is not None
        assert found.peak == 199


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be remembered") as caught:
        remembered(tmp_path / "file" / "o.jsonl", 1)
    assert caught.value.remedy


COUNTED = """
import sys
from pathlib import Path
from assay.store.observed import Observations
opened = []
sys.addaudithook(lambda event, told: opened.append(told[0]) if event == "open" and told[0] == sys.argv[1] else None)
observations = Observations(Path(sys.argv[1]))
for name in range(200):
    observations.find("llamacpp", "1", str(name), 4096, 1)
print(len(opened))
"""


def test_a_list_of_many_models_reads_the_file_once(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    remembered(path, 100)
    done = subprocess.run([sys.executable, "-c", COUNTED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
