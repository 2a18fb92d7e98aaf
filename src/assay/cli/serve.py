"""Serve the models of this machine over an OpenAI-compatible address, in the foreground.

Models are loaded when they are asked for; those that are named are loaded at once, and stay. Ctrl-C waits for the
answers under way and stops; a second one stops at once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from assay import app
from assay.cli import drop, output
from assay.cli import service_flags as flags
from assay.cli.echo import Echo


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is served, where, and to whom."""
    flags.serving(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; 0 when every answer had ended, 130 when some were cut off."""
    options = app.options_for(flags.asked(args))

    def ready(state: app.ServiceState) -> None:
        told = {"address": state.address, "pid": state.pid, "version": state.version, "log": state.log}
        try:
            if args.output == "json":
                output.as_json(told)
            else:
                output.lines(_how(state, options.settings.serve_preload))
            sys.stdout.flush()
        except OSError:  # who started it may have closed the terminal: the service need not tell
            drop(sys.stdout)

    with contextlib.closing(Echo(sys.stderr)) as echo:
        drained = app.serve(options, echo=echo, on_ready=ready)
    return 0 if drained else 130


def _how(state: app.ServiceState, models: tuple[str, ...]) -> list[str]:
    """The address and one line to try it with."""
    model = models[0] if models else "notes-4m"
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    lines = [f"serving at {state.address}/v1, with its own page at {state.address}/docs"]
    lines += [f"loading {', '.join(models)}; requests for others load them"] if models else []
    lines.append(f"ask: curl {state.address}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'")
    lines.append("stop: Ctrl-C")
    return lines
