"""Run models on the same prompts, measure them, score the answers by their checks, and keep everything as a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import output, shown_run
from assay.errors import BadInput


def arguments(parser: argparse.ArgumentParser) -> None:
    """Models, what is asked, on what, and what comes out."""
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="bundled name, entry of --config, .gguf file, folder, URL#model; auto: all",
    )
    flags.workload(parser)
    flags.engine(parser)
    group = parser.add_argument_group("what comes out")
    group.add_argument("--name", metavar="NAME", help="a name to find the run by")
    group.add_argument("--resume", nargs="?", const="latest", metavar="RUN", help="finish a run that was cut off")
    flags.policy(group)
    group.add_argument("--report", type=Path, metavar="FILE", help="also write a report (.html, .md, .csv, .json)")
    group.add_argument(
        "--deterministic", type=Path, metavar="DIR", help="also write results.json, stable for git, and timings.json"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print; 3 when nothing could be measured."""
    policy = app.as_policy(args.policy)
    if args.report is not None:
        app.report_form(args.report)
    if args.deterministic is not None:
        _hold_still(args)
    with report.ProgressReporter() as reporter:
        if args.resume is not None:
            names = (*flags.WORKLOAD, *flags.ENGINE, "models", "name")
            flags.refuse(args, names, "--resume", "a resumed run goes on with its own models, prompts and settings")
            measured = app.resume(args.resume, home=args.home, reporter=reporter)
        else:
            chosen = flags.given(args, flags.WORKLOAD + flags.ENGINE)
            measured = app.bench(
                args.models,
                name=args.name,
                command=args.typed,
                home=args.home,
                reporter=reporter,
                transfers=reporter,
                **chosen,
            )
        choice = measured.choose(policy)
    shown_run.run(args, measured, choice)
    if args.deterministic is not None:
        for name, text in app.stable_files(measured).items():
            output.write(args.deterministic / name, text)
    if args.report is not None:
        print(f"report: {measured.report(args.report, choice)}", file=sys.stderr)
    return 0


def _hold_still(args: argparse.Namespace) -> None:
    """Only greedy answers can be compared between commits."""
    if args.resume is not None:
        return
    if args.temperature not in {None, "0", "0.0"}:
        raise BadInput(f"--deterministic with --temperature {args.temperature}", remedy="leave --temperature out")
    args.temperature = "0"
