"""What a look at the hub found, as a digest in Markdown that a scheduler can send; every foreign text is escaped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from assay.report.escape import markdown_text
from assay.report.units import UNKNOWN, parameters, size
from assay.types import Find, Fold

SAFE = re.compile(r"[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*", re.ASCII)
"""Repositories whose name can stand in an address and in a command as it is."""
SELECTOR = re.compile(r"[\w.+-]+", re.ASCII)
HUB = "https://huggingface.co/"
TEXT_LIMIT = 200
NAMED = 5
"""Folded repositories that are named; of more, the number is told."""


def digest(finds: Sequence[Find], since: str, until: str, machine_line: str, left: Sequence[Fold] = ()) -> str:
    """The digest of ``finds``, best first, and how many repositories were ``left`` out by which rule.

    ``since`` and ``until`` are ISO 8601; ``machine_line`` says in one line what the finds were held against.
    """
    parts = [
        [f"# New models, {_day(since)} to {_day(until)}"],
        [_text(machine_line)],
        [_summary(finds)],
        _table(finds),
        _commands(finds),
        _folded(finds),
        _left_out(left),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _summary(finds: Sequence[Find]) -> str:
    if not finds:
        return "Nothing was found that is new and worth a look."
    told = [f"{len(finds)} {'model is' if len(finds) == 1 else 'models are'} worth a look."]
    fitting = sum(find.fits is True for find in finds)
    unknown = sum(find.fits is None for find in finds)
    told += [f"{fitting} of them surely {'fits' if fitting == 1 else 'fit'} this machine."] if fitting else []
    told += [f"Of {unknown} nobody can say whether they fit."] if unknown else []
    return " ".join(told)


def _table(finds: Sequence[Find]) -> list[str]:
    if not finds:
        return []
    headings = ("Model", "Parameters", "Size", "Licence", "Task", "Fits", "Why it is here")
    rows = [
        (
            _linked(find.id),
            parameters(find.parameters),
            size(find.size),
            _licence(find),
            _text(find.task or UNKNOWN),
            _fits(find),
            _text(", ".join(find.why)),
        )
        for find in finds
    ]
    return [_row(headings), "| --- | ---: | ---: | --- | --- | --- | --- |", *map(_row, rows)]


def _commands(finds: Sequence[Find]) -> list[str]:
    told = [(find, command) for find in finds if (command := _command(find))]
    if not told:
        return []
    gated = "; its terms must be agreed to on its page first"
    lines = [f"- {_text(find.id)}: `{command}`{gated if find.gated else ''}" for find, command in told]
    return ["## To fetch one", "", *lines]


def _command(find: Find) -> str | None:
    """The command that fetches what would run here; None where its name could do more than name it."""
    if find.choice is not None:
        repo = find.choice.source.removeprefix("hf:")
        if SAFE.fullmatch(repo) and SELECTOR.fullmatch(find.choice.selector):
            return f"assay model download {find.reference}"
    repo = find.runnable[0].id if find.runnable else ""
    return f"assay model download hf:{repo}" if SAFE.fullmatch(repo) else None


def _folded(finds: Sequence[Find]) -> list[str]:
    lines = []
    for find in finds:
        if find.folded:
            named = "; ".join(f"{_text(away.id)} ({_text(away.why)})" for away in find.folded[:NAMED])
            more = len(find.folded) - NAMED
            lines.append(f"- {_text(find.id)} stands for {named}" + (f"; and {more} more" if more > 0 else ""))
    return ["## Folded", "", *lines] if lines else []


def _left_out(left: Sequence[Fold]) -> list[str]:
    rules = Counter(away.rule for away in left)
    counts = ", ".join(
        f"{_text(rule)} {count}" for rule, count in sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    )
    return [f"Left out, by rule: {counts}. `assay discover -v` tells each with its reason."] if left else []


def _fits(find: Find) -> str:
    told = {True: "yes", False: "no", None: "unknown"}[find.fits]
    return f"{told}: {_text(find.fit_reason)}" if find.fit_reason else told


def _licence(find: Find) -> str:
    named = f" ({_text(find.licence)})" if find.licence else ""
    return f"{_text(find.licence_class)}{named}"


def _linked(repo: str) -> str:
    return f"[{_text(repo)}]({HUB}{repo})" if SAFE.fullmatch(repo) else _text(repo)


def _day(time: str) -> str:
    return _text(time[:10])


def _text(text: str) -> str:
    return markdown_text(text, TEXT_LIMIT)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
