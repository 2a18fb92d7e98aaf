"""Where the figures come from, in words."""

from __future__ import annotations

from msgspec.structs import replace

from assay.report import Report
from assay.report.provenance import decoding, engine_rows, lag_rows, machine_facts, workload_facts
from assay.report.units import UNKNOWN
from assay.types import Decoding


def test_the_machine_is_told_with_dashes_for_what_is_unknown(report: Report, bare: Report) -> None:
    assert ("Memory limit", "8.00 GB") in machine_facts(report)
    facts = dict(machine_facts(bare))
    assert {facts["Processor"], facts["Memory"], facts["Power"], facts["Load average at start"]} == {UNKNOWN}
    assert facts["Memory limit"] == "none"


def test_the_workload_is_told(report: Report) -> None:
    facts = dict(workload_facts(report))
    assert facts["Rounds"] == "3 (1 warm-up round before, not counted)"
    assert facts["Order"] == "shuffled with seed 11"
    assert facts["Workload digest"].removeprefix("sha256:") == report.record.workload.digest[:16]


def test_only_what_was_sent_is_told_of_decoding(report: Report) -> None:
    sent = Decoding(max_tokens=9, temperature=None, top_k=40, stop=("\n",))
    work = replace(report.record.workload, decoding=sent)
    changed = replace(report, run=replace(report.run, record=replace(report.record, workload=work)))
    assert decoding(changed) == 'max_tokens 9, top_k 40, stop ["\\n"]'


def test_each_candidate_has_its_engine_and_arguments(report: Report) -> None:
    rows = engine_rows(report)
    assert [row.label for row in rows] == [c.label for c in report.candidates]
    assert rows[0].version == "llama.cpp 2026.10"
    assert rows[0].arguments == "context_length=1024, slots=4, threads=4"
    assert (rows[4].load_time, rows[4].arguments) == (UNKNOWN, "defaults")


def test_the_self_test_is_told_level_by_level(report: Report, bare: Report) -> None:
    assert [(row.streams, row.p99, row.counts) for row in lag_rows(report)] == [
        ("1", "310 µs", "exact"),
        ("16", "1.40 ms", "exact"),
    ]
    assert lag_rows(bare) == []
