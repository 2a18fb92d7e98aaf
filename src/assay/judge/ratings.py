"""The quality spot check: a run's outputs as a sheet for a person to fill, and the filled sheet as scores.

Columns: ``sample, model, engine, prompt_id, prompt, output, fluency, relevance, correctness``; the last three are empty
when written, and hold 1 (poor) to 5 (good) when read. CSV as spreadsheets keep it, or JSON: a list of objects.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from assay.errors import BadRatings
from assay.types import RunData, Sample, Score

CRITERIA: Final = ("fluency", "relevance", "correctness")
COLUMNS: Final = ("sample", "model", "engine", "prompt_id", "prompt", "output", *CRITERIA)
_REQUIRED: Final = ("sample", "output", *CRITERIA)

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula; and the apostrophe that keeps it from doing so."""
_NUMBER: Final = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,6})?")


class _Row(NamedTuple):
    """One row of a sheet: where it stands, for people, and its cells as text by column."""

    where: str
    cells: Mapping[str, str]


def write_ratings(path: Path, data: RunData) -> int:
    """Write the sheet (``.csv`` or ``.json``, by the name's ending) and return its number of rows.

    One row for each distinct output of a candidate to a prompt, under the first sample that gave it: equal outputs of
    later rounds need no second reading. Failed requests and warm-ups are left out. An existing file is never
    overwritten, for somebody may have filled it. Raises `BadRatings`.
    """
    rows = [_row(sample, prompts) for prompts in [_prompts(data)] for sample in _distinct(data.samples)]
    if not rows:
        raise BadRatings("the run holds no output to rate", why="no measured request succeeded")
    if path.suffix.casefold() == ".json":
        text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    elif path.suffix.casefold() == ".csv":
        text = "\ufeff" + _to_csv(rows)
    else:
        raise BadRatings(f"cannot write ratings to {path.name}", remedy="give a name that ends in .csv or .json")
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise BadRatings(
            f"{path} is there already", why="it may hold ratings", remedy="give another name, or remove it first"
        ) from error
    except OSError as error:
        raise BadRatings(
            f"cannot write {path}", why=error.strerror, remedy="check the folder and its rights"
        ) from error
    return len(rows)


def read_ratings(path: Path, data: RunData, who: str | None = None) -> list[Score]:
    """Read a filled sheet back as scores of a person: ``raw`` 1..5, ``value`` = (raw - 1) / 4.

    Empty cells are skipped. Commas, semicolons or tabs, a byte-order mark, UTF-16 and the Western code page of
    spreadsheets are understood. Raises `BadRatings` naming line and column for a cell that is no number from 1 to 5, a
    sample that the run does not have or that is rated twice, an output that is not the run's, and missing columns.
    """
    text = _decoded(path)
    rows = list(_json_rows(path, text) if path.suffix.casefold() == ".json" else _csv_rows(path, text))
    samples = {str(sample.i): sample for sample in data.samples if sample.ok and sample.phase == "measure"}
    seen: dict[str, str] = {}
    scores: list[Score] = []
    for row in rows:
        raws = _raws(path, row)
        if not raws:
            continue
        number = row.cells["sample"].strip()
        sample = samples.get(number)
        if sample is None:
            raise _bad(path, row, "sample", f"the run has no sample {number!r} with an output")
        if number in seen:
            raise _bad(path, row, "sample", f"sample {number} is rated already in {seen[number]}")
        if not _same(row.cells["output"], sample.text):
            raise _bad(path, row, "output", f"this is not what sample {number} of the run answered")
        seen[number] = row.where
        scores += [
            Score(sample=sample.i, judge="person", criterion=criterion, value=(raw - 1) / 4, raw=raw, who=who)
            for criterion, raw in raws.items()
        ]
    return scores


def _prompts(data: RunData) -> dict[str, str]:
    return {prompt.id: prompt.prompt for prompt in data.record.workload.prompts}


def _distinct(samples: Iterable[Sample]) -> Iterator[Sample]:
    seen: set[tuple[str, str, str, str]] = set()
    for sample in sorted(samples, key=lambda sample: sample.i):
        same = (sample.variant, sample.engine, sample.prompt, sample.text)
        if sample.ok and sample.phase == "measure" and same not in seen:
            seen.add(same)
            yield sample


def _row(sample: Sample, prompts: Mapping[str, str]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "sample": sample.i,
        "model": sample.variant,
        "engine": sample.engine,
        "prompt_id": sample.prompt,
        "prompt": prompts.get(sample.prompt, ""),
        "output": sample.text,
    }
    return about | dict.fromkeys(CRITERIA)


def _to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_guarded(value) if isinstance(value, str) else value for value in map(row.get, COLUMNS)])
    return sheet.getvalue()


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _same(cell: str, output: str) -> bool:
    """Whether a cell still holds ``output``: with or without the guard, and with any line ends."""
    return _unbroken(cell) in {_unbroken(output), _unbroken(_guarded(output))}


def _unbroken(text: str) -> str:
    return "\n".join(text.splitlines()).strip()


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRatings(f"cannot read {path}", why=error.strerror, remedy="check the name") from error
    try:
        return content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            where, line = f"line {line}", reader.line_num + 1
            if names is None:
                names = [cell.strip().casefold() for cell in cells]
                _need(path, where, names)
            elif any(cell.strip() for cell in cells):
                yield _Row(where, dict.fromkeys(names, "") | dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise BadRatings(
            f"{path}, line {line}: this is no CSV", why=str(error), remedy="save the sheet as CSV, or use .json"
        ) from error
    if names is None:
        _need(path, "line 1", [])


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise BadRatings(f"{path}: this is no JSON", why=str(error)) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadRatings(
            f"{path}: expected a list of objects", remedy="fill the file that was written, and keep its form"
        )
    for number, row in enumerate(rows, start=1):
        where = f"entry {number}"
        _need(path, where, row)
        yield _Row(where, {name: "" if value is None else str(value) for name, value in row.items()})


def _need(path: Path, where: str, names: Iterable[str]) -> None:
    missing = [name for name in _REQUIRED if name not in set(names)]
    if missing:
        raise BadRatings(
            f"{path}, {where}: no column {', '.join(repr(name) for name in missing)}",
            why=f"a ratings file needs {', '.join(_REQUIRED)}",
            remedy="fill the file that was written, and keep its first line",
        )


def _raws(path: Path, row: _Row) -> dict[str, float]:
    """The ratings given in a row; ``4`` and ``3,5`` are numbers, ``1e0`` and ``five`` are not."""
    raws = {}
    for criterion in CRITERIA:
        cell = row.cells[criterion].strip()
        if not cell:
            continue
        if not _NUMBER.fullmatch(cell):
            raise _bad(path, row, criterion, f"{cell!r} is no number from 1 to 5")
        raw = float(cell.replace(",", "."))
        if not 1 <= raw <= 5:
            raise _bad(path, row, criterion, f"{cell} is not from 1 to 5")
        raws[criterion] = raw
    return raws


def _bad(path: Path, row: _Row, column: str, what: str) -> BadRatings:
    return BadRatings(
        f"{path}, {row.where}, column {column}: {what}",
        remedy="correct this cell, or write the sheet anew and fill that",
    )
