"""Start-up of the command against Python's own, side by side: bar 100 ms more than ``python -c pass`` (median).

usage: python benchmarks/startup.py [--runs 31] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

BAR_MS = 100
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "assay --version": ["-m", "assay", "--version"],
    "assay --help": ["-m", "assay", "--help"],
}


def once(arguments: list[str]) -> float:
    """Wall milliseconds of one whole process."""
    start = time.perf_counter_ns()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter_ns() - start) / 1e6


def main() -> int:
    """Run the commands in turn and print the medians; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for arguments in COMMANDS.values():
        once(arguments)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(args.runs):
        for name, arguments in COMMANDS.items():
            times[name].append(once(arguments))
    own = statistics.median(times["python -c pass"])
    rows = {
        name: {"median_ms": round(statistics.median(all_), 1), "more_ms": round(statistics.median(all_) - own, 1)}
        for name, all_ in times.items()
    }
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        print("| command | median ms | more than Python, ms | bar |\n| --- | --- | --- | --- |")
        for name, row in rows.items():
            print(
                f"| `{name}` | {row['median_ms']} | {row['more_ms']} | {'' if name.startswith('python') else BAR_MS} |"
            )
    return 0 if max(row["more_ms"] for row in rows.values()) <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
