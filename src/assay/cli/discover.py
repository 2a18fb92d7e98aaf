"""What is new on the Hub since the last look, fits this machine, and runs on an engine here."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import output, shown_run
from assay.report import finds
from assay.report.digest import digest
from assay.types import Discovery


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is looked for, and what becomes of it."""
    group = parser.add_argument_group("what is looked for")
    group.add_argument("--since", metavar="WHEN", help="7d, 12h, 2w or a date (default: the last look, else 7d)")
    group.add_argument("--task", default="chat", metavar="TASK", help="chat, code, embeddings... (default chat)")
    group.add_argument("--max-size", metavar="SIZE", help="largest download, such as 4GB")
    group.add_argument(
        "--licence", action="append", default=[], metavar="CLASS", help="permissive, attribution...; may be repeated"
    )
    group.add_argument("--fits", action="store_true", help="only what surely fits this machine")
    group.add_argument("--limit", type=flags.count, default=20, metavar="N", help="most models to show (default 20)")
    group = parser.add_argument_group("what becomes of it")
    group.add_argument("--bench", type=flags.count, metavar="N", help="fetch and measure the first N")
    group.add_argument("--to", type=Path, metavar="FILE", help="add what was found to a models.json")
    group.add_argument("--digest", type=Path, metavar="FILE", help="write a digest in Markdown")
    parser.add_argument("-v", "--verbose", action="store_true", help="also what was folded or left out, and why")
    flags.load(parser)
    flags.token(parser)


def run(args: argparse.Namespace) -> int:
    """Look, tell, and keep the time of the look; 1 where nothing new was found."""
    for path in filter(None, (args.digest, args.to)):
        output.require_place(path)
    with report.ProgressReporter() as reporter:
        found = app.discover(
            since=args.since,
            task=args.task,
            max_size=args.max_size,
            licences=args.licence,
            fits=args.fits,
            limit=args.limit,
            context_length=args.context_length,
            slots=args.slots,
            token=args.token,
            home=args.home,
            reporter=reporter,
        )
        measured = _measured(found, args, reporter) if args.bench and found.finds else None
    if args.digest is not None:
        output.write(args.digest, digest(found.finds, found.since, found.until, app.machine_line(), found.left))
    if args.to is not None:
        app.add_to_registry(found, args.to)
    if args.output == "json":
        output.as_json({"found": found, "run": measured.id if measured else None})
        return 0 if found.finds else 1
    output.lines(finds.lines(found, verbose=args.verbose, width=output.width()))
    if measured is not None:
        shown_run.run(args, measured, measured.choose(None))
    return 0 if found.finds else 1


def _measured(found: Discovery, args: argparse.Namespace, reporter: report.ProgressReporter) -> app.Run:
    return app.bench_finds(found, args.bench, home=args.home, command=args.typed, reporter=reporter, transfers=reporter)
