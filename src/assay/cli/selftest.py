"""Measure the measuring client: one-way lag and exact counts against a server with known timings."""

from __future__ import annotations

import argparse

from assay import app
from assay.cli import output
from assay.report import units


def arguments(parser: argparse.ArgumentParser) -> None:
    """How long to look."""
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="time for each level (default 3)")


def run(args: argparse.Namespace) -> int:
    """Measure and print; 1 when a count was wrong."""
    result = app.selftest(seconds=args.seconds)
    if args.output == "json":
        output.as_json(result)
        return 0 if all(lag.counts_exact for lag in result.lags) else 1
    output.lines([f"event loop: {result.loop}"])
    for lag in result.lags:
        counts = "exact" if lag.counts_exact else "WRONG"
        times = f"p50 {units.duration(lag.p50)}, p99 {units.duration(lag.p99)}, worst {units.duration(lag.worst)}"
        load = f"{lag.streams:>3} streams x {lag.events_per_s:.0f} events/s"
        output.lines([f"{load}: lag {times}; {lag.events} events, counts {counts}"])
    return 0 if all(lag.counts_exact for lag in result.lags) else 1
