"""Results on stdout: lines, or one JSON document with keys in a fixed order."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from assay import app, report
from assay.errors import BadInput
from assay.report import units
from assay.types import Choice, Silent


class _Terminal(Console):
    """A console that leaves a reader who went away to ``main``, in place of exiting with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Notes(Silent):
    """A reporter of notes alone, for work that is too short for a bar."""

    def note(self, text: str) -> None:
        print(f"assay: {text}", file=sys.stderr)


def piece(text: str) -> None:
    """A piece of an answer, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """One JSON document, indented, its keys as the structs order them."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def width() -> int | None:
    """Columns of the terminal; None where stdout is none, and nothing need be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lines(texts: Iterable[str]) -> None:
    """Each text on a line of its own."""
    for text in texts:
        sys.stdout.write(text + "\n")


def write(path: Path, text: str | bytes) -> None:
    """Write a result file whole.

    Raises:
        BadInput: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    except OSError as error:
        raise BadInput(f"{path} cannot be written", why=str(error), remedy="give another path") from error


def run(args: argparse.Namespace, measured: app.Run, made: Choice | None, page: Path | None = None) -> None:
    """A run with its choice: the table for people, or the JSON document."""
    subject = measured.subject(made)
    if args.output == "json":
        sys.stdout.write(report.to_json(subject))
        return
    report.print_report(subject, _Terminal(soft_wrap=False), path=str(page) if page else None)


def choice(args: argparse.Namespace, made: Choice) -> None:
    """A choice over several runs: its sentence and how each candidate fared."""
    if args.output == "json":
        as_json(made)
        return
    lines([made.sentence, *(f"! {warning}" for warning in made.warnings)])
    for verdict in made.verdicts:
        chance = f"P(best) {units.probability(verdict.p_best)}" if verdict.p_best is not None else "not compared"
        lines([f"  {verdict.label}: " + ("rejected: " + "; ".join(verdict.rejected) if verdict.rejected else chance)])
    lines([f"runs: {', '.join(made.runs)}"])
