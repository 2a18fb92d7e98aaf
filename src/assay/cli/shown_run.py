"""A run or a choice on stdout: tables for people, or the JSON document."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from assay import app, report
from assay.cli import output
from assay.report import units
from assay.types import Choice


class _Terminal(Console):
    """A console that leaves a reader who went away to ``main``, in place of exiting with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def run(args: argparse.Namespace, measured: app.Run, made: Choice | None, page: Path | None = None) -> None:
    """A run with its choice: the table for people, or the JSON document."""
    subject = measured.subject(made)
    if args.output == "json":
        sys.stdout.write(report.to_json(subject))
        return
    report.print_report(subject, _Terminal(soft_wrap=False), path=str(page) if page else None)


def choice(args: argparse.Namespace, made: Choice) -> None:
    """A choice over several runs: its sentence and how each candidate fared."""
    if args.output == "json":
        output.as_json(made)
        return
    output.lines([made.sentence, *(f"! {warning}" for warning in made.warnings)])
    for verdict in made.verdicts:
        chance = f"P(best) {units.probability(verdict.p_best)}" if verdict.p_best is not None else "not compared"
        output.lines(
            [f"  {verdict.label}: " + ("rejected: " + "; ".join(verdict.rejected) if verdict.rejected else chance)]
        )
    output.lines([f"runs: {', '.join(made.runs)}"])
