"""The choice: hard limits, one objective within a tolerance, tie-breakers, and how sure the outcome is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import structs

from assay.decide.alike import common_prompts, require_alike
from assay.decide.bootstrap import REPLICATES, Draws, draw
from assay.decide.estimates import Estimates
from assay.decide.figures import is_quality
from assay.decide.limits import LicenceClass, Miss, licence_miss, limit_miss, meets
from assay.decide.measured import Measured, measured
from assay.decide.ranking import NOBODY, Ranked, Rule, rank
from assay.decide.sentence import Contest, sentence
from assay.errors import NothingMeasured
from assay.types import Choice, Policy, RunData, Verdict

_IN_PLACE_OF_QUALITY = ("throughput", "e2e_p50")
_FEW_PROMPTS = 10


class Entry(NamedTuple):
    """One candidate with what is known of it and why it is out."""

    known: Estimates
    misses: tuple[Miss, ...]

    @property
    def label(self) -> str:
        return self.known.measured.candidate.label


def choose(
    datas: Sequence[RunData],
    policy: Policy,
    licence_class: LicenceClass,
    *,
    allow: Collection[str] = (),
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Choice:
    """Choose between all candidates of one or several runs.

    The winner is the one that the policy picks by the estimates. P(best) is the share of bootstrap replicates in which
    it picks the same: prompts are drawn anew, the same for every candidate, limits and preferences applied each time.
    Prompts that all speak for one candidate do so by chance once in 2 ** prompts, which no drawing from them can show:
    P(best) is at most 1 less that, so fewer than five prompts are never sure at 0.95, and one prompt gives no P(best).
    See `assay.decide.ranking.rank` for what a tolerance is. A candidate with an unknown figure that a limit needs is
    rejected. Of a candidate in several runs the newest measurement counts.

    Raises `RunsUnlike` for runs on unlike machines or with unlike workloads (unless ``allow`` names it: ``machine``,
    ``workload``; then only prompts that all have in common count), and `NothingMeasured` where there is no candidate.
    """
    if not any(data.record.candidates for data in datas):
        raise NothingMeasured("there is no candidate to choose between", remedy="assay bench MODEL...")
    warnings = require_alike(datas, allow)
    prompts = common_prompts(datas)
    draws = draw(prompts, replicates, seed)
    field, repeated = _field(datas, policy, set(prompts))
    warnings += repeated
    known = [Estimates(found, draws, policy.limits) for found in field]
    used, instead = _with_objective(policy, known)
    entries = [Entry(one, _misses(one, used, licence_class)) for one in known]
    error_s = max((d.record.selftest.error_s for d in datas if d.record.selftest), default=0.0)
    contest = _contest(entries, used, instead, draws, error_s)
    warnings += [*_run_warnings(datas, len(prompts)), *_figure_warnings(entries, used, instead)]
    winner = int(contest.ranked.winner[0])
    p_best = contest.shares[winner] if winner != NOBODY else None
    return Choice(
        policy=policy,
        verdicts=tuple(_verdict(entry, contest, index, draws.replicates) for index, entry in _as_given(entries, datas)),
        runs=tuple(dict.fromkeys(data.record.id for data in datas)),
        winner=entries[winner].known.measured.candidate.key if winner != NOBODY else None,
        p_best=p_best,
        sure=p_best is not None and p_best >= policy.confidence,
        sentence=sentence(contest),
        replicates=draws.replicates,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _field(datas: Sequence[RunData], policy: Policy, prompts: Collection[str]) -> tuple[list[Measured], list[str]]:
    """Every candidate once, at the level to decide at, in the order that decides between equals: by label."""
    levels = [s.concurrency for d in datas for s in d.samples if s.phase == "measure"]
    level = policy.concurrency or min(levels, default=1)
    newest: dict[tuple[str, str], Measured] = {}
    repeated: list[str] = []
    for data in sorted(datas, key=lambda data: data.record.created):
        at_level: dict[tuple[str, str], Measured] = {}
        for found in measured(data, prompts):
            key = found.candidate.key
            if found.concurrency == level:
                at_level[key] = found
            else:
                at_level.setdefault(key, structs.replace(found, finals=(), tries=(), concurrency=level))
        repeated += [
            f"{found.candidate.label} is in several runs: the one of {data.record.created} counts"
            for key, found in at_level.items()
            if key in newest and found.oks
        ]
        newest |= {key: found for key, found in at_level.items() if found.oks or key not in newest}
    return sorted(newest.values(), key=lambda found: found.candidate.key), repeated


def _as_given(entries: Sequence[Entry], datas: Sequence[RunData]) -> list[tuple[int, Entry]]:
    """Entries with their index, in the order of the runs' records."""
    order = list(dict.fromkeys(candidate.key for data in datas for candidate in data.record.candidates))
    return sorted(enumerate(entries), key=lambda pair: order.index(pair[1].known.measured.candidate.key))


def _with_objective(policy: Policy, known: Sequence[Estimates]) -> tuple[Policy, str | None]:
    """The policy, or where nothing was scored one that asks for speed, with the objective that it stands in for."""
    if not is_quality(policy.objective) or any(one[policy.objective] is not None for one in known):
        return policy, None
    answered = [one for one in known if one.measured.oks]
    for name in _IN_PLACE_OF_QUALITY:
        if answered and all(one[name] is not None for one in answered):
            return structs.replace(policy, objective=name), policy.objective
    return policy, None


