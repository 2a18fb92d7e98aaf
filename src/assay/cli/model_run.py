"""``assay model run``, ``load`` and ``unload``: one answer or a chat, here or behind the service."""

from __future__ import annotations

import argparse
import io
import os
import select
import stat
import sys

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import chat, output
from assay.cli.chat_terminal import at_terminal
from assay.errors import AssayError, BadInput
from assay.report import models as shown
from assay.report.escape import clean

ONCE = (
    "system", "max_tokens", "temperature", "engine", "threads", "context_length", "slots", "timeout_s", "config",
    "token", "ttl", "retain",
)  # fmt: skip
CHAT = tuple(name for name in ONCE if name not in {"system", "timeout_s"})
SILENT_S = 3.0
"""How long a pipe beside a prompt may be silent."""


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``model run``."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        help="what to ask once, before what is piped in; without it, standard input is read, or a chat begins",
    )
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument(
        "--max-tokens", metavar="N", help="most tokens of an answer (default 256; in a chat, what the context has)"
    )
    parser.add_argument("--temperature", metavar="T", help="0 picks the likeliest token (default 0)")
    parser.add_argument("--engine", metavar="NAME", help="run on this engine, in a process of its own")
    parser.add_argument("--threads", metavar="N", help="threads of the engine (default: the engine's choice)")
    parser.add_argument("--timeout", dest="timeout_s", metavar="S", help="longest time for one answer (default 120)")
    parser.add_argument("--retain", action="store_true", help="leave the model loaded in the service")
    parser.add_argument("--ttl", type=_seconds, metavar="S", help="leave it loaded in the service, for S idle seconds")
    parser.add_argument("--no-history", action="store_true", help="keep no line that is typed in the chat")
    parser.add_argument("--verbose", action="store_true", help="what was chosen, where, and how long each step took")
    flags.registry(parser)
    flags.load(parser)
    flags.token(parser)


def load_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``model load``."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--ttl", type=_seconds, metavar="S", help="idle seconds until it goes (default: the service's)")


def unload_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``model unload``."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--force", action="store_true", help="at once, even if that breaks answers under way")


def run(args: argparse.Namespace) -> int:
    """A chat at a terminal; where there is a prompt, one answer."""
    if args.prompt is None and sys.stdin.isatty():
        return _chat(args)
    prompt = _beside(args.prompt) if args.prompt is not None else _piped()
    if not prompt:
        raise BadInput("the prompt is empty", remedy='give --prompt "...", or a text on standard input')
    if args.no_history:
        raise BadInput(
            "--no-history cannot be given with a prompt", why="only a chat keeps lines", remedy="leave it out"
        )
    return _once(args, prompt)


def load(args: argparse.Namespace) -> int:
    """Have the service load a model."""
    with report.ProgressReporter() as progress:
        if sys.stderr.isatty():
            progress.stage(f"Loading {args.model} in the service")
        told = app.load_in_service(args.model, ttl=args.ttl, home=args.home)
    if args.output == "json":
        output.as_json(told)
    else:
        output.lines([shown.loaded(told)])
    return 0


def unload(args: argparse.Namespace) -> int:
    """Have the service take a model down."""
    gone = app.unload_in_service(args.model, force=args.force, home=args.home)
    if args.output == "json":
        output.as_json({"unloaded": gone})
    else:
        output.lines([f"{one}: unloaded, or as soon as its answers have ended" for one in gone])
        output.lines([] if gone else [f"{args.model} is not loaded"])
    return 0


def _beside(prompt: str) -> str:
    """``prompt``, an empty line and what is on standard input.

    Who holds the other end of a pipe may never write: one that stays silent is left alone. So is the rest of a file
    that another has begun to read, as a loop of the shell does.
    """
    try:
        descriptor = sys.stdin.fileno()
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISREG(kind):
            given = os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        elif stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            given = _comes(descriptor)
        else:
            return prompt
    except (AttributeError, OSError, ValueError):  # there is none
        return prompt
    if given:
        return "\n\n".join(filter(None, (prompt, _piped())))
    why = "another program reads it" if stat.S_ISREG(kind) else f"nothing came for {SILENT_S:g} s"
    print(f"assay: --prompt is asked without standard input: {why}; < /dev/null gives none", file=sys.stderr)
    return prompt


def _comes(descriptor: int) -> bool:
    """Whether something comes, or the end, before it was silent for too long; Windows cannot tell of pipes."""
    return sys.platform == "win32" or bool(select.select([descriptor], [], [], SILENT_S)[0])


def _piped() -> str:
    """What standard input holds; raise ``BadInput`` where that is no text."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")
    try:
        return sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise BadInput("standard input is not UTF-8", why=str(error), remedy="write it in UTF-8") from error


def _chat(args: argparse.Namespace) -> int:
    if not at_terminal():
        raise BadInput("nothing to ask", remedy=f'assay model run {args.model} --prompt "..."')
    if args.output == "json":
        raise BadInput("-o json is for one answer", remedy=f'assay model run {args.model} -o json --prompt "..."')
    flags.refuse(args, ("timeout_s",), "a chat", "Ctrl-C stops an answer that takes too long")
    wishes = app.Wishes(home=args.home, **flags.given(args, CHAT))
    return chat.converse(args.model, wishes, system=args.system, history=not args.no_history, verbose=args.verbose)


def _once(args: argparse.Namespace, prompt: str) -> int:
    as_text = args.output == "text"
    at_screen = sys.stdout.isatty()
    gone: list[OSError] = []
    with report.ProgressReporter() as progress:

        def heard(text: str) -> None:
            progress.close()
            try:
                output.piece(clean(text) if at_screen else text)
            except OSError as error:
                gone.append(error)
                raise

        try:
            answered = app.run_model(
                args.model,
                prompt,
                **flags.given(args, ONCE),
                home=args.home,
                heard=heard if as_text else None,
                reporter=progress if args.verbose or sys.stderr.isatty() else None,
                transfers=progress,
            )
        except AssayError:
            if gone:  # whoever read the answer has had enough of it, or the disk is full
                raise gone[0] from None
            raise
    if as_text:
        output.lines([""])
    else:
        output.as_json(answered)
    if args.verbose:
        for line in shown.answered(answered):
            print(line, file=sys.stderr)
    return 0


def _seconds(text: str) -> float:
    """The type of ``--ttl``."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")
    return value
