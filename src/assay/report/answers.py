"""Samples side by side: for one prompt what was expected, and what each candidate answered."""

from __future__ import annotations

import json
from collections import defaultdict
from statistics import fmean

from msgspec import Struct

from assay.report.subject import Report
from assay.report.units import UNKNOWN, duration, number, plural
from assay.types import Candidate, Expect, Prompt, Sample, Score


class Mark(Struct, frozen=True):
    """One score of an answer as printed."""

    criterion: str
    judge: str
    text: str
    good: bool
    why: str


class Answer(Struct, frozen=True, kw_only=True):
    """One candidate's answer in the first measured round; ``error`` in place of a text when it failed."""

    index: int
    label: str
    text: str = ""
    error: str | None = None
    facts: str = ""
    marks: tuple[Mark, ...] = ()


class Question(Struct, frozen=True, kw_only=True):
    """A prompt, what a good answer holds (label, text), and the answers in the order of the run."""

    prompt: Prompt
    expectations: tuple[tuple[str, str], ...]
    answers: tuple[Answer, ...]
    spread: float
    """Best less worst mean score over the candidates: how much they differ here."""


def questions(report: Report, limit: int | None = None) -> tuple[list[Question], int]:
    """At most ``limit`` prompts with their answers, where candidates differ most first, and how many were left out."""
    first = _first_samples(report)
    scores: dict[int, list[Score]] = defaultdict(list)
    for score in report.run.scores:
        scores[score.sample].append(score)
    found = [
        _question(prompt, report.candidates, first, scores)
        for prompt in report.record.workload.prompts
        if any((*c.key, prompt.id) in first for c in report.candidates)
    ]
    found.sort(key=lambda question: -question.spread)
    kept = found if limit is None else found[:limit]
    return kept, len(found) - len(kept)


def _first_samples(report: Report) -> dict[tuple[str, str, str], Sample]:
    """Variant, engine, prompt -> the sample shown: the last try of the earliest round at the level decided at."""
    chosen: dict[tuple[str, str, str], Sample] = {}
    for sample in report.run.samples:
        if sample.phase != "measure" or sample.concurrency != report.level:
            continue
        known = chosen.get((sample.variant, sample.engine, sample.prompt))
        if known is None or (sample.round, -sample.attempt) < (known.round, -known.attempt):
            chosen[sample.variant, sample.engine, sample.prompt] = sample
    return chosen


def _question(
    prompt: Prompt,
    candidates: tuple[Candidate, ...],
    first: dict[tuple[str, str, str], Sample],
    scores: dict[int, list[Score]],
) -> Question:
    answers, means = [], []
    for index, candidate in enumerate(candidates):
        sample = first.get((*candidate.key, prompt.id))
        if sample is None:
            continue
        given = scores.get(sample.i, [])
        if given:
            means.append(fmean(score.value for score in given))
        answers.append(
            Answer(
                index=index,
                label=candidate.label,
                text=sample.text,
                error=f"{sample.error.kind}: {sample.error.message}" if sample.error else None,
                facts=_facts(sample),
                marks=tuple(_mark(score) for score in given),
            )
        )
    return Question(
        prompt=prompt,
        expectations=tuple(expectations(prompt.expect)),
        answers=tuple(answers),
        spread=max(means) - min(means) if len(means) > 1 else 0.0,
    )


def expectations(expect: Expect | None) -> list[tuple[str, str]]:
    """What a good answer holds, as label and text; empty when nothing was expected."""
    if expect is None:
        return []
    structured = ("json_schema", "records")
    plain = ("answer", "regex", "record_pattern", "max_sentences", "min_items")
    listed = ("any_of", "aspects")
    found = []
    for name in (*plain, *listed, *structured):
        value = getattr(expect, name)
        if value is None:
            continue
        if name in structured:
            text = "\n".join(json.dumps(v, ensure_ascii=False) for v in (value if name == "records" else [value]))
        else:
            text = " | ".join(value) if name in listed else str(value)
        found.append((name.replace("_", " "), text))
    return found


def _facts(sample: Sample) -> str:
    tokens = plural(sample.output_tokens, "token") if sample.output_tokens is not None else ""
    latency = duration(sample.e2e) if sample.e2e is not None and sample.ok else ""
    cut = "cut at the token limit" if sample.finish == "length" else ""
    return ", ".join(part for part in (latency, tokens, cut) if part) or UNKNOWN


def _mark(score: Score) -> Mark:
    text = number(score.value) + (f" ({number(score.raw)} of 5)" if score.raw is not None else "")
    return Mark(score.criterion, score.who or score.judge, text, score.value >= 0.995, score.why)
