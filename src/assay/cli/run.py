"""List and show the runs that are on this machine."""

from __future__ import annotations

import argparse

from assay import app
from assay.cli import output, shown_run
from assay.cli.parser import Parser


def arguments(parser: Parser) -> None:
    """The two things to do with runs."""
    action = parser.actions()
    action("list", "Every run, newest first, with its status.")
    show = action("show", "One run: its candidates, figures and choice.")
    show.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="id, its beginning, a name, a path or latest"
    )


def run(args: argparse.Namespace) -> int:
    """List, or show."""
    if args.action == "show":
        measured = app.load(args.run, home=args.home)
        shown_run.run(args, measured, measured.choose())
        return 0
    listed = app.list_runs(home=args.home)
    if args.output == "json":
        output.as_json([_row(one) for one in listed])
        return 0
    if not listed:
        output.lines(["no runs yet; assay quickstart makes the first"])
    for one in listed:
        row = _row(one)
        output.lines([f"{row['id']}  {row['status']:<11}  {row['name'] or '-':<16}  {row['about']}"])
    return 0


def _row(one: app.ListedRun) -> dict[str, object]:
    record = one.record
    about = ", ".join(candidate.label for candidate in record.candidates) if record else (one.problem or "")
    return {
        "id": one.id,
        "status": one.status,
        "name": record.name if record else None,
        "created": record.created if record else None,
        "path": str(one.path),
        "about": about,
    }
