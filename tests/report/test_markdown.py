"""Markdown."""

from __future__ import annotations

import re
from typing import Any

from assay.report import Report, simple_markdown, to_markdown
from assay.report.units import UNKNOWN
from assay.types import SimpleRow


def cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line)[1:-1]


def tables(text: str) -> list[list[list[str]]]:
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(cells(line))
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_golden(report: Report, golden: Any) -> None:
    golden.check("report.md", to_markdown(report))
    golden.check("benchmark_report.md", simple_markdown(report.simple))


def test_every_row_has_as_many_cells_as_its_heading(report: Report, hostile: Report, bare: Report) -> None:
    for made in (report, hostile, bare):
        for text in (to_markdown(made), simple_markdown(made.simple)):
            for table in tables(text):
                assert {len(row) for row in table} == {len(table[0])}


def test_each_candidate_appears(report: Report) -> None:
    text = to_markdown(report)
    assert all(c.label in text for c in report.candidates)


def test_hostile_texts_stay_texts(hostile: Report) -> None:
    text = to_markdown(hostile)
    fenced = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"<\s*(script|img)", fenced)
    assert "\x1b" not in text
    assert "[link](" not in fenced
    assert max(map(len, text.splitlines())) < 8_000


def test_nothing_known_is_no_figure(bare: Report) -> None:
    rows = tables(to_markdown(bare))[0][2:]
    assert all(cell.strip() == UNKNOWN for row in rows for cell in row[1:9])


def test_highlights_name_the_best_of_each_figure() -> None:
    rows = [
        SimpleRow(alias="a", rounds=1, latency_avg=1.0, tokens_per_sec_avg=5.0),
        SimpleRow(alias="b", rounds=1, latency_avg=2.0, tokens_per_sec_avg=9.0, first_token_latency_avg=0.1),
        SimpleRow(alias="c", rounds=0),
    ]
    text = simple_markdown(rows)
    assert "- Fastest: **a** (1.00 s on average)" in text
    assert "- Highest tokens/sec: **b** (9.00 tokens/sec)" in text
    assert "- Lowest first token: **b** (0.100 s)" in text
    assert "p95: **" not in text
    assert f"| c | {UNKNOWN} | {UNKNOWN} | {UNKNOWN} | 0 | {UNKNOWN} |" in text
    assert "Nothing was measured." in simple_markdown(rows[2:])
