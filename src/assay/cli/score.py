"""Judge a run's answers by the checks of its prompts, or ask people: write a sheet, read the filled one back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assay import app
from assay.cli import output, shown_run
from assay.errors import BadInput


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and the sheet."""
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="id, its beginning, a name, a path or latest"
    )
    sheet = parser.add_mutually_exclusive_group()
    sheet.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write the answers with empty columns for ratings (.csv, .json)"
    )
    sheet.add_argument("--ratings", type=Path, metavar="FILE", help="read a filled sheet back as scores of a person")
    parser.add_argument("--who", metavar="NAME", help="with --ratings: who has judged")


def run(args: argparse.Namespace) -> int:
    """Score, and print the run with its scores."""
    if args.who is not None and args.ratings is None:
        raise BadInput("--who without --ratings", why="it names who has filled the sheet", remedy="add --ratings FILE")
    measured = app.load(args.run, home=args.home)
    if args.sheet is not None:
        rows = app.write_sheet(measured, args.sheet)
        print(f"{args.sheet}: {rows} answers to rate from 1 (poor) to 5 (good)", file=sys.stderr)
        if args.output == "json":
            output.as_json({"run": measured.id, "sheet": str(args.sheet), "rows": rows})
        return 0
    measured, added = app.rate(measured, args.ratings, args.who) if args.ratings else app.rescore(measured)
    print(f"{added} scores added to run {measured.id}", file=sys.stderr)
    shown_run.run(args, measured, measured.choose())
    return 0
