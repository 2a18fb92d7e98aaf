"""Rejections, failures and notes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from assay.report import Report
from assay.report.findings import failures, notes, rejections
from assay.types import Lag, SelfTest


def test_each_rejection_has_every_reason(report: Report) -> None:
    found = {r.label: r.reasons for r in rejections(report)}
    assert len(found["meadow-7b:f16 @ onnxruntime-genai"]) == 2
    assert set(found) == {"notes-0.5m:q8_0 @ llama.cpp", "meadow-7b:f16 @ onnxruntime-genai"}


def test_failures_tell_what_how_much_and_why(report: Report) -> None:
    start, timeouts = failures(report)
    assert (start.kind, start.extent) == ("candidate", "all of it")
    assert "genai_config.json" in start.message
    assert (timeouts.kind, timeouts.count, timeouts.out_of) == ("timeout", 4, 144)
    assert timeouts.prompts == ("note-06", "note-12")


def test_a_clean_run_has_only_the_choices_warnings(report: Report) -> None:
    assert report.choice is not None
    assert notes(report) == list(report.choice.warnings)


def test_notes_tell_what_makes_figures_less_than_they_seem(bare: Report) -> None:
    text = " ".join(notes(bare))
    assert "interrupted" in text
    assert "1 line of the run's files could not be read" in text
    assert "not tested" in text


@pytest.mark.parametrize(
    ("change", "word"),
    [({"on_battery": True}, "battery"), ({"load_average": 3.5}, "busy"), ({"load_average": 0.2}, None)],
)
def test_the_machines_state_is_told(report: Report, change: dict[str, object], word: str | None) -> None:
    record = replace(report.record, machine=replace(report.record.machine, **change))
    found = notes(replace(report, run=replace(report.run, record=record)))
    assert any(word in note for note in found) if word else len(found) == 1


@pytest.mark.parametrize(("p99", "exact", "word"), [(0.02, True, "20.0 ms"), (0.001, False, "token counts")])
def test_a_bad_self_test_is_told(report: Report, p99: float, exact: bool, word: str) -> None:
    lag = Lag(streams=1, events_per_s=200, events=1, p50=0.001, p99=p99, worst=p99, counts_exact=exact)
    record = replace(report.record, selftest=SelfTest(loop="asyncio", lags=(lag,)))
    assert any(word in note for note in notes(replace(report, run=replace(report.run, record=record))))
