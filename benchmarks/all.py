"""Runs every benchmark and writes RESULTS.md with the machine they ran on.

usage: python benchmarks/all.py --work DIR   (DIR keeps the random-weight model between runs)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from assay import machine

HERE = Path(__file__).parent
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "Start-up of the command": ("startup.py", []),
    "The measuring client against httpx": ("client.py", []),
    "Engines: what the worker costs, what sharing gives": ("engines.py", ["--work", "{work}"]),
    "Downloads beside hf download": ("download.py", []),
    "Memory, estimated and observed": ("memory.py", []),
    "A long list of models": ("listing.py", []),
    "Conversions and what they lose": ("families.py", ["--work", "{work}/families"]),
    "Kills": ("kill.py", ["--kills", "50"]),
}


def section(title: str, program: str, arguments: list[str]) -> tuple[str, bool]:
    """One program's output as Markdown, and whether its bars were met."""
    print(f"{program} ...", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, str(HERE / program), *arguments], check=False, capture_output=True, text=True
    )
    said = done.stdout.strip() or done.stderr.strip()[-2000:]
    command = " ".join(["python", f"benchmarks/{program}", *arguments])
    verdict = "Every bar was met." if done.returncode == 0 else "**A bar was missed.**"
    return f"## {title}\n\n`{command}`\n\n{said}\n\n{verdict}\n", done.returncode == 0


def main() -> int:
    """Run all and write; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    here = machine.inspect()
    memory = f"{here.memory / 1e9:.0f} GB" if here.memory else "memory unknown"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    where = f"{here.cpu}, {here.cores} cores, {memory}, {here.system} {here.arch}, Python {here.python}"
    head = (
        "# Results\n\nWritten by `python benchmarks/all.py`. Ratios are taken side by side; absolute times are "
        f"those of a shared, noisy machine.\n\n{today}: {where}; load average {here.load_average} when it began.\n"
    )
    parts, met = [head], True
    for title, (program, arguments) in PROGRAMS.items():
        text, good = section(title, program, [one.format(work=args.work) for one in arguments])
        parts.append(text.replace(str(args.work), "DIR"))
        met &= good
    (HERE / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
