"""Runs the benchmarks and writes RESULTS.md, each section with when and how loaded the machine was.

usage: python benchmarks/all.py --work DIR [--only PROGRAM]...

DIR keeps random-weight models between runs. With ``--only`` the other sections stay as they are.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from assay import machine

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "Start-up of the command": ("startup.py", []),
    "The measuring client against httpx": ("client.py", []),
    "Engines: what the worker costs, what sharing gives": ("engines.py", ["--work", "{work}"]),
    "Downloads beside hf download": ("download.py", []),
    "Memory, estimated and observed": ("memory.py", ["--threads", "2"]),
    "A long list of models": ("listing.py", []),
    "Conversions and what they lose": ("families.py", ["--work", "{work}/families"]),
    "Kills of a bench": ("kill.py", ["--kills", "50"]),
    "What the door costs": ("gateway.py", ["--work", "{work}"]),
    "Beside Foundry Local's web service": ("foundry.py", ["--work", "{work}"]),
    "Weeks in miniature": ("weeks.py", []),
    "Kills of the service": ("kill_service.py", []),
    "Mutated requests": ("mutations.py", []),
}
HEAD = (
    "# Results\n\nWritten by `python benchmarks/all.py`. Ratios are taken side by side; absolute times are those of a "
    "shared, noisy machine.\n"
)


def section(title: str, program: str, arguments: list[str], work: Path) -> tuple[str, bool]:
    """One program's output as Markdown, and whether its bars were met."""
    print(f"{program} ...", file=sys.stderr)
    began = _machine()
    done = subprocess.run(
        [sys.executable, str(HERE / program), *arguments], check=False, capture_output=True, text=True
    )
    said = done.stdout.strip() or done.stderr.strip()[-2000:]
    command = " ".join(["python", f"benchmarks/{program}", *arguments])
    verdict = "Every bar was met." if done.returncode == 0 else "**A bar was missed.**"
    text = f"## {title}\n\n`{command}`, {began}\n\n{said}\n\n{verdict}\n"
    return text.replace(str(work), "DIR"), done.returncode == 0


def kept() -> dict[str, str]:
    """The sections of the last RESULTS.md by title."""
    if not RESULTS.is_file():
        return {}
    parts = re.split(r"^(?=## )", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}


def _machine() -> str:
    here = machine.inspect()
    memory = f"{here.memory / 1e9:.0f} GB" if here.memory else "memory unknown"
    where = f"{here.cpu}, {here.cores} cores, {memory}, {here.system} {here.arch}, Python {here.python}"
    return f"{datetime.now(UTC):%Y-%m-%d}: {where}; load average {here.load_average} when it began."


def main() -> int:
    """Run and write; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[], choices=[name for name, _ in PROGRAMS.values()])
    args = parser.parse_args()
    sections, met = kept(), True
    for title, (program, arguments) in PROGRAMS.items():
        if not args.only or program in args.only:
            sections[title], good = section(
                title, program, [one.format(work=args.work) for one in arguments], args.work
            )
            met &= good
            text = "\n".join([HEAD, *(sections[known] for known in PROGRAMS if known in sections)])
            RESULTS.write_text(text, encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
