"""The choice in one English sentence: who, how sure, and why rather than the next."""

from __future__ import annotations

from typing import NamedTuple

from assay.decide.figures import is_latency, percent, written
from assay.decide.limits import Miss
from assay.decide.ranking import NOBODY, Ranked, Rule

_SHOWN = 3


class Contest(NamedTuple):
    """A ranking with what there is to say about it; per candidate, in the order that decides between equals."""

    labels: tuple[str, ...]
    misses: tuple[tuple[Miss, ...], ...]
    rules: tuple[Rule, ...]
    ranked: Ranked
    second: int
    """The winner if the winner were not there, or `NOBODY`."""
    shares: tuple[float | None, ...]
    """P(best); None without replicates."""
    meets: tuple[float | None, ...]
    confidence: float
    instead_of: str | None
    """The objective that nothing was known of, where another one stands in for it."""


def sentence(contest: Contest) -> str:
    """One sentence on the whole contest."""
    winner = int(contest.ranked.winner[0])
    if winner == NOBODY:
        return _nobody(contest)
    words = f"{_how_sure(contest, winner)}: {_why(contest, winner)}"
    if contest.instead_of:
        words += f"; nothing was scored, so {contest.rules[0].figure} decided in place of {contest.instead_of}"
    return f"{words}."


def _how_sure(contest: Contest, winner: int) -> str:
    label, share = contest.labels[winner], contest.shares[winner]
    if share is None:
        return f"Run {label}, though one prompt cannot tell how sure that is"
    if share >= contest.confidence:
        return f"Run {label}, P(best) {percent(share)}"
    return f"Run {label} for now, P(best) {percent(share)} where {percent(contest.confidence)} was asked for"


def _why(contest: Contest, winner: int) -> str:
    second = contest.second
    if second == NOBODY:
        count = len(contest.labels)
        return "it is the only candidate" if count == 1 else f"it is the only one of {count} candidates that qualifies"
    other = contest.labels[second]
    number = contest.ranked.dropped[second]
    if number is None:
        return f"it equals {other} in every line of the policy and comes first by name"
    rules = contest.rules
    rule = rules[number % len(rules)]
    mine, theirs = (_value(rule, index) for index in (winner, second))
    ahead = f"{rule.figure} ({mine} against {theirs})"
    if number >= len(rules):
        return f"{other} ties with it in every line within the tolerance, and the bare figure decides: {ahead}"
    if number == 0:
        return f"it beats {other} on {ahead}"
    tied = ", ".join(_tie(one, winner, second) for one in rules[:number] if one.figure != rule.figure)
    return f"it ties with {other} on {tied} and is ahead on {ahead}"


def _tie(rule: Rule, winner: int, second: int) -> str:
    mine, theirs = (_value(rule, index) for index in (winner, second))
    if mine == theirs:
        return f"{rule.figure} ({mine})"
    values = rule.values[:, 0]
    small = is_latency(rule.figure) and abs(values[winner] - values[second]) <= rule.error_s
    return f"{rule.figure} ({mine} and {theirs}{', less apart than the instrument can tell' if small else ''})"


def _value(rule: Rule, index: int) -> str:
    value = float(rule.values[index, 0])
    return written(value, rule.figure) if value == value else "unknown"  # noqa: PLR0124 - NaN


def _nobody(contest: Contest) -> str:
    """Which limit was nearest to being met, over candidates that miss limits by numbers only; else all reasons."""
    numeric = [
        (max(miss.by for miss in misses if miss.by is not None), index)
        for index, misses in enumerate(contest.misses)
        if misses and all(miss.by is not None for miss in misses)
    ]
    if not numeric:
        reasons = [
            f"{label} ({'; '.join(miss.reason for miss in misses)})"
            for label, misses in zip(contest.labels, contest.misses, strict=True)
        ]
        more = f" and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        return f"No candidate qualifies: {', '.join(reasons[:_SHOWN])}{more}."
    by, nearest = min(numeric)
    worst = max(contest.misses[nearest], key=lambda miss: miss.by or 0.0)
    others = len(contest.misses[nearest]) - 1
    if worst.limit is None or worst.value is None:
        return f"No candidate qualifies: {contest.labels[nearest]} comes nearest."
    figure = worst.limit.figure
    also = f", and {others} other limit{'s' if others > 1 else ''} by less" if others else ""
    side = "at most" if worst.limit.op == "<=" else "at least"
    return (
        f"No candidate qualifies: the nearest is {contest.labels[nearest]}, whose {figure} of "
        f"{written(worst.value, figure)} misses the limit of {side} {written(worst.limit.bound, figure)} by "
        f"{_relative(by)}{also}."
    )


def _relative(share: float) -> str:
    return f"{share * 100:,.0f}%" if share >= 0.1 else f"{share * 100:.2g}%"
