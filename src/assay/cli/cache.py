"""The models on this machine: what they take, whether their files are whole, moving them, removing them."""

from __future__ import annotations

import argparse
import sys

from assay import app, report
from assay.cli import output
from assay.cli.parser import Parser
from assay.errors import BadInput
from assay.report import units
from assay.report.columns import columns


def arguments(parser: Parser) -> None:
    """One sub-command for each thing to do with the store."""
    action = parser.actions()
    for name in ("list", "ls"):
        action(name, "Every model in the store, with what it takes of the disk.")
    action("location", "The folder of the store.")
    cd = action("cd", "Have the store in another folder.")
    cd.add_argument("folder", metavar="PATH")
    how = cd.add_mutually_exclusive_group()
    how.add_argument("--move", dest="how", action="store_const", const="move", help="move the models there")
    how.add_argument(
        "--point", dest="how", action="store_const", const="point", help="use what lies there; leave the models"
    )
    remove = action("remove", "Remove models; what is in use stays, and says by whom.")
    remove.add_argument("models", nargs="+", metavar="MODEL", help="an alias, an id, or * for all")
    remove.add_argument("--yes", action="store_true", help="do not ask before removing everything")
    verify = action("verify", "Hash every file and tell what is damaged; exit code 1 for any.")
    verify.add_argument("models", nargs="*", metavar="MODEL", help="only these")
    prune = action("prune", "Show what could go, and remove it with --yes.")
    prune.add_argument("--older-than", metavar="AGE", help="models not used for so long, such as 30d")
    prune.add_argument("--unused", action="store_true", help="models that were never started")
    prune.add_argument("--over", metavar="SIZE", help="the longest unused, until the store has at most this size")
    prune.add_argument("--yes", action="store_true", help="remove what is shown")


def run(args: argparse.Namespace) -> int:
    """The sub-command's own function."""
    return ACTIONS[args.action](args)


def _list(args: argparse.Namespace) -> int:
    contents = app.cached(home=args.home)
    if args.output == "json":
        output.as_json(contents)
        return 0
    for problem in contents.problems:
        print(f"assay: {problem}", file=sys.stderr)
    if not contents.models:
        output.lines([f"no models in {contents.folder}; assay model download fetches one"])
        return 0
    rows = [
        (
            kept.stored.variant.alias,
            units.size(kept.own),
            units.size(kept.linked) if kept.linked else "",
            kept.stored.origin,
            (kept.stored.used or "never")[:10],
            kept.stored.variant.id + (" (in use)" if kept.in_use else ""),
        )
        for kept in contents.models
    ]
    head = ("Alias", "Own files", "Linked", "From", "Last used", "Model ID")
    total = units.size(sum(kept.own for kept in contents.models))
    output.lines([*columns(head, rows, right=(1, 2), width=output.width()), "", f"{total} in {contents.folder}"])
    return 0


def _location(args: argparse.Namespace) -> int:
    folder = app.cache_location(home=args.home)
    if args.output == "json":
        output.as_json({"folder": str(folder)})
    else:
        output.lines([str(folder)])
    return 0


def _cd(args: argparse.Namespace) -> int:
    how = args.how or _asked_how(args)
    with report.ProgressReporter() as reporter:
        folder = app.move_cache(args.folder, how=how, home=args.home, reporter=reporter)
    if args.output == "json":
        output.as_json({"folder": str(folder), "how": how})
    else:
        output.lines([f"the models {'lie' if how == 'move' else 'are looked for'} in {folder} from now on"])
    return 0


def _asked_how(args: argparse.Namespace) -> app.Move:
    there = app.cached(home=args.home)
    if not there.models:
        return "point"
    if not sys.stdin.isatty():
        raise BadInput(
            f"{len(there.models)} models lie in {there.folder}, and nobody can be asked what becomes of them",
            remedy="give --move to move them, or --point to leave them",
        )
    question = f"Move {units.plural(len(there.models), 'model')} from {there.folder} too? [y/n] "
    return "move" if _agreed(question) else "point"


def _agreed(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _remove(args: argparse.Namespace) -> int:
    if "*" in args.models and not args.yes:
        there = app.cached(home=args.home).models
        if not sys.stdin.isatty():
            raise BadInput("nobody can be asked whether everything may go", remedy="give --yes")
        if there and not _agreed(f"Remove {units.plural(len(there), 'model')}? [y/n] "):
            return 1
    removed = app.remove_models(args.models, home=args.home)
    if args.output == "json":
        output.as_json([{"id": one.id, "freed": one.freed} for one in removed])
    else:
        output.lines([f"removed {one.id}, {units.size(one.freed)} freed" for one in removed] or ["nothing to remove"])
    return 0


def _verify(args: argparse.Namespace) -> int:
    with report.ProgressReporter() as reporter:
        checked = app.verify_models(args.models, home=args.home, reporter=reporter)
    if args.output == "json":
        output.as_json([{"id": one.id, "ok": one.ok, "files": [f._asdict() for f in one.files]} for one in checked])
        return int(any(one.damaged for one in checked))
    for one in checked:
        bad = [f"  {file.path}: {file.state}" + _differs(file.expected, file.found) for file in one.damaged]
        unknown = sum(file.state == "unknown" for file in one.files)
        state = "damaged" if bad else f"{unknown} files with no known hash" if unknown else "whole"
        output.lines([f"{one.id}: {state}", *bad])
        if bad:
            output.lines([f"  try: assay cache remove {one.id}, then fetch or import it again"])
    if not checked:
        output.lines(["no models to verify"])
    return int(any(one.damaged for one in checked))


def _differs(expected: str | None, found: str | None) -> str:
    return f" (expected {expected}, found {found})" if expected else ""


def _prune(args: argparse.Namespace) -> int:
    plan = app.prune_plan(older_than=args.older_than, unused=args.unused, over=args.over, home=args.home)
    freed = app.prune(plan, home=args.home) if args.yes else None
    if args.output == "json":
        items = [item._asdict() for item in plan.items]
        output.as_json({"items": items, "bytes": plan.bytes, "freed": freed, "over": plan.over, "in_use": plan.in_use})
        return 0
    output.lines([f"{item.name}: {units.size(item.bytes)}, {item.why}" for item in plan.items])
    output.lines([f"{name} is in use and stays" for name in plan.in_use])
    output.lines([f"{units.size(plan.over)} more than asked for would stay"] if plan.over else [])
    if not plan.items:
        output.lines(["nothing to remove"])
    elif freed is None:
        output.lines([f"{units.size(plan.bytes)} would be freed; give --yes to remove this"])
    else:
        output.lines([f"{units.size(freed)} freed"])
    return 0


ACTIONS = {
    "list": _list,
    "ls": _list,
    "location": _location,
    "cd": _cd,
    "remove": _remove,
    "verify": _verify,
    "prune": _prune,
}
