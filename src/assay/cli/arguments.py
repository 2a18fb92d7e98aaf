"""Flags that several commands share, and how they become arguments of the app.

A flag that was not given is None, so that the environment, the project file and the user file come after it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from assay.errors import BadInput
from assay.settings import flag


def workload(parser: argparse.ArgumentParser) -> None:
    """Flags that say what is asked and how often."""
    group = parser.add_argument_group("what is asked")
    group.add_argument("--prompts", type=Path, metavar="FILE", help="prompt set: JSON or JSON Lines (docs/files.md)")
    group.add_argument("--prompt", metavar="TEXT", help="one prompt instead of a set (BENCH_PROMPT)")
    group.add_argument("--rounds", metavar="N", help="times each prompt is asked (BENCH_ROUNDS; default 3)")
    group.add_argument("--warmup", metavar="N", help="requests before measuring, kept but not counted (default 1)")
    group.add_argument("--concurrency", metavar="N,N", help="requests at once; several levels run in turn (default 1)")
    group.add_argument("--max-tokens", metavar="N", help="most tokens of an answer (BENCH_MAX_TOKENS; default 256)")
    group.add_argument("--temperature", metavar="T", help="0 picks the likeliest token (BENCH_TEMPERATURE; default 0)")
    group.add_argument("--top-p", type=float, metavar="P", help="sample from the likeliest tokens up to this share")
    group.add_argument("--top-k", type=int, metavar="K", help="sample from this many likeliest tokens")
    group.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end an answer here; may be repeated"
    )
    group.add_argument("--seed", metavar="N", help="order of the requests, and of sampling (default 0)")
    group.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="answers in pieces (BENCH_STREAM; default on)",
    )
    group.add_argument("--timeout", dest="timeout_s", metavar="S", help="longest time for one answer (default 120)")
    group.add_argument("--retries", metavar="N", help="tries after a failed request, each recorded (default 0)")


def engine(parser: argparse.ArgumentParser) -> None:
    """Flags that say on what models run."""
    group = parser.add_argument_group("on what")
    group.add_argument(
        "--engine", action="append", default=[], metavar="NAME", help="run on this engine; may be repeated"
    )
    group.add_argument(
        "--endpoint", metavar="URL", help="measure a server that is already there (any OpenAI-compatible)"
    )
    group.add_argument(
        "--config", type=Path, metavar="FILE", help="models.json: the models, and prompts if it names them"
    )
    group.add_argument(
        "--adapter", metavar="NAME", help="run your own model: module:Class, or an installed adapter's name"
    )
    group.add_argument("--weights", type=Path, metavar="PATH", help="what the adapter loads")
    group.add_argument("--threads", metavar="N", help="threads of an engine (default: the engine's choice)")
    group.add_argument("--ctx", dest="context_length", metavar="N", help="context length for one request, in tokens")
    group.add_argument(
        "--interleave",
        choices=("auto", "on", "off"),
        default="auto",
        help="alternate between models while all are loaded (auto: where they fit in memory together)",
    )


def policy(parser: argparse._ActionsContainer) -> None:
    """The flag that says what a good model is."""
    parser.add_argument("--policy", type=Path, metavar="FILE", help="policy.toml: limits, objective, confidence")


def registry(parser: argparse.ArgumentParser) -> None:
    """The flag that names people's own list of models."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="models.json, before the project's and the user's")


def load(parser: argparse.ArgumentParser) -> None:
    """Flags that say how large a load of a model is."""
    parser.add_argument("--ctx", dest="context_length", metavar="N", help="context length of one request, in tokens")
    parser.add_argument("--parallel", dest="slots", type=count, metavar="N", help="requests at once (default 1)")


def count(text: str) -> int:
    """The type of a flag that takes how many there are to be of something.

    Raises:
        argparse.ArgumentTypeError: no whole number, or less than 1.
    """
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def token(parser: argparse.ArgumentParser) -> None:
    """The hub's token; the environment is the better place, because others can see a command's flags."""
    parser.add_argument("--token", metavar="TOKEN", help="your token at the Hub (HF_TOKEN is safer)")


WORKLOAD = (
    "prompts", "prompt", "rounds", "warmup", "concurrency", "max_tokens", "temperature", "top_p", "top_k", "stop",
    "seed", "stream", "timeout_s", "retries",
)  # fmt: skip
ENGINE = ("engine", "endpoint", "config", "adapter", "weights", "threads", "context_length", "interleave")


def given(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """The named arguments as keyword arguments of the app."""
    return {name: getattr(args, name) for name in names}


def refuse(args: argparse.Namespace, names: tuple[str, ...], beside: str, why: str) -> None:
    """Refuse flags that would change nothing here, rather than drop them silently.

    Raises:
        BadInput: one of ``names`` was given ``beside`` what takes no notice of it.
    """
    unused = [flag(name) for name in names if getattr(args, name) not in (None, [], "auto")]
    if unused:
        raise BadInput(f"{', '.join(unused)} cannot be given with {beside}", why=why, remedy="leave it out")
