"""A run in the hands of a person: what Python code gets from ``assay.bench`` and ``assay.load``."""

from __future__ import annotations

import importlib.util
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import structs

from assay import catalog, decide, report, runs
from assay.errors import BadInput, MissingExtra
from assay.report import Report
from assay.settings import resolve
from assay.types import Choice, Policy, RunData, SimpleRow, Summary

if TYPE_CHECKING:
    import pandas as pd

PolicyLike = Policy | Path | str | None
FORMS = {".html": "html", ".md": "md", ".csv": "csv", ".json": "json"}
"""What the suffix of a report's name asks for."""


class Run:
    """One run on disk with everything that is computed from it; raw data is the truth, the rest is recomputed.

    Attributes:
        path: the run's folder.
        data: the record, samples, scores and meter readings as read from it.
    """

    def __init__(self, path: Path, data: RunData) -> None:
        self.path = path
        self.data = data

    @property
    def id(self) -> str:
        """Name of the run's folder."""
        return self.data.record.id

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Every figure of every candidate at every concurrency, with bootstrap intervals by prompt."""
        return tuple(decide.summarise(self.data))

    def choose(self, policy: PolicyLike = None) -> Choice:
        """The choice under ``policy``: one, the path of a policy.toml, or None for quality first, then speed."""
        return choose_between([self], policy)

    def subject(self, choice: Choice | None = None) -> Report:
        """What the report room's functions take: the run, its figures and a choice."""
        return Report(
            run=self.data,
            summaries=self.summaries,
            choice=choice,
            licence_classes=self._licence_classes,
            simple=self._simple,
            command=self.data.record.command,
        )

    def report(self, path: str | Path, choice: Choice | None = None) -> Path:
        """Write the report in the form that the suffix asks for (.html, .md, .csv, .json) and give its path.

        Without a choice, the default policy's is shown.

        Raises:
            BadInput: another suffix, or a place that cannot be written.
        """
        target = Path(path)
        form = report_form(target)
        text = self.render(form, choice or self.choose())
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="" if form == "csv" else None)
        except OSError as error:
            raise BadInput(f"{target} cannot be written", why=error.strerror, remedy="give another path") from error
        return target

    def render(self, form: str, choice: Choice | None) -> str:
        """The report as text: html, md, csv, json, simple-md, simple-csv or samples-csv."""
        forms: dict[str, Callable[[Report], str]] = {
            "html": report.to_html,
            "md": report.to_markdown,
            "csv": report.to_csv,
            "json": report.to_json,
            "simple-md": lambda subject: report.simple_markdown(subject.simple),
            "simple-csv": lambda subject: report.simple_csv(subject.simple),
            "samples-csv": report.samples_csv,
        }
        return forms[form](self.subject(choice))

    def charts(self, choice: Choice | None = None) -> dict[str, Any]:
        """The report's charts as altair charts by name; in a notebook the last line of a cell shows one."""
        return report.charts(self.subject(choice))

    def to_pandas(self, what: Literal["summary", "samples", "scores"] = "summary") -> pd.DataFrame:
        """A data frame: a row a candidate and concurrency with a column a figure, or a row a sample, or a score.

        A figure that is not known is NaN; its column is there all the same.

        Raises:
            MissingExtra: pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise MissingExtra("to_pandas needs pandas", remedy="pip install 'assay[pandas]'")
        import pandas as pd

        rows = {"summary": self._summary_rows, "samples": self._sample_rows, "scores": self._score_rows}[what]()
        return pd.DataFrame(rows)

    def _summary_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "candidate": summary.label,
                "variant": summary.variant.id,
                "engine": summary.engine,
                "concurrency": summary.concurrency,
                "status": summary.status,
                "requests": summary.requests,
                "failures": summary.failures,
                **dict.fromkeys(decide.FIGURES, math.nan),
                **{name: figure.value for name, figure in summary.figures.items()},
            }
            for summary in self.summaries
        ]

    def _sample_rows(self) -> list[dict[str, Any]]:
        plain = ("i", "variant", "engine", "prompt", "round", "phase", "concurrency", "attempt", "finish", "text")
        counts = ("prompt_tokens", "output_tokens", "cached_tokens", "token_source")
        figures = ("ttft", "ttfa", "e2e", "tpot", "decode_tps", "prefill_tps", "request_tps", "total_tps")
        return [
            {name: getattr(sample, name) for name in plain + counts + figures}
            | {"error": sample.error.kind if sample.error else None}
            for sample in self.data.samples
        ]

    def _score_rows(self) -> list[dict[str, Any]]:
        return [{name: getattr(score, name) for name in score.__struct_fields__} for score in self.data.scores]

    @property
    def _simple(self) -> tuple[SimpleRow, ...]:
        """Rows as simple scripts print them; a variant's id stands for an alias that several candidates share."""
        rows = decide.simple(self.data)
        shared = Counter(row.alias for row in rows)
        return tuple(row if shared[row.alias] == 1 else structs.replace(row, alias=row.variant) for row in rows)

    @property
    def _licence_classes(self) -> Mapping[str, str]:
        licences = {candidate.variant.licence for candidate in self.data.record.candidates}
        return {licence: catalog.licence_class(licence) for licence in licences if licence}

    def __repr__(self) -> str:
        record = self.data.record
        return f"<Run {self.id} {record.status}: {len(record.candidates)} candidates, {len(self.data.samples)} samples>"


def load(name: str | Path = "latest", *, home: str | Path | None = None) -> Run:
    """The run of that id, unique beginning of one, name or path; ``latest`` is the newest.

    Raises:
        RunNotFound, RunDamaged, RunTooNew: it cannot be read, and why.
    """
    path = runs.find(resolve({"home": home}, os.environ, Path.cwd()).runs, str(name))
    return Run(path, runs.read(path))


def choose_between(several: Sequence[Run], policy: PolicyLike = None) -> Choice:
    """The choice over the candidates of one or several runs of one workload on one machine."""
    return decide.choose([run.data for run in several], as_policy(policy), catalog.licence_class)


def as_policy(policy: PolicyLike) -> Policy:
    """The policy itself, the one in a policy.toml, or the default; read it before measuring, so that it fails early.

    Raises:
        BadPolicy: the file cannot be used.
    """
    if isinstance(policy, Policy):
        return policy
    return decide.read_policy(Path(policy)) if policy else decide.DEFAULT_POLICY


def report_form(path: Path) -> str:
    """The form of report that a file's name asks for.

    Raises:
        BadInput: its suffix names none.
    """
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise BadInput(f"a report cannot be written as {path.name!r}", remedy="name it .html, .md, .csv or .json")
    return form
