"""Choose under a policy between measured candidates: runs that are there, or models that are measured first.

With --config and no run or model, it says which entries fit this machine's memory and takes the first, unmeasured.
"""

from __future__ import annotations

import argparse
import sys

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import output, shown_run
from assay.errors import RunNotFound, UnknownModel


def arguments(parser: argparse.ArgumentParser) -> None:
    """Runs or models, and the policy."""
    parser.add_argument(
        "names", nargs="*", metavar="RUN|MODEL", help="runs to choose from (latest, ids), or models to measure"
    )
    flags.policy(parser)
    parser.add_argument("--task", metavar="TASK", help="with --config alone: only entries for this task")
    flags.workload(parser)
    flags.engine(parser)


def run(args: argparse.Namespace) -> int:
    """Choose and print; 1 when no candidate qualifies."""
    if args.config is not None and not args.names:
        return _unmeasured(args)
    flags.refuse(args, ("task",), "runs or models", "it picks from --config alone")
    policy = app.as_policy(args.policy)
    measured = _measured(args)
    choice = app.choose_between(measured, policy)
    if len(measured) == 1:
        shown_run.run(args, measured[0], choice)
    else:
        shown_run.choice(args, choice)
    return 0 if choice.winner else 1


def _measured(args: argparse.Namespace) -> list[app.Run]:
    names = args.names or ["latest"]
    asked = flags.WORKLOAD + flags.ENGINE
    try:
        found = [app.load(name, home=args.home) for name in names]
    except RunNotFound as error:
        if not args.names or "latest" in names:
            raise
        missing = error
    else:
        flags.refuse(args, asked, "runs", "they are measured already")
        return found
    chosen = flags.given(args, asked)
    with report.ProgressReporter() as reporter:
        try:
            return [app.bench(names, command=args.typed, home=args.home, reporter=reporter, **chosen)]
        except UnknownModel as error:
            raise UnknownModel(error.message, why=f"and {missing.message}", remedy=error.remedy) from error


def _unmeasured(args: argparse.Namespace) -> int:
    unused = (*flags.WORKLOAD, *(name for name in flags.ENGINE if name != "config"), "policy")
    flags.refuse(args, unused, "--config alone", "nothing is measured")
    found = app.fits(args.config, args.task)
    taken = next((one for one in found if one.fits), None)
    if args.output == "json":
        output.as_json({"measured": False, "choice": taken.alias if taken else None, "entries": found})
        return 0 if taken else 1
    for one in found:
        word = {True: "fits", False: "does not fit", None: "unknown"}[one.fits]
        here = "" if one.runnable else "; its files are not on this machine"
        output.lines([f"{one.alias}: {word}: {one.reason}{here}"])
    if taken is None:
        print("none is known to fit; nothing was measured", file=sys.stderr)
        return 1
    output.lines([f"choice: {taken.alias}, the first that fits. Nothing was measured; assay bench would tell more."])
    return 0