def _misses(known: Estimates, policy: Policy, licence_class: LicenceClass) -> tuple[Miss, ...]:
    """Every reason why the candidate is out."""
    found = known.measured
    candidate = found.candidate
    if candidate.status == "failed":
        return (Miss(_failed(candidate.reason)),)
    if not found.finals:
        return (Miss(f"not measured at concurrency {found.concurrency}"),)
    if not found.oks:
        error = found.finals[-1].error
        return (Miss(f"every request failed ({len(found.finals)}): {error.message if error else 'unknown'}"),)
    misses = [licence_miss(candidate, policy, licence_class)]
    misses += [limit_miss(limit, known[limit.figure], policy.confidence) for limit in policy.limits]
    if known[policy.objective] is None:
        misses.append(Miss(f"{policy.objective} unknown: not measured"))
    return tuple(miss for miss in misses if miss is not None)


def _failed(reason: str | None) -> str:
    if not reason:
        return "failed"
    return reason if "fail" in reason.casefold() else f"failed: {reason}"


def _contest(entries: list[Entry], policy: Policy, instead: str | None, draws: Draws, error_s: float) -> Contest:
    """Rank the entries; one that is out by the estimates may still be in, in replicates where its limits hold."""
    rows = draws.replicates + 1
    rules = [
        Rule(name, np.vstack([_row(entry.known, name, rows) for entry in entries]), policy.tolerance, error_s)
        for name in dict.fromkeys((policy.objective, *policy.then))
    ]
    holds = np.vstack([meets(policy.limits, entry.known, rows) for entry in entries])
    barred = np.array([any(miss.by is None and miss.value is None for miss in entry.misses) for entry in entries])
    eligible = holds & ~barred[:, np.newaxis]
    ranked = rank(rules, eligible)
    without = eligible.copy()
    if ranked.winner[0] != NOBODY:
        without[ranked.winner[0]] = False
    second = int(rank([rule._replace(values=rule.values[:, :1]) for rule in rules], without[:, :1]).winner[0])
    return Contest(
        labels=tuple(entry.label for entry in entries),
        misses=tuple(entry.misses for entry in entries),
        rules=tuple(rules),
        ranked=ranked,
        second=second,
        shares=_shares(ranked, len(entries), len(draws.prompts)),
        meets=tuple(float(row[1:].mean()) if rows > 1 else None for row in eligible),
        confidence=policy.confidence,
        instead_of=instead,
    )


def _row(known: Estimates, name: str, rows: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    estimate = known[name]
    if estimate is None:
        return np.full(rows, np.nan)
    row = np.full(rows, estimate.value)
    if len(estimate.vector) == rows:
        row = np.where(np.isfinite(estimate.vector), estimate.vector, estimate.value)
    return row


def _shares(ranked: Ranked, count: int, prompts: int) -> tuple[float | None, ...]:
    """P(best) of each candidate; never more than 1 - 2 ** -prompts, see `choose`."""
    drawn = ranked.winner[1:]
    if not len(drawn):
        return (None,) * count
    most = 1 - 0.5**prompts
    return tuple(min(float((drawn == index).mean()), most) for index in range(count))


def _verdict(entry: Entry, contest: Contest, index: int, replicates: int) -> Verdict:
    candidate = entry.known.measured.candidate
    return Verdict(
        variant=candidate.variant.id,
        engine=candidate.engine,
        p_best=None if entry.misses else contest.shares[index],
        rejected=tuple(miss.reason for miss in entry.misses),
        meets_limits=contest.meets[index] if replicates else None,
    )


def _run_warnings(datas: Sequence[RunData], prompts: int) -> list[str]:
    found = []
    if prompts == 1:
        found.append("only one prompt was measured: how sure the choice is cannot be told")
    elif prompts < _FEW_PROMPTS:
        found.append(f"only {prompts} prompts were measured: intervals and P(best) are rough")
    found += [
        f"run {data.record.id} is {data.record.status}: what it lacks is not in the choice"
        for data in datas
        if data.record.status != "complete"
    ]
    if any(data.record.selftest is None for data in datas):
        found.append("the instrument's own error was not measured: a small difference in latency may be its own")
    return found


def _figure_warnings(entries: Sequence[Entry], policy: Policy, instead: str | None) -> list[str]:
    found = []
    if instead:
        found.append(f"nothing was scored: {policy.objective} decides in place of {instead}")
    for name in dict.fromkeys([*(limit.figure for limit in policy.limits), policy.objective, *policy.then]):
        few = [one.n for entry in entries if (one := entry.known[name]) is not None and not one.enough]
        if few:
            found.append(f"{name} rests on few requests ({min(few)})")
    for entry in entries:
        answered, asked = len(entry.known.measured.oks), len(entry.known.measured.finals)
        if 0 < answered < asked:
            found.append(f"{entry.label}: {asked - answered} of {asked} requests failed, and are in no latency")
    return found
