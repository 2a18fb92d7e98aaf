"""Write a run as one self-contained HTML page, Markdown, CSV or JSON, or its charts as pictures by themselves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import output, shown_run
from assay.errors import BadInput, NothingMeasured
from assay.types import Choice

FORMATS = ("text", "html", "md", "csv", "json", "samples-csv", "simple-md", "simple-csv")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, in which form, where to."""
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="id, its beginning, a name, a path or latest"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar="FORM",
        help=f"{', '.join(FORMATS)}; simple-*: one row a model (default: by the suffix of --out, else text)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to stdout")
    parser.add_argument("--charts", type=Path, metavar="DIR", help="write the charts here, as SVG and PNG")
    flags.policy(parser)


def run(args: argparse.Namespace) -> int:
    """Read the run, choose, and write; with ``-o json`` and files asked for, stdout names them."""
    form = _form(args)
    measured = app.load(args.run, home=args.home)
    choice = measured.choose(args.policy)
    written = _charts(measured, choice, args.charts) if args.charts is not None else []
    if args.out is not None:
        text = report.terminal_text(measured.subject(choice)) if form == "text" else measured.render(form, choice)
        output.write(args.out, text)
        print(f"report: {args.out}", file=sys.stderr)
        written.append(args.out)
    elif args.format not in {None, "text"}:
        sys.stdout.write(measured.render(form, choice))
        return 0
    elif not written:
        shown_run.run(args, measured, choice)
        return 0
    if args.output == "json":
        output.as_json({"run": measured.id, "written": [str(path) for path in written]})
    return 0


def _form(args: argparse.Namespace) -> str:
    if args.format is not None:
        if args.output == "json" and args.out is None and args.format not in {"text", "json"}:
            raise BadInput(
                f"-o json and --format {args.format} both want stdout", remedy="give --out FILE, or one only"
            )
        return str(args.format)
    if args.out is None or args.out.suffix.lower() == ".txt":
        return "text"
    return app.report_form(args.out)


def _charts(measured: app.Run, choice: Choice, folder: Path) -> list[Path]:
    """Every chart as SVG and PNG.

    Raises:
        NothingMeasured: there is nothing to draw. BadInput: the folder cannot be written.
    """
    charts = measured.charts(choice)
    if not charts:
        raise NothingMeasured(f"run {measured.id} has nothing to draw", remedy=f"assay run show {measured.id}")
    paths = []
    for name, chart in charts.items():
        for path in (folder / f"{name}.svg", folder / f"{name}.png"):
            try:
                report.save_chart(chart, path)
            except OSError as error:
                raise BadInput(f"{path} cannot be written", why=error.strerror, remedy="give another folder") from error
            paths.append(path)
    print(f"charts: {folder}", file=sys.stderr)
    return paths
