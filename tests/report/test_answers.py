"""Answers side by side."""

from __future__ import annotations

from msgspec.structs import replace

from assay.report import Report
from assay.report.answers import expectations, questions
from assay.types import Expect


def test_prompts_on_which_candidates_differ_come_first_and_the_rest_is_counted(report: Report) -> None:
    shown, left_out = questions(report, 5)
    everything, none = questions(report)
    assert (len(shown), left_out, len(everything), none) == (5, 19, 24, 0)
    assert [q.spread for q in everything] == sorted((q.spread for q in everything), reverse=True)


def test_an_answer_has_its_scores_and_a_failure_its_reason(report: Report) -> None:
    everything, _ = questions(report)
    question = next(q for q in everything if q.prompt.id == "note-06")
    assert [a.label for a in question.answers] == [c.label for c in report.candidates[:4]]
    assert question.answers[0].marks[0].criterion == "records"
    assert all(a.error is None for a in question.answers)
    failed = replace(report, run=replace(report.run, samples=tuple(s for s in report.run.samples if s.round == 1)))
    question = next(q for q in questions(failed)[0] if q.prompt.id == "note-06")
    assert question.answers[3].error == "timeout: no text within 120 s"
    assert question.answers[3].marks == ()


def test_a_retry_stands_for_the_try_before_it(report: Report) -> None:
    first = next(s for s in report.run.samples if s.prompt == "note-01")
    again = replace(first, i=99_999, attempt=1, text="second try")
    more = replace(report, run=replace(report.run, samples=(*report.run.samples, again)))
    question = next(q for q in questions(more)[0] if q.prompt.id == "note-01")
    assert question.answers[0].text == "second try"


def test_every_kind_of_expectation_is_told() -> None:
    full = Expect(
        answer="yes",
        any_of=("a", "b"),
        regex="^x",
        json_schema={"type": "array"},
        records=({"who": "Ann"},),
        aspects=("cost",),
        max_sentences=1,
        min_items=2,
    )
    labels = [label for label, _ in expectations(full)]
    assert labels == ["answer", "regex", "max sentences", "min items", "any of", "aspects", "json schema", "records"]
    assert expectations(None) == []
