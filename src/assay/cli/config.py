"""The settings: what each is, where that comes from, and how to change it.

A flag comes before a variable of the environment, that before the project's assay.toml, that before your own file,
which is the one that set and reset write.
"""

from __future__ import annotations

import argparse
import sys

import msgspec

from assay import app
from assay.cli import output
from assay.cli.parser import Parser
from assay.errors import BadInput
from assay.report import service as shown


def arguments(parser: Parser) -> None:
    """One sub-command for each thing to do with settings."""
    action = parser.actions()
    action("list", "Every setting, its value here and now, and where that comes from.")
    put = action("set", "Keep a value in your own file.")
    put.add_argument("key", metavar="KEY", help="such as serve.port")
    put.add_argument("value", metavar="VALUE", help="lists have commas between their parts")
    reset = action("reset", "Take settings out of your own file again.")
    reset.add_argument("keys", nargs="*", metavar="KEY", help="such as serve.port")
    reset.add_argument("--all", dest="everything", action="store_true", help="every setting")


def run(args: argparse.Namespace) -> int:
    """The sub-command's own function."""
    return {"list": _list, "set": _set, "reset": _reset}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    values = msgspec.to_builtins(app.config_values(home=args.home))
    if args.output == "json":
        output.as_json(values)
    else:
        output.lines(shown.config_lines(values, width=output.width()))
    return 0


def _set(args: argparse.Namespace) -> int:
    path, now = app.set_config(args.key, args.value, home=args.home)
    if args.output == "json":
        output.as_json({"file": str(path), "key": now.key, "value": now.value, "source": now.source})
    else:
        output.lines([f"{now.key} is {now.value} from now on, in {path}"] if now.source == str(path) else [])
    if now.source != str(path):
        print(f"assay: {now.key} was written to {path}, but {now.source} comes before it", file=sys.stderr)
    if now.key.startswith("serve."):
        print("assay: a running service takes it at assay service restart", file=sys.stderr)
    return 0


def _reset(args: argparse.Namespace) -> int:
    if bool(args.keys) == args.everything:
        what = "--all and single settings exclude each other" if args.keys else "which settings are to be reset?"
        raise BadInput(what, remedy="assay config reset KEY, or --all")
    path, gone = app.reset_config(args.keys, everything=args.everything, home=args.home)
    if args.output == "json":
        output.as_json({"file": str(path), "reset": gone})
    else:
        output.lines([f"{key} is as it was by default" for key in gone] or [f"{path} sets nothing of that"])
    return 0
