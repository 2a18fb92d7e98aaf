"""The command line: parse, one call into the app, one call into the report, an exit code.

In: argv, the environment. Out: results on stdout, talk on stderr, exit code 0 done, 1 a check failed, 2 bad usage,
3 nothing could be measured, 130 interrupted. Commands are imported when they run, so help and version answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from assay import __version__
from assay.errors import AssayError

COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": (
        "assay.cli.quickstart",
        "bench, score and choose over the bundled models, offline, with an HTML report",
    ),
    "doctor": (
        "assay.cli.doctor",
        "this machine, its engines and limits, the instrument's own error, where things lie",
    ),
    "bench": ("assay.cli.bench", "run models on the same prompts and measure them"),
    "score": ("assay.cli.score", "judge a run's answers by checks, or read people's ratings back"),
    "choose": ("assay.cli.choose", "choose between models under a policy, with the chance of being best"),
    "compare": ("assay.cli.compare", "what differs between two runs, and whether it is real"),
    "report": ("assay.cli.report", "write a run as HTML, Markdown, CSV, JSON or charts"),
    "run": ("assay.cli.run", "list and show runs"),
    "selftest": ("assay.cli.selftest", "measure the measuring client against a server with known timings"),
}
"""Name -> module that holds ``arguments(parser)`` and ``run(args) -> exit code``, and a line for the help."""

EPILOGUE = "assay COMMAND --help tells more. Exit codes: 0 done, 1 a check failed, 2 bad usage, 3 nothing measured."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    top = _top()
    if not words:
        top.print_help()
        return 2
    args = top.parse_args(words[:1])
    module = importlib.import_module(COMMANDS[args.command][0])
    options = command_parser(args.command, module).parse_args(words[1:])
    return _guarded(module, options)


def command_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of one command, with the flags that all commands share."""
    summary = COMMANDS[name][1]
    parser = argparse.ArgumentParser(
        prog=f"assay {name}", description=(module.__doc__ or summary).strip().split("\n\n")[0], allow_abbrev=False
    )
    module.arguments(parser)
    shared = parser.add_argument_group("everywhere")
    shared.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of the result on stdout")
    shared.add_argument(
        "--home", metavar="DIR", help="where runs lie (ASSAY_HOME; default: the platform's data folder)"
    )
    shared.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    return parser


def _top() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="assay",
        usage="assay COMMAND [OPTIONS]",
        description="Find, run, measure and choose open language models on your own hardware.\n\ncommands:\n" + lines,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"assay {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _guarded(module: ModuleType, options: argparse.Namespace) -> int:
    try:
        code = module.run(options)
        sys.stdout.flush()
    except AssayError as error:
        if options.debug:
            raise
        print(f"assay: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("assay: interrupted; what had ended is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader went away (assay run list | head); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        print(f"assay: unexpected {type(error).__name__}: {error}", file=sys.stderr)
        print("  try: the same command with --debug shows where; please report it", file=sys.stderr)
        return 1
    return int(code)
