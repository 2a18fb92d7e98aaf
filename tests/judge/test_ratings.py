from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadRatings
from assay.judge import read_ratings, write_ratings
from assay.types import Candidate, Machine, Prompt, RequestError, RunData, RunRecord, Sample, Variant, Workload

MACHINE = Machine(system="Linux", release="6", arch="x86_64", cpu="cpu", cores=4)


def run(*texts: str) -> RunData:
    """A run whose samples 1, 2, ... gave these texts to prompt ``p``; sample 0 is a warm-up, the last one failed."""
    record = RunRecord(
        id="r",
        created="2026-11-22T07:15:01Z",
        assay="0.1.0",
        workload=Workload(prompts=(Prompt(id="p", prompt="=SUM(1)?"),)),
        machine=MACHINE,
        candidates=(Candidate(variant=Variant(id="m:q8", alias="m", format="gguf", source="x"), engine="e"),),
    )
    warmup = Sample(i=0, variant="m:q8", engine="e", prompt="p", round=0, phase="warmup", text="warm")
    samples = [
        Sample(i=i, variant="m:q8", engine="e", prompt="p", round=i, phase="measure", text=text)
        for i, text in enumerate(texts, start=1)
    ]
    failed = Sample(
        i=len(texts) + 1,
        variant="m:q8",
        engine="e",
        prompt="p",
        round=9,
        phase="measure",
        error=RequestError(kind="timeout", message="late"),
    )
    return RunData(record=record, samples=(warmup, *samples, failed))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, rows: list[dict[str, str]], *, delimiter: str = ",", encoding: str = "utf-8-sig") -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def written(tmp_path: Path, data: RunData) -> tuple[Path, list[dict[str, str]]]:
    path = tmp_path / "ratings.csv"
    write_ratings(path, data)
    return path, rows_of(path)


def test_the_sheet_has_a_row_for_each_distinct_output(tmp_path: Path) -> None:
    path, rows = written(tmp_path, run("one", "two", "one"))
    assert path.read_bytes().startswith(b"\xef\xbb\xbfsample,model,engine,prompt_id,prompt,output,fluency,")
    assert [(row["sample"], row["model"], row["engine"], row["prompt_id"], row["output"]) for row in rows] == [
        ("1", "m:q8", "e", "p", "one"),
        ("2", "m:q8", "e", "p", "two"),
    ]
    assert {row[name] for row in rows for name in ("fluency", "relevance", "correctness")} == {""}


def test_an_unfilled_sheet_gives_no_scores(tmp_path: Path) -> None:
    data = run("one", "two")
    path, _ = written(tmp_path, data)
    assert read_ratings(path, data) == []


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), (";", "cp1252"), ("\t", "utf-16")]
)
def test_a_filled_sheet_as_spreadsheets_save_it(tmp_path: Path, delimiter: str, encoding: str) -> None:
    data = run("caf\u00e9; one, \u201ctwo\u201d\nlines", "two")
    path, rows = written(tmp_path, data)
    rows[0] |= {"fluency": "5", "correctness": "2,5" if delimiter == ";" else "2.5"}
    rows[1] |= {"relevance": " 1 "}
    rows.append(dict.fromkeys(rows[0], ""))
    fill(path, rows, delimiter=delimiter, encoding=encoding)
    scores = read_ratings(path, data, who="ann")
    assert [(s.sample, s.criterion, s.raw, s.value) for s in scores] == [
        (1, "fluency", 5.0, 1.0),
        (1, "correctness", 2.5, 0.375),
        (2, "relevance", 1.0, 0.0),
    ]
    assert {(s.judge, s.who) for s in scores} == {("person", "ann")}


def test_json_goes_there_and_back(tmp_path: Path) -> None:
    data = run("one", "=2")
    path = tmp_path / "ratings.json"
    assert write_ratings(path, data) == 2
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert rows[1]["output"] == "=2"
    assert rows[0]["fluency"] is None
    rows[1]["relevance"] = 4
    path.write_text(json.dumps(rows), encoding="utf-8")
    [score] = read_ratings(path, data)
    assert (score.sample, score.criterion, score.raw, score.value) == (2, "relevance", 4.0, 0.75)


