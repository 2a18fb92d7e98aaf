"""Write a run as one self-contained HTML page, Markdown, CSV or JSON, or its charts as pictures by themselves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import output

FORMATS = ("text", "html", "md", "csv", "json", "samples-csv", "simple-md", "simple-csv")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, in which form, where to."""
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="id, its beginning, a name, a path or latest"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="form of the report (default: the suffix of --out, else text); simple-*: one row a model",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to stdout")
    parser.add_argument("--charts", type=Path, metavar="DIR", help="write the charts here, as SVG and PNG")
    flags.policy(parser)


def run(args: argparse.Namespace) -> int:
    """Read the run, choose, and write."""
    measured = app.load(args.run, home=args.home)
    choice = measured.choose(args.policy)
    if args.charts is not None:
        for name, chart in measured.charts(choice).items():
            for suffix in (".svg", ".png"):
                report.save_chart(chart, args.charts / f"{name}{suffix}")
        print(f"charts: {args.charts}", file=sys.stderr)
        if args.format is None and args.out is None:
            return 0
    form = args.format or (app.FORMS.get(args.out.suffix.lower()) if args.out else None) or "text"
    if form == "text" and args.out is None:
        output.run(args, measured, choice)
        return 0
    text = report.terminal_text(measured.subject(choice)) if form == "text" else measured.render(form, choice)
    if args.out is None:
        sys.stdout.write(text)
    else:
        output.write(args.out, text)
        print(f"report: {args.out}", file=sys.stderr)
    return 0
