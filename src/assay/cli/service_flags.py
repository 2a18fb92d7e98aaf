"""Flags of a service, in the foreground, in the background or as a unit of the system."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay import app

FIELDS = (
    "serve_host", "serve_port", "serve_ttl_s", "serve_keep_warm_s", "serve_memory", "serve_slots", "context_length",
    "serve_routes", "serve_allow_hosts", "serve_allow_origins", "serve_tls_cert", "serve_tls_key", "serve_stall_s",
    "serve_queue", "registry", "serve_preload",
)  # fmt: skip


def serving(parser: argparse.ArgumentParser) -> None:
    """Everything that a start takes; what is not given comes from the settings (assay config list)."""
    parser.add_argument("serve_preload", nargs="*", metavar="MODEL", help="load it at once and keep it")
    where = parser.add_argument_group("where, and for whom")
    where.add_argument("--host", dest="serve_host", metavar="HOST", help="address to listen on (default 127.0.0.1)")
    where.add_argument(
        "--port", dest="serve_port", metavar="N", help="port, this one or none; 0: any free one (default 5273)"
    )
    where.add_argument("--no-key", action="store_true", help="let in everybody who reaches the address")
    where.add_argument(
        "--allow-host",
        dest="serve_allow_hosts",
        action="append",
        metavar="HOST",
        help="a name that requests may call this machine by; may be repeated",
    )
    where.add_argument(
        "--allow-origin",
        dest="serve_allow_origins",
        action="append",
        metavar="ORIGIN",
        help="web pages that may ask, such as https://chat.example; may be repeated",
    )
    where.add_argument("--tls-cert", dest="serve_tls_cert", type=Path, metavar="FILE", help="certificate, as PEM")
    where.add_argument("--tls-key", dest="serve_tls_key", type=Path, metavar="FILE", help="its key, as PEM")
    what = parser.add_argument_group("what is served, and how much at once")
    what.add_argument("--config", dest="registry", type=Path, metavar="FILE", help="models.json with further models")
    what.add_argument(
        "--route",
        dest="serve_routes",
        action="append",
        metavar="NAME=A,B",
        help="a name for several models, tried in turn; may be repeated",
    )
    what.add_argument(
        "--memory",
        dest="serve_memory",
        metavar="SIZE",
        help="what all models may take (8GB; default: nine tenths of what is free)",
    )
    what.add_argument(
        "--parallel", dest="serve_slots", metavar="N", help="answers at once of each model (default: by its memory)"
    )
    what.add_argument("--ctx", dest="context_length", metavar="N", help="context length of one request, in tokens")
    what.add_argument("--queue", dest="serve_queue", metavar="N", help="requests that may wait (default 512)")
    what.add_argument(
        "--ttl", dest="serve_ttl_s", metavar="S", help="how long an idle model stays, or never to go (default 1800)"
    )
    what.add_argument(
        "--keep-warm", dest="serve_keep_warm_s", metavar="S", help="ask an idle model a trifle so often (default never)"
    )
    what.add_argument(
        "--stall", dest="serve_stall_s", metavar="S", help="end a model that makes no token for so long (default 120)"
    )
    what.add_argument("--log-prompts", action="store_true", help="write prompts and answers into the log")


def asked(args: argparse.Namespace) -> app.Asked:
    """What was asked for with these flags in this folder."""
    return app.wanted_service(
        home=args.home,
        flags={field: getattr(args, field) for field in FIELDS},
        no_key=args.no_key,
        log_prompts=args.log_prompts,
    )


def unit(parser: argparse.ArgumentParser) -> None:
    """Which system it is for."""
    parser.add_argument(
        "--for", dest="kind", choices=("systemd", "launchd"), help="the system's own (default), or another's"
    )


def lines(text: str) -> int:
    """The type of a flag that takes a number of lines.

    Raises:
        argparse.ArgumentTypeError: no whole number.
    """
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