DANGEROUS = st.sampled_from(["=", "+", "-", "@", "\t", "\r", "'", "'=", "\uff1d"])


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), DANGEROUS | st.just(""))
def test_no_output_becomes_a_formula_and_each_is_read_back(text: str, start: str) -> None:
    data = run(start + text)
    with tempfile.TemporaryDirectory() as folder:
        path, rows = written(Path(folder), data)
        assert not rows[0]["output"].startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))
        assert rows[0]["prompt"].startswith("'=")
        rows[0]["fluency"] = "3"
        fill(path, rows)
        assert [score.raw for score in read_ratings(path, data)] == [3.0]


def test_a_sheet_that_lost_its_guard_is_read_too(tmp_path: Path) -> None:
    data = run("=1+1")
    path, rows = written(tmp_path, data)
    rows[0] |= {"output": "=1+1", "fluency": "2"}
    fill(path, rows)
    assert len(read_ratings(path, data)) == 1


@pytest.mark.parametrize("cell", ["0", "6", "5.1", "0.9", "nan", "five", "-3", "1e0", "\u0663\u0663", "3 of 5", "1_0"])
def test_what_is_no_rating_is_refused_at_its_place(tmp_path: Path, cell: str) -> None:
    data = run("two\nlines", "two")
    path, rows = written(tmp_path, data)
    rows[1]["relevance"] = cell
    fill(path, rows)
    with pytest.raises(BadRatings, match="line 4, column relevance"):
        read_ratings(path, data)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sample": "77"}, "column sample: the run has no sample '77'"),
        ({"sample": "0"}, "no sample '0'"),
        ({"sample": "3"}, "no sample '3'"),
        ({"sample": "2"}, "rated already in line 2"),
        ({"output": "improved"}, "column output: this is not what sample 1"),
    ],
)
def test_rows_that_are_not_the_runs_are_refused(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    data = run("one", "two")
    path, [first, second] = written(tmp_path, data)
    rows = [second | {"fluency": "3"}, first | {"fluency": "3"} | changes]
    if changes.get("sample") == "2":
        rows[1]["output"] = "two"
    fill(path, rows)
    with pytest.raises(BadRatings) as caught:
        read_ratings(path, data)
    assert "line 3" in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize("gone", ["sample", "output", "correctness"])
def test_missing_columns_are_named(tmp_path: Path, gone: str) -> None:
    data = run("one")
    path, rows = written(tmp_path, data)
    fill(path, [{name: cell for name, cell in row.items() if name != gone} for row in rows])
    with pytest.raises(BadRatings, match=f"line 1: no column '{gone}'"):
        read_ratings(path, data)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("r.csv", b"", "no column 'sample'"),
        ("r.json", b"[", "no JSON"),
        ("r.json", b'{"sample": 1}', "list of objects"),
        ("r.json", b'[{"sample": 1}]', "entry 1: no column 'output'"),
        ("r.csv", b"sample,output,fluency,relevance,correctness\n1," + b"x" * 140_000, "line 2: this is no CSV"),
    ],
)
def test_files_that_are_no_sheet(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadRatings) as caught:
        read_ratings(path, run("one"))
    assert says in caught.value.message


def test_a_filled_sheet_is_never_overwritten(tmp_path: Path) -> None:
    data = run("one")
    path, _ = written(tmp_path, data)
    before = path.read_bytes()
    with pytest.raises(BadRatings, match="there already"):
        write_ratings(path, data)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "says"), [("r.xlsx", "ends in .csv"), ("gone/r.csv", "cannot write")])
def test_where_no_sheet_can_be_written(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(BadRatings) as caught:
        write_ratings(tmp_path / name, run("one"))
    assert says in str(caught.value)


def test_nothing_to_rate(tmp_path: Path) -> None:
    with pytest.raises(BadRatings, match="no output"):
        write_ratings(tmp_path / "r.csv", run())
    with pytest.raises(BadRatings, match="cannot read"):
        read_ratings(tmp_path / "r.csv", run())


def test_a_json_sheet_may_hold_numbers_of_any_kind(tmp_path: Path) -> None:
    data = run("one")
    path = tmp_path / "r.json"
    row: dict[str, Any] = {"sample": 1, "output": "one", "fluency": 4.5, "relevance": None, "correctness": ""}
    path.write_text(json.dumps([row]), encoding="utf-8")
    assert [score.raw for score in read_ratings(path, data)] == [4.5]
