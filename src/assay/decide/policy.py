"""Reads policy.toml: hard limits, one objective with a tolerance, tie-breakers, a confidence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from assay.decide.amounts import parse_amount
from assay.decide.figures import FIGURES, meaning, near
from assay.errors import BadPolicy
from assay.types import Limit, Policy

DEFAULT_POLICY: Final = Policy()
"""Best quality; within 0.02 the faster, then the smaller. Where nothing was scored, speed takes quality's place."""

_TOP: Final = ("require", "prefer", "confidence", "concurrency")
_PREFER: Final = ("objective", "tolerance", "then", "confidence", "concurrency")
_LIMIT: Final = re.compile(r"\s*(?P<op>>=|<=|\u2265|\u2264)?(?P<amount>[^<>=\u2264\u2265]*)")
_OPS: Final[dict[str, Literal["<=", ">="]]] = {"<=": "<=", ">=": ">=", "\u2264": "<=", "\u2265": ">="}


def read_policy(path: Path) -> Policy:
    """The policy in a TOML file. Raises `BadPolicy`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadPolicy(f"cannot read {path}", why=str(error), remedy="give a policy.toml in UTF-8") from error
    return parse_policy(text, path.name)


def parse_policy(text: str, source: str = "policy.toml") -> Policy:
    """The policy in TOML text; ``source`` names it in errors. Raises `BadPolicy`.

    A limit is an amount with ``>=`` or ``<=`` in front, or alone: then it is the most for a figure of which less is
    better, and the least for the others. ``confidence`` and ``concurrency`` may stand at the top or, since TOML takes
    what follows ``[prefer]`` for a part of it, in there.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy(f"{source} is no TOML", why=str(error)) from error
    require, prefer = (_table(source, raw, name) for name in ("require", "prefer"))
    _know(source, "", raw, _TOP)
    _know(source, "prefer.", prefer, _PREFER)
    objective = _ranked(source, "prefer.objective", prefer.get("objective", DEFAULT_POLICY.objective))
    return Policy(
        limits=tuple(_limit(source, name, given) for name, given in require.items() if name != "licence"),
        licence=_licence(source, require.get("licence")),
        objective=objective,
        tolerance=_tolerance(source, prefer.get("tolerance", DEFAULT_POLICY.tolerance)),
        then=_then(source, prefer, objective),
        confidence=_confidence(source, _either(source, raw, prefer, "confidence")),
        concurrency=_concurrency(source, _either(source, raw, prefer, "concurrency")),
    )


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of policy.toml, which editors can check against."""
    content = resources.files("assay.decide").joinpath("policy.schema.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, Any])


def _table(source: str, raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise BadPolicy(f"{source}: {name} is {table!r}, and must be a table", remedy=f"begin it with [{name}]")
    return table


def _know(source: str, prefix: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            raise BadPolicy(f"{source}: there is no {prefix}{key}", remedy=near(key, list(known)))


def _limit(source: str, name: str, given: Any) -> Limit:
    what = meaning(name)
    if what is None:
        known = [*FIGURES, "quality.<criterion>", "licence"]
        raise BadPolicy(f"{source}: require.{name} is no figure", remedy=near(name, known))
    text = given if isinstance(given, str) else ""
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise BadPolicy(f"{source}: require.{name} = {given!r} is no limit", remedy='write ">= amount" or "<= amount"')
    op = _OPS[match["op"]] if match["op"] else "<=" if what.better == "low" else ">="
    try:
        bound = parse_amount(match["amount"] if text else given, what.unit)
    except ValueError as error:
        raise BadPolicy(f"{source}: require.{name} = {given!r} is no limit", why=str(error)) from error
    return Limit(figure=name, op=op, bound=bound, text=f"{name} {op} {match['amount'].strip() if text else given}")


def _licence(source: str, given: Any) -> str | tuple[str, ...] | None:
    if given is None or (isinstance(given, str) and given.strip()):
        return given
    if isinstance(given, list) and given and all(isinstance(one, str) and one.strip() for one in given):
        return tuple(given)
    raise BadPolicy(
        f"{source}: require.licence = {given!r} is no licence",
        remedy='write "permissive" (or another class), or a list of SPDX ids: ["MIT", "Apache-2.0"]',
    )


def _ranked(source: str, key: str, name: Any) -> str:
    what = meaning(name) if isinstance(name, str) else None
    known = [figure for figure, about in FIGURES.items() if about.ranked] + ["quality.<criterion>"]
    if what is None:
        raise BadPolicy(f"{source}: {key} = {name!r} is no figure", remedy=near(str(name), known))
    if not what.ranked:
        raise BadPolicy(
            f"{source}: {key} = {name!r} can't be ranked on",
            why="it counts prompt tokens as if they were generated, so long prompts would win",
            remedy="take throughput, request_tps or decode_tps",
        )
    return str(name)


def _then(source: str, prefer: Mapping[str, Any], objective: str) -> tuple[str, ...]:
    given = prefer.get("then", [name for name in DEFAULT_POLICY.then if name != objective])
    if not isinstance(given, list):
        raise BadPolicy(f"{source}: prefer.then = {given!r} is no list", remedy='write ["e2e_p95", "disk"]')
    return tuple(_ranked(source, "prefer.then", name) for name in given)


def _tolerance(source: str, given: Any) -> float:
    try:
        return parse_amount(given, "share")
    except ValueError as error:
        raise BadPolicy(f"{source}: prefer.tolerance = {given!r}", why=str(error)) from error


def _either(source: str, raw: Mapping[str, Any], prefer: Mapping[str, Any], key: str) -> Any:
    if key in raw and key in prefer:
        raise BadPolicy(f"{source}: {key} is given twice", why="once at the top, once in [prefer]", remedy="keep one")
    return raw.get(key, prefer.get(key))


def _confidence(source: str, given: Any) -> float:
    if given is None:
        return DEFAULT_POLICY.confidence
    try:
        confidence = parse_amount(given, "share")
    except ValueError as error:
        raise BadPolicy(f"{source}: confidence = {given!r}", why=str(error)) from error
    if not 0 < confidence < 1:
        raise BadPolicy(f"{source}: confidence = {given!r}", why="nothing is sure", remedy="write 0.95, say")
    return confidence


def _concurrency(source: str, given: Any) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 1):
        return given
    raise BadPolicy(f"{source}: concurrency = {given!r} is no level", remedy="write a number from 1 up")
