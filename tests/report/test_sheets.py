"""CSV."""

from __future__ import annotations

import csv
import io

import pytest

from assay.report import Report, samples_csv, simple_csv, to_csv


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_line_for_each_figure_in_base_units(report: Report) -> None:
    rows = read(to_csv(report))
    wanted = sum(len(s.figures) for s in report.summaries)
    assert len([r for r in rows if r["figure"]]) == wanted
    row = next(r for r in rows if r["figure"] == "quality" and r["variant"] == "notes-4m:q8_0")
    assert (float(row["value"]), float(row["low"]), row["n"], row["enough"]) == (0.91, 0.86, "24", "true")
    assert (row["licence"], row["licence_class"], row["p_best"]) == ("Apache-2.0", "permissive", "0.9683")


def test_a_candidate_without_figures_has_a_line_and_no_noughts(report: Report) -> None:
    (row,) = [r for r in read(to_csv(report)) if r["variant"] == "meadow-7b:f16"]
    assert row["status"] == "failed"
    assert "genai_config.json" in row["reason"]
    assert [row[c] for c in ("figure", "value", "low", "high", "n", "enough")] == [""] * 6


def test_each_candidate_appears_even_where_nothing_is_known(bare: Report) -> None:
    assert [r["variant"] for r in read(to_csv(bare))] == ["notes-0.5m:q8_0", "notes-1.5m:q8_0"]


def test_raw_samples(report: Report) -> None:
    rows = read(samples_csv(report))
    assert len(rows) == len(report.run.samples)
    first = report.run.samples[0]
    assert float(rows[0]["e2e_s"]) == first.e2e
    failed = [r for r in rows if r["error_kind"]]
    assert len(failed) == 4
    assert {r["e2e_s"] for r in failed} == {""}
    assert {r["output_tokens"] for r in failed} == {""}


def test_no_text_is_a_formula(hostile: Report) -> None:
    for text in (to_csv(hostile), samples_csv(hostile), simple_csv(hostile.simple)):
        numeric = {"value", "low", "high"}
        cells = [v for row in read(text) for k, v in row.items() if k not in numeric and v]
        assert not [v for v in cells if v.startswith(("=", "@", "+"))]
        assert len(cells) > 0


def test_hostile_texts_come_back_whole(hostile: Report) -> None:
    rows = read(samples_csv(hostile))
    assert len(rows) == len(hostile.run.samples)
    for row, sample in zip(rows, hostile.run.samples, strict=True):
        assert row["text"].removeprefix("'") == sample.text.replace("\x00", "\ufffd")


def test_the_short_table(report: Report) -> None:
    rows = read(simple_csv(report.simple))
    assert list(rows[0]) == ["Model", "Avg Latency (s)", "p95 (s)", "Tokens/sec", "Rounds", "First Token (s)"]
    assert float(rows[0]["Avg Latency (s)"]) == pytest.approx(0.03661)
    assert rows[2]["Avg Latency (s)"] == ""
