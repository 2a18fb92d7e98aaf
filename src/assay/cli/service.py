"""The service in the background: start, stop, look at it, read its log, have the system start it.

One for each home. It loads models when they are asked for; assay serve is the same in the foreground.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

import msgspec

from assay import app
from assay.cli import output, service_keys
from assay.cli import service_flags as flags
from assay.cli.parser import Parser
from assay.report import service as shown


def arguments(parser: Parser) -> None:
    """One sub-command for each thing to do with the service."""
    action = parser.actions()

    flags.serving(action("start", "Start it, unless it runs; it answers when this is done."))
    stop = action("stop", "Let answers under way end, then stop it and all its models.")
    stop.add_argument("--now", action="store_true", help="do not wait for answers under way")
    action("restart", "Stop it, and start it with what it was started with.")
    action("status", "Whether it runs and where; exit code 1 when it does not.")
    action("ps", "The models that are loaded: memory, requests, when they go.")
    logs = action("logs", "The last lines of its log.")
    logs.add_argument("-n", dest="count", type=flags.lines, default=50, metavar="N", help="so many lines (default 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as lines are written, until Ctrl-C")
    action("diag", "All there is to know about it in one piece, without secrets.")
    service_keys.arguments(action("keys", "Keys for the service: make, list and revoke them."))
    install = action("install", "Have the system start it when you log in.")
    flags.serving(install)
    flags.unit(install)
    install.add_argument("--print", dest="show", action="store_true", help="show the file instead of writing it")
    flags.unit(action("uninstall", "Remove what install has written."))


def run(args: argparse.Namespace) -> int:
    """The sub-command's own function."""
    return ACTIONS[args.action](args)


def _start(args: argparse.Namespace) -> int:
    wanted = flags.asked(args)
    started = app.start_service(wanted)
    if not started.fresh and wanted.differs(started.state.asked):
        print("assay: it goes on as it was started; what was given now is not used", file=sys.stderr)
        print("  try: assay service stop, then start it again", file=sys.stderr)
    return _started(args, started)


def _restart(args: argparse.Namespace) -> int:
    return _started(args, app.restart_service(home=args.home))


def _started(args: argparse.Namespace, started: app.Started) -> int:
    state = started.state
    if started.replaced:
        print(f"assay: an older service had not been stopped ({started.replaced})", file=sys.stderr)
    preload = msgspec.to_builtins(started.preload)
    for line in shown.preload_lines(preload):
        print(f"assay: {line}", file=sys.stderr)
    if args.output == "json":
        told = {"address": state.address, "pid": state.pid, "started": started.fresh, "log": state.log}
        output.as_json({**told, "preload": preload})
    elif started.fresh:
        output.lines([f"the service is running at {state.address}", f"  process {state.pid}, log {state.log}"])
    else:
        output.lines([f"the service is already running at {state.address}", f"  process {state.pid}"])
    return 0


def _stop(args: argparse.Namespace) -> int:
    def waiting() -> None:
        if not args.now and sys.stderr.isatty():
            print("assay: waiting for answers under way (--now does not)", file=sys.stderr)

    state = app.stop_service(home=args.home, now=args.now, on_wait=waiting)
    if args.output == "json":
        output.as_json({"pid": state.pid, "stopped": True})
    else:
        output.lines([f"the service has stopped (process {state.pid})"])
    return 0


def _status(args: argparse.Namespace) -> int:
    status = app.service_status(home=args.home)
    if args.output == "json":
        output.as_json(status)
    else:
        output.lines(shown.status_lines(msgspec.to_builtins(status), datetime.now(UTC)))
    return 0 if status.kind in {"running", "stopping"} else 1


def _ps(args: argparse.Namespace) -> int:
    rows = app.need_service(args.home).models()
    if args.output == "json":
        output.as_json(rows)
    else:
        output.lines(shown.models_lines(rows, width=output.width()))
    return 0


def _logs(args: argparse.Namespace) -> int:
    told = not args.count
    for line in app.log_lines(args.count, on=args.follow, home=args.home):
        told = True
        output.lines([line])
        sys.stdout.flush()
    if not told:
        print(f"assay: nothing has been logged in {app.place_of(args.home).log}", file=sys.stderr)
    return 0


def _diag(args: argparse.Namespace) -> int:
    found = app.diagnose(home=args.home)
    if args.output == "json":
        output.as_json(found)
    else:
        output.lines(shown.diagnosis_lines(msgspec.to_builtins(found)))
    return 0


def _install(args: argparse.Namespace) -> int:
    wanted = flags.asked(args)
    made = app.unit_for(wanted, args.kind) if args.show else app.install_service(wanted, args.kind)
    if args.output == "json":
        output.as_json(made)
    elif args.show:
        output.lines([made.text.rstrip("\n")])
    else:
        output.lines([f"wrote {made.path}", "to enable it:", *(f"  {line}" for line in made.enable)])
    return 0


def _uninstall(args: argparse.Namespace) -> int:
    path, was = app.uninstall_service(args.kind)
    if args.output == "json":
        output.as_json({"path": str(path), "removed": was})
    else:
        output.lines([f"removed {path}" if was else f"nothing was installed at {path}"])
    return 0


ACTIONS = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "status": _status,
    "ps": _ps,
    "logs": _logs,
    "diag": _diag,
    "keys": service_keys.run,
    "install": _install,
    "uninstall": _uninstall,
}
