"""``assay service keys``: who may use the service over the network."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from assay import app
from assay.cli import output
from assay.cli.parser import Parser
from assay.report.columns import columns

if TYPE_CHECKING:
    from datetime import datetime


def arguments(parser: Parser) -> None:
    """The actions of ``assay service keys``."""
    action = parser.actions("keys_action")
    add = action("add", "Make a key; it is shown this once, and only its hash is kept.")
    add.add_argument("name", metavar="NAME", help="whose it is, such as laptop or ci")
    add.add_argument("--rate", metavar="N/min", help="requests that it may send, such as 60/min (default: no limit)")
    add.add_argument("--at-once", type=int, metavar="N", help="requests that it may have under way (default: no limit)")
    add.add_argument("--expires", metavar="WHEN", help="when it ends: 30d, 12h, 2w or a date (default: never)")
    action("list", "Every key: its name, its limits, and whether it still lets anybody in.")
    revoke = action("revoke", "Let a key open nothing any more; a running service notices.")
    revoke.add_argument("name", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """The sub-command's own function."""
    return ACTIONS[args.keys_action](args)


def _add(args: argparse.Namespace) -> int:
    new = app.add_key(args.name, rate=args.rate, at_once=args.at_once, expires=args.expires, home=args.home)
    if args.output == "json":
        output.as_json({"name": new.key.name, "key": new.secret, "expires": new.key.expires})
        return 0
    output.lines([new.secret])
    print(f"assay: the key {new.key.name} is shown this once; send it as Authorization: Bearer KEY", file=sys.stderr)
    return 0


def _list(args: argparse.Namespace) -> int:
    keys = app.list_keys(home=args.home)
    if args.output == "json":
        output.as_json(keys)
        return 0
    if not keys:
        output.lines(["no keys; assay service keys add NAME makes one"])
        return 0
    rows = [
        (key.name, key.state, _day(key.created), _day(key.expires), key.rate or "", str(key.at_once or ""))
        for key in keys
    ]
    output.lines(columns(("Name", "State", "Created", "Expires", "Rate", "At once"), rows, right=(5,)))
    return 0


def _revoke(args: argparse.Namespace) -> int:
    gone = app.revoke_key(args.name, home=args.home)
    if args.output == "json":
        output.as_json({"name": gone.key.name, "revoked": gone.key.revoked, "left": gone.left})
        return 0
    output.lines([f"revoked {gone.key.name}"])
    if not gone.left:
        print("assay: no key is left; a service that asks for keys lets nobody in", file=sys.stderr)
        print("  try: assay service keys add NAME; or start it with --no-key", file=sys.stderr)
    return 0


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else "never"


ACTIONS = {"add": _add, "list": _list, "revoke": _revoke}
