"""Phrases that several kinds of report share: dates, the policy, how sure the choice is."""

from __future__ import annotations

from datetime import datetime

from assay.report.subject import Report
from assay.report.units import count, percent, probability


def day(stamp: str) -> str:
    """``2 January 2026, 03:04 UTC`` of an ISO stamp; the stamp itself when it is not one."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def policy_facts(report: Report) -> list[tuple[str, str]]:
    """What was asked of the candidates and how sure the answer is; empty when no policy was applied."""
    choice = report.choice
    if choice is None:
        return []
    policy = choice.policy
    limits = [limit.text for limit in policy.limits]
    if policy.licence:
        wanted = policy.licence if isinstance(policy.licence, str) else " or ".join(policy.licence)
        limits.append(f"licence {wanted}")
    prefers = f"{policy.objective}, within {policy.tolerance:g}"
    if policy.then:
        prefers += "; then " + ", ".join(policy.then)
    facts = [("Requires", "; ".join(limits) or "nothing"), ("Prefers", prefers)]
    if not choice.measured:
        return [*facts, ("Measured", "nothing: the choice rests on what is declared")]
    at = "1 request at a time" if report.level == 1 else f"{report.level} requests at once"
    facts.append(("Decided at", at))
    if choice.winner and choice.p_best is not None:
        wanted = percent(policy.confidence)
        sure = "reaches" if choice.sure else "is below"
        drawn = f" over {count(choice.replicates)} bootstrap draws" if choice.replicates else ""
        facts.append(("How sure", f"P(best) {probability(choice.p_best)}{drawn}, which {sure} the {wanted} asked for"))
    return facts
