"""From a name to variants on this machine: what is here, else what the hub offers, the best of it fetched.

In: a name. Out: variants with a path. Nothing is asked of the hub while something of that name is here.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from assay import catalog, store
from assay.app.here import Here
from assay.app.sizing import Sizing
from assay.errors import AssayError, HubError, HubUnreachable, NoRoom, UnknownModel
from assay.types import Estimate, Repo, Stored, Transfers, Variant

SHOWN = 6
"""Variants that an error tells of."""


class Choice(Struct, frozen=True, kw_only=True):
    """What a name stands for and which of it runs here. ``left_out`` are files of repositories that are no variant."""

    found: catalog.Found
    ranked: catalog.Ranked
    estimates: dict[str, Estimate]
    left_out: tuple[catalog.LeftOut, ...] = ()
    unasked: tuple[str, ...] = ()
    """Repositories that could not be asked, and why."""

    @property
    def best(self) -> catalog.Ranking | None:
        return self.ranked.best


def get(name: str, here: Here, sizing: Sizing, *, transfers: Transfers) -> tuple[Variant, ...]:
    """Variants of ``name`` that are on this machine; where there is none, the best one is fetched.

    Raises:
        UnknownModel: nothing of that name, or nothing of it that runs. NoRoom: none of it fits. HubError: the hub.
    """
    found = here.catalog.find(name)
    return found.runnable or (brought(best_of(choose(found, here, sizing), sizing).variant, here, transfers),)


def brought(variant: Variant, here: Here, transfers: Transfers) -> Variant:
    """The variant on this machine: as it is where it is here, else fetched. Raises as ``fetch`` does."""
    return variant if variant.here else here.store.placed(fetch([variant], here, transfers=transfers)[0])


def choose(found: catalog.Found, here: Here, sizing: Sizing, *, ask: bool = True) -> Choice:
    """Everything that the name stands for, ranked for this machine; with ``ask``, also what the hub offers.

    Raises:
        UnknownModel: the hub has no such thing. HubError: nothing is here, and the hub cannot be asked.
    """
    offered, unasked = catalog.Offers((), ()), list[str]()
    if ask and found.wanted:
        offered, unasked = asked(found, here)
    variants = {variant.id: variant for variant in (*offered.variants, *found.variants)}
    estimates = sizing.estimates(variants.values())
    ranked = catalog.best(
        [sizing.told(variant) for variant in variants.values()],
        budget=sizing.budget,
        estimates=estimates,
        engines=sizing.engines,
    )
    return Choice(
        found=found,
        ranked=_sound(ranked, sizing),
        estimates=estimates,
        left_out=offered.left_out,
        unasked=(*unasked, *sizing.unread),
    )


def _sound(ranked: catalog.Ranked, sizing: Sizing) -> catalog.Ranked:
    """The same, with what its headers speak against after all that can be run."""
    judged = [(ranking, sizing.against(ranking.variant)) for ranking in ranked.rankings]
    told = [_spoken_against(ranking, against.why) if against else ranking for ranking, against in judged]
    return catalog.Ranked(tuple(sorted(told, key=lambda ranking: not ranking.ok)))


def _spoken_against(ranking: catalog.Ranking, against: str) -> catalog.Ranking:
    """What speaks for it gives way; why it does not run anyway stays."""
    return structs.replace(ranking, ok=False, reasons=(against,) if ranking.ok else (against, *ranking.reasons))


def asked(found: catalog.Found, here: Here) -> tuple[catalog.Offers, list[str]]:
    """What the wished-for repositories offer, and which of them could not be asked, with the reason.

    Raises:
        UnknownModel: they have no such thing. HubError: none could be asked, and nothing is here.
    """
    answers: list[tuple[catalog.Wanted, Repo]] = []
    failures: list[AssayError] = []
    for wanted in found.wanted:
        try:
            answers.append((wanted, here.hub.repo(wanted.name.repo, wanted.name.revision)))
        except HubUnreachable as error:
            failures.append(error)
            break
        except (HubError, UnknownModel) as error:
            failures.append(error)
    unasked = [error.sentence for error in failures]
    if not answers:
        if failures and not found.variants:
            raise _all_failed(failures, unasked)
        return catalog.Offers((), ()), unasked
    return catalog.offered(answers), unasked


def _all_failed(failures: list[AssayError], told: list[str]) -> AssayError:
    """The first failure, with what came of the other repositories."""
    first = failures[0]
    if len(failures) == 1:
        return first
    others = "; ".join(told[1:])
    return type(first)(first.message, why=f"{first.why}; and {others}" if first.why else others, remedy=first.remedy)


def best_of(choice: Choice, sizing: Sizing) -> catalog.Ranking:
    """The variant to run, by its own headers where it must be fetched first, and why it.

    Raises:
        NoRoom: what could run does not fit. UnknownModel: nothing of it can run here.
    """
    passed: dict[str, catalog.Ranking] = {}
    for ranking in choice.ranked.rankings:
        if not ranking.ok:
            continue
        if ranking.variant.here:
            return ranking
        estimate = sizing.exact(ranking.variant)
        fits, room = catalog.fit_of(ranking.variant, estimate, sizing.budget)
        against = sizing.against(ranking.variant)
        if fits != "no" and against is None:
            return ranking
        passed[ranking.variant.id] = structs.replace(ranking, ok=False, reasons=(against.why if against else room,))
    rankings = tuple(passed.get(ranking.variant.id, ranking) for ranking in choice.ranked.rankings)
    raise none_runs(structs.replace(choice, ranked=catalog.Ranked(rankings)), sizing)


def none_runs(choice: Choice, sizing: Sizing) -> AssayError:
    """Why nothing of what was found can run here."""
    alias, rankings = choice.found.alias, choice.ranked.rankings
    reasons = [f"{ranking.variant.id}: {'; '.join(ranking.reasons)}" for ranking in rankings[:SHOWN]]
    if len(rankings) > SHOWN:
        reasons.append(f"and {len(rankings) - SHOWN} more")
    runnable = [ranking for ranking in rankings if ranking.engine is not None]
    against = [sizing.against(ranking.variant) for ranking in runnable]
    if against and against[0] is not None and None not in against:
        return UnknownModel(f"nothing of {alias} can be run", why="; ".join(reasons), remedy=against[0].remedy)
    if runnable:
        return NoRoom(
            f"{alias} does not fit this machine",
            why="; ".join(reasons),
            remedy="ask for a shorter context, name a smaller quantisation, or free memory",
        )
    return UnknownModel(
        f"nothing of {alias} runs on an engine here",
        why="; ".join(reasons) or None,
        remedy=f"assay model compile {alias}" if rankings else "name another model",
    )


def fetch(variants: Sequence[Variant], here: Here, *, transfers: Transfers) -> list[Stored]:
    """Bring offered variants into the store; what is there already is left as it is.

    Raises:
        HubError, StoreError: as ``store.fetch`` tells. Ctrl-C keeps what has come.
    """
    return store.fetch(
        here.store,
        variants,
        here.hub.fetch,
        transfers=transfers,
        parallel=here.settings.parallel,
        find_elsewhere=here.elsewhere,
    )
