"""Bench, score and choose over the bundled models, offline, with an HTML report.

Small models that were trained for this make it real: three sizes, two quantisations, two engines.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import shown_run


def arguments(parser: argparse.ArgumentParser) -> None:
    """The policy, and where the report goes."""
    flags.policy(parser)
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where the page goes (default: into the run's folder)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, choose, write the page and say where it lies."""
    policy = app.as_policy(args.policy)
    if args.report is not None:
        app.report_form(args.report)
    with report.ProgressReporter() as reporter:
        measured = app.quickstart(home=args.home, reporter=reporter)
        reporter.stage("choosing")
        choice = measured.choose(policy)
        reporter.stage("writing the report")
        page = measured.report(args.report or measured.path / "report.html", choice)
    shown_run.run(args, measured, choice, page=page)
    if args.output == "json":
        print(f"report: {page}", file=sys.stderr)
    return 0
