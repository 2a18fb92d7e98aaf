"""What differs between two runs of one workload, paired by prompt, and whether it is real.

A difference is real when its interval excludes 0 and, for a latency, it is larger than the instrument's own error.
"""

from __future__ import annotations

import argparse

from assay import app
from assay.cli import output
from assay.report import units


def arguments(parser: argparse.ArgumentParser) -> None:
    """Two runs."""
    parser.add_argument("before", metavar="RUN", help="id, its beginning, a name, or a path")
    parser.add_argument("after", metavar="RUN", nargs="?", default="latest", help="the same; the newest unless given")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=("machine", "workload"),
        help="compare although this differs; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    found = app.compare(app.load(args.before, home=args.home), app.load(args.after, home=args.home), allow=args.allow)
    if args.output == "json":
        output.as_json(found)
        return 0
    output.lines([f"{found.a} -> {found.b}", *(f"! {warning}" for warning in found.warnings)])
    for pair in found.pairs:
        name = pair.a if pair.a == pair.b else f"{pair.a} -> {pair.b}"
        output.lines(["", f"{name}, {pair.concurrency} at once, {pair.prompts} prompts"])
        real = {figure: one for figure, one in pair.differences.items() if one.real}
        for figure, one in real.items():
            word = {True: "better", False: "worse", None: "changed"}[one.improved]
            share = f" ({one.relative:+.1%})" if one.relative is not None else ""
            output.lines([f"  {figure:<24} {word}: {units.number(one.a)} -> {units.number(one.b)}{share}"])
        output.lines([f"  {len(pair.differences) - len(real)} of {len(pair.differences)} figures: no real difference"])
    output.lines([f"only in {found.a}: {label}" for label in found.only_a])
    output.lines([f"only in {found.b}: {label}" for label in found.only_b])
    return 0
