"""What a report is about."""

from __future__ import annotations

import shlex

from msgspec.structs import replace

from assay.report import Report
from assay.report.wording import day, policy_facts


def test_the_sentence_says_what_became_of_the_choice(report: Report, bare: Report) -> None:
    assert report.choice is not None
    assert report.sentence == report.choice.sentence
    wordless = replace(report, choice=replace(report.choice, sentence=""))
    assert wordless.sentence == "Run notes-4m:q8_0 @ llama.cpp."
    nobody = replace(report, choice=replace(report.choice, sentence="", winner=None))
    assert nobody.sentence == "No candidate meets the policy."
    assert "not yet decided" in bare.sentence


def test_the_command_is_the_one_given_or_put_together_from_the_record(report: Report, hostile: Report) -> None:
    assert replace(report, command="assay bench x").bench_command == "assay bench x"
    words = shlex.split(report.bench_command)
    assert words[:3] == ["assay", "bench", "notes-0.5m:q8_0"]
    assert words[-4:] == ["--rounds", "3", "--concurrency", "1,4"]
    assert hostile.record.candidates[0].variant.id in shlex.split(hostile.bench_command)


def test_the_policy_is_told_with_how_sure_the_choice_is(report: Report, bare: Report) -> None:
    facts = dict(policy_facts(report))
    assert facts["Requires"] == "quality >=0.6; licence permissive"
    assert facts["How sure"].startswith("P(best) 96.8% over 10,000 bootstrap draws, which reaches the 95%")
    assert policy_facts(bare) == []
    assert report.choice is not None
    declared = replace(report, choice=replace(report.choice, measured=False))
    assert "How sure" not in dict(policy_facts(declared))
    assert "nothing" in dict(policy_facts(declared))["Measured"]


def test_dates_are_written_out_and_odd_ones_left_alone() -> None:
    assert day("2026-01-02T03:04:05Z") == "2 January 2026, 03:04 UTC"
    assert day("yesterday") == "yesterday"
