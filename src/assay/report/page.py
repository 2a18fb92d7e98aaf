"""The report as one HTML page that needs nothing but itself: no network, no second file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from assay.report.answers import questions
from assay.report.chart_set import chart_svg, drawings
from assay.report.dimensions import dimensions
from assay.report.drawing import Drawing, names
from assay.report.escape import clean, one_line
from assay.report.findings import failures, notes, rejections
from assay.report.front import quality_against_latency
from assay.report.glossary import GLOSSARY
from assay.report.outliers import RULE, PromptLatency, prompt_latencies
from assay.report.palette import DARK_SERIES, LIGHT_SERIES, PAGE
from assay.report.provenance import engine_rows, lag_rows, machine_facts, run_facts, workload_facts
from assay.report.subject import Report
from assay.report.units import count, duration, number, percent, plural, probability
from assay.report.wording import day, policy_facts

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

WIDE, NARROW = 1000, 340
"""Widths in pixels that every chart is drawn in; the style sheet shows the one that fits."""
QUESTIONS_SHOWN = 12
UNBROKEN = 28
"""Characters up to which a name with hyphens stays in one piece."""
TEXT_LIMIT = 20_000
"""Characters of one text that the page holds."""


class Figure(Struct, frozen=True):
    """A chart as the page holds it: one drawing for wide windows and one for narrow ones."""

    drawing: Drawing
    wide: str
    narrow: str


class Folded(Struct, frozen=True):
    """A text as the page shows it: ``head`` alone when it is short, else folded with what was cut off counted."""

    head: str
    whole: str
    length: int
    left_out: int

    @property
    def long(self) -> bool:
        return self.head != self.whole


def to_html(report: Report) -> str:
    """The page as text. Every foreign text is escaped, and a content policy lets no script run but the page's own.

    Charts are drawings that take the page's light or dark colours, tell their figures under the pointer and dim all
    candidates but one; they need no library in the page.
    """
    script = _resource("page.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            record=report.record,
            style=_resource("page.css") + _series_style(),
            script=script,
            policy=content_policy(script),
            figures=_figures(report),
            **_content(report),
        )
    )


def unbroken(text: str) -> Markup:
    """``text`` escaped, with names such as ``notes-4m:q8_0`` kept from being broken at their hyphens."""
    from markupsafe import Markup, escape

    def word(part: str) -> Markup:
        kept = "-" in part and len(part) <= UNBROKEN
        return Markup('<span class="whole">{}</span>').format(part) if kept else escape(part)

    return Markup(" ").join(word(part) for part in text.split(" "))


def content_policy(script: str) -> str:
    """A Content-Security-Policy under which only this very script runs and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def fold(text: str, after: int) -> Folded:
    """``text`` folded beyond ``after`` characters, cut at ``TEXT_LIMIT`` with the number of characters left out."""
    text = clean(text)
    whole = text[:TEXT_LIMIT]
    short = len(text) <= after and text.count("\n") <= 12
    head = whole if short else "\n".join(whole[:after].split("\n")[:6]).rstrip()
    return Folded(head, whole, len(text), len(text) - len(whole))


def _content(report: Report) -> dict[str, Any]:
    shown, left_out = questions(report, QUESTIONS_SHOWN)
    table = dimensions(report)
    return {
        "table": table,
        "names": names(report),
        "groups": [(name, len(list(own))) for name, own in groupby(c.dimension.group for c in table.columns)],
        "chance": probability(report.choice.p_best) if report.choice and report.choice.winner else None,
        "policy_facts": policy_facts(report),
        "notes": notes(report),
        "rejections": rejections(report),
        "failures": failures(report),
        "front": [p for p in quality_against_latency(report, report.level) if p.front],
        "outliers": _outliers(report),
        "outlier_rule": RULE,
        "questions": shown,
        "questions_left_out": left_out,
        "sorted_by_spread": any(question.spread > 0 for question in shown),
        "prompts": report.record.workload.prompts,
        "run_facts": run_facts(report),
        "machine_facts": machine_facts(report),
        "workload_facts": workload_facts(report),
        "engines": engine_rows(report),
        "lags": lag_rows(report),
        "glossary": GLOSSARY,
        "created": day(report.record.created),
    }


def _outliers(report: Report) -> list[tuple[int, list[PromptLatency]]]:
    """Place in the run and outliers of each candidate that has some, the furthest out first."""
    found = []
    for index, candidate in enumerate(report.candidates):
        own = [p for p in prompt_latencies(report, candidate.key, report.level) if p.outlier]
        if own:
            found.append((index, sorted(own, key=lambda p: -abs(p.score))))
    return found


def _figures(report: Report) -> list[Figure]:
    narrow = {drawing.name: drawing for drawing in drawings(report, width=NARROW, theme=PAGE)}
    return [
        Figure(drawing, _svg(drawing), _svg(narrow[drawing.name]))
        for drawing in drawings(report, width=WIDE, theme=PAGE)
    ]


def _svg(drawing: Drawing) -> str:
    """A drawing for the page: hidden from screen readers, which are given the description and the tables."""
    # Validation takes a fifth of the page's time, and these descriptions are built by this room alone.
    svg = chart_svg(drawing.finished(PAGE, titled=False).to_dict(validate=False))
    svg = re.sub(r' role="graphics-(symbol|object|document)"', "", svg)
    svg = re.sub(r' aria-roledescription="[^"]*"', "", svg)
    svg = re.sub(r' aria-label="(?:[XY]-axis|Title)[^"]*"', "", svg)
    return svg.replace("aria-label=", "data-words=").replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _series_style() -> str:
    """Colours of the candidates for both schemes, and the rules that dim all but one."""

    def variables(series: tuple[str, ...]) -> str:
        return "".join(f"--c{i}:{colour};" for i, colour in enumerate(series))

    light, dark = variables(LIGHT_SERIES), variables(DARK_SERIES)
    rules = [
        f":root{{{light}}}",
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}",
        f":root[data-theme=dark]{{{dark}}}",
        f"@media print{{:root:root:root{{{light}}}}}",
    ]
    for i in range(len(LIGHT_SERIES)):
        others = f':not([fill="var(--c{i})"]):not([stroke="var(--c{i})"])'
        rules += [
            f'[data-focus="{i}"] .chart :is([fill^="var(--c"],[stroke^="var(--c"]){others}{{opacity:.13}}',
            f'[data-focus="{i}"] [data-series]:not([data-series="{i}"]){{opacity:.3}}',
        ]
    return "\n".join(rules)


def _environment() -> jinja2.Environment:
    import jinja2

    def finalize(value: object) -> object:
        return clean(value) if type(value) is str else value

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
    filters: dict[str, Callable[..., Any]] = {
        "fold": fold,
        "line": one_line,
        "unbroken": unbroken,
        "number": number,
        "duration": duration,
        "count": count,
        "percent": percent,
        "plural": plural,
        "colour": lambda index: index % len(LIGHT_SERIES),
    }
    made.filters.update(filters)
    return made


def _resource(name: str) -> str:
    return files("assay.report").joinpath("template", name).read_text(encoding="utf-8")
