"""The command line: parse, one call into the app, one call into the report, an exit code.

In: argv, the environment. Out: results on stdout, talk on stderr, exit code 0 done, 1 a check failed, 2 bad usage,
3 nothing could be measured, 130 interrupted. Commands are imported when they run, so help and version answer at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TextIO

from assay import __version__
from assay.cli.parser import Parser
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
    "model": ("assay.cli.model", "find models, see what fits, fetch, import, compile, and try them"),
    "cache": ("assay.cli.cache", "the models on this machine: what they take, verify, move, remove, prune"),
    "serve": ("assay.cli.serve", "serve the models of this machine over an OpenAI-compatible address"),
    "service": ("assay.cli.service", "the same in the background: start, stop, status, models, log, keys"),
    "config": ("assay.cli.config", "list, set and reset settings"),
    "discover": ("assay.cli.discover", "what is new on the Hub, fits this machine, and runs on an engine here"),
    "selftest": ("assay.cli.selftest", "measure the measuring client against a server with known timings"),
}
"""Name -> module that holds ``arguments(parser)`` and ``run(args) -> exit code``, and a line for the help.

``args.typed`` is the whole command line, as a shell would take it again.
"""

ELSEWHERE = {
    "pull": "model download", "get": "model download", "download": "model download", "show": "model info",
    "info": "model info", "list": "model list", "ls": "model list", "models": "model list",
    "search": "model list --search",
    "rm": "cache remove", "remove": "cache remove", "create": "model import", "import": "model import",
    "convert": "model compile", "quantize": "model compile", "chat": "model run", "generate": "model run",
    "benchmark": "bench", "eval": "bench", "start": "service start", "up": "service start", "stop": "service stop",
    "down": "service stop", "restart": "service restart", "status": "service status", "ps": "service ps",
    "logs": "service logs", "log": "service logs", "server": "serve", "settings": "config list", "set": "config set",
}  # fmt: skip
"""What other runners call it -> what it is called here."""

WITHIN = {
    "model": {
        "ls": "model list", "show": "model info", "pull": "model download", "get": "model download",
        "rm": "cache remove", "remove": "cache remove", "delete": "cache remove", "add": "model import",
        "convert": "model compile", "quantize": "model compile", "chat": "model run",
    },
    "service": {
        "up": "service start", "down": "service stop", "list": "service ps", "ls": "service ps", "log": "service logs",
        "key": "service keys", "set": "config set serve.port", "enable": "service install",
        "disable": "service uninstall",
    },
    "config": {"get": "config list", "show": "config list", "ls": "config list", "unset": "config reset"},
    "cache": {"dir": "cache location", "rm": "cache remove", "delete": "cache remove", "clean": "cache prune"},
}  # fmt: skip
"""The same after a command of ours."""

EPILOGUE = "assay COMMAND --help tells more. Exit codes: 0 done, 1 a check failed, 2 bad usage, 3 nothing measured."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; bad usage ends in ``SystemExit(2)``, as argparse has it."""
    words = list(sys.argv[1:] if argv is None else argv)
    _fill_streams()
    for stream in (sys.stdout, sys.stderr):
        _speak_utf8(stream)
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("assay: interrupted; what had ended is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader went away (assay run list | head); nothing more can be said to it.
        drop(sys.stdout)
        return 0
    except OSError as error:
        drop(sys.stdout)
        return _tell(error)


def _run(words: list[str]) -> int:
    top = _top()
    if not words:
        top.print_help()
        return 2
    top.require_utf8(words)
    name = words[0]
    if name in {"-h", "--help", "--version"}:
        top.parse_args([name])
    if name.startswith("-"):
        top.fail(f"{name!r} stands where a command should", "flags come after it", f"assay COMMAND {name}, or --help")
    if name not in COMMANDS:
        near = [ELSEWHERE[name]] if name in ELSEWHERE else difflib.get_close_matches(name, COMMANDS, n=1)
        top.fail(f"there is no command {name!r}", None, f"assay {near[0] if near else '--help'}")
    meant = WITHIN.get(name, {}).get(words[1]) if len(words) > 1 else None
    if meant is not None:
        top.fail(f"there is no command {name + ' ' + words[1]!r}", None, f"assay {meant}")
    module = importlib.import_module(COMMANDS[name][0])
    options = command_parser(name, module).parse_args(words[1:])
    options.typed = shlex.join(["assay", *words])
    return _guarded(module, options)


def command_parser(name: str, module: ModuleType) -> Parser:
    """The parser of one command, with the flags that all commands share."""
    summary = COMMANDS[name][1]
    parser = Parser(prog=f"assay {name}", description=(module.__doc__ or summary).strip().split("\n\n")[0])
    module.arguments(parser)
    parser.share()
    return parser


def _top() -> Parser:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    parser = Parser(
        prog="assay",
        usage="assay COMMAND [OPTIONS]",
        description="Find, run, measure and choose open language models on your own hardware.\n\ncommands:\n" + lines,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"assay {__version__}")
    return parser


def _guarded(module: ModuleType, options: argparse.Namespace) -> int:
    try:
        return int(module.run(options))
    except AssayError as error:
        if options.debug:
            raise
        print(f"assay: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        if options.debug:
            raise
        return _tell(error)
    except Exception as error:
        if options.debug:
            raise
        print(f"assay: unexpected {type(error).__name__}: {error}", file=sys.stderr)
        print("  try: the same command with --debug shows where; please report it", file=sys.stderr)
        return 1


def _tell(error: OSError) -> int:
    """A full disk, missing rights: nothing that Assay did wrong."""
    print(f"assay: {error.filename or 'the output'} cannot be read or written", file=sys.stderr)
    print(f"  why: {error.strerror or error}\n  try: check the room and the rights there", file=sys.stderr)
    return 2


def drop(stream: TextIO) -> None:
    """Nobody can read ``stream``: what is still buffered goes nowhere, or Python would write it again as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _fill_streams() -> None:
    """A standard stream that is closed becomes one that holds nothing, or the next open file would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _speak_utf8(stream: TextIO) -> None:
    """Files and pipes get UTF-8 whatever the machine's code page is; what no terminal can show is escaped."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace", **({} if stream.isatty() else {"encoding": "utf-8"}))
