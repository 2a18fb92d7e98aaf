"""What is new on the hub and worth a look: merged, folded, filtered and ranked. Nothing is asked or fetched here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import structs

from assay.amounts import format_amount
from assay.catalog.folding import Folding, Model, fold, moment
from assay.catalog.licence import licence_class
from assay.catalog.packagings import packager_rank, packaging
from assay.catalog.spelling import spelling, task_word
from assay.types import Discovery, Find, Fold, Repo, Variant

WEEK_S = 7 * 24 * 3600.0
FEWEST_BITS = 1.5
"""Bits a weight of the smallest quantisation there is; what is too large even so is surely too large."""
PUBLISHERS = frozenset({
    "ai21labs", "allenai", "apple", "arcee-ai", "baai", "baidu", "bigcode", "bytedance-seed", "coherelabs",
    "deepseek-ai", "eleutherai", "facebook", "google", "huggingfacetb", "ibm-granite", "inclusionai", "internlm",
    "intfloat", "jinaai", "lgai-exaone", "liquidai", "meta-llama", "microsoft", "minimaxai", "mistralai",
    "mixedbread-ai", "moonshotai", "nomic-ai", "nousresearch", "nvidia", "openai", "openbmb", "qwen",
    "sentence-transformers", "servicenow-ai", "snowflake", "stabilityai", "swiss-ai", "tencent", "tiiuae", "upstage",
    "utter-project", "zai-org",
})  # fmt: skip
"""Owners, lower-case, who make the models that others package and copy."""

PIPELINES = {
    "chat": ("text-generation", "image-text-to-text", "any-to-any", "conversational", "text2text-generation"),
    "code": ("text-generation",),
    "embeddings": ("feature-extraction", "sentence-similarity"),
    "vision": ("image-text-to-text", "any-to-any"),
    "summary": ("text-generation", "summarization", "text2text-generation"),
}
"""What a task is called here -> the hub's words for it; any other task is the hub's own word."""
CODE = ("code", "coder", "coding")


class Fitting(NamedTuple):
    """Whether a find runs here (None: nobody can say), why, and the variant that would be fetched."""

    fits: bool | None
    why: str
    choice: Variant | None = None


class Wishes(NamedTuple):
    """What is looked for. ``licences`` are classes or ids, none for any; ``max_size`` is in bytes."""

    task: str | None = None
    max_size: int | None = None
    licences: tuple[str, ...] = ()


class _Listed(NamedTuple):
    newest: frozenset[str]
    most_trending: float
    most_downloads: int
    now: datetime


def discover(
    newest: Sequence[Repo],
    trending: Sequence[Repo],
    *,
    since: datetime,
    now: datetime,
    wishes: Wishes,
    known: Collection[str] = (),
    publishers: Collection[str] = PUBLISHERS,
    fits: Callable[[Find], Fitting] | None = None,
    only_fitting: bool = False,
    limit: int | None = None,
) -> Discovery:
    """The models of two listings, best first; every repository of them is in it, shown, tied to a find or set aside.

    The score, 0 to 1, is 0.4 x trending + 0.2 x downloads (both by their logarithm, as a share of the listings'
    highest) + 0.2 for a known publisher + 0.2 x 2^(-age / 7 days). A find counts with its packagings.

    ``known`` are ids that are not news. ``fits`` is asked of each find in the order of rank until ``limit`` are shown;
    with ``only_fitting``, what does not surely fit is left out.
    """
    repos = _merged(newest, trending)
    folding = fold(repos, known=known, publishers=publishers)
    listed = _Listed(
        newest=frozenset(repo.id.lower() for repo in newest),
        most_trending=max((repo.trending or 0.0 for repo in repos), default=0.0),
        most_downloads=max((repo.downloads or 0 for repo in repos), default=0),
        now=now,
    )
    owners = frozenset(owner.lower() for owner in publishers)
    finds = sorted((_find(model, folding, listed, owners) for model in folding.models), key=lambda f: (-f.score, f.id))
    left = [away for away in folding.folds if away.into is None]
    shown: list[Find] = []
    for ranked in finds:
        find, unwanted = ranked, _unwanted(ranked, wishes)
        if unwanted is None and len(shown) == limit:
            unwanted = "limit", f"below the first {limit}"
        if unwanted is None and fits is not None:
            fitting = fits(find)
            find = structs.replace(find, fits=fitting.fits, fit_reason=fitting.why, choice=fitting.choice)
            unwanted = _unwanted(find, wishes)
        if unwanted is None and only_fitting and not find.fits:
            unwanted = "fit", find.fit_reason or "nobody can say whether it fits"
        if unwanted is None:
            shown.append(find)
        else:
            left += _left(find, *unwanted)
    return Discovery(finds=tuple(shown), left=tuple(left), since=_iso(since), until=_iso(now))


def _merged(newest: Iterable[Repo], trending: Iterable[Repo]) -> list[Repo]:
    """Each repository once; of two descriptions, what one does not tell is taken from the other."""
    among: dict[str, Repo] = {}
    for repo in (*newest, *trending):
        first = among.get(repo.id.lower(), repo)
        told = {name: value for name, value in structs.asdict(first).items() if value not in (None, ())}
        among[repo.id.lower()] = structs.replace(repo, **told)
    return list(among.values())


def _find(model: Model, folding: Folding, listed: _Listed, publishers: Collection[str]) -> Find:
    own = [model.repo] if model.repo else []
    told = [*own, *sorted(model.packagings, key=lambda repo: _place(repo, model.id, publishers))]
    packagings = tuple(pack for pack in map(packaging, told) if pack.formats or pack.id not in {r.id for r in own})
    folded = tuple(away for away in folding.folds if away.into == model.id)
    licence = next((repo.licence for repo in told if repo.licence), None)
    find = Find(
        id=model.id,
        repo=model.repo,
        packagings=packagings,
        folded=folded,
        licence=licence,
        licence_class=licence_class(licence),
        parameters=next((repo.parameters for repo in told if repo.parameters), None),
        task=next((repo.task for repo in told if repo.task), None) or _conversational(told),
        created=model.repo.created if model.repo else min((r.created for r in told if r.created), default=None),
        gated=model.repo.gated if model.repo else None,
    )
    return _ranked(find, told, listed, publishers)


def _place(repo: Repo, model: str, publishers: Collection[str]) -> tuple[int, int, str]:
    return packager_rank(repo.id, publishers, model), -(repo.downloads or 0), repo.id


def _conversational(repos: Iterable[Repo]) -> str | None:
    """What a chat template or the hub's tag of conversations says of a model whose card names no task."""
    chats = any(repo.chat_template or "conversational" in {tag.lower() for tag in repo.tags} for repo in repos)
    return "text-generation" if chats else None


def _ranked(find: Find, members: Sequence[Repo], listed: _Listed, publishers: Collection[str]) -> Find:
    trending = max((repo.trending or 0.0 for repo in members), default=0.0)
    downloads = max((repo.downloads or 0 for repo in members), default=0)
    published = find.id.partition("/")[0].lower() in publishers
    created = moment(find.created)
    age_s = None if created is None else max(0.0, (listed.now - created).total_seconds())
    score = (
        0.4 * _share(trending, listed.most_trending)
        + 0.2 * _share(downloads, listed.most_downloads)
        + 0.2 * published
        + (0.0 if age_s is None else 0.2 * 2 ** (-age_s / WEEK_S))
    )
    why = []
    if any(repo.id.lower() in listed.newest for repo in members):
        own = find.repo is not None and find.repo.id.lower() in listed.newest
        why.append("new" if own else "newly packaged")
    if trending > 0:
        why.append("trending")
    if published:
        why.append("a known publisher's")
    ready = [form for pack in find.packagings for form in pack.formats]
    why += [f"as {form}" for form in dict.fromkeys(ready)] or ["no packaging seen that an engine here reads"]
    return structs.replace(find, score=score, why=tuple(why))


def _share(value: float, most: float) -> float:
    return math.log1p(max(0.0, value)) / math.log1p(most) if most > 0 else 0.0


def _unwanted(find: Find, wishes: Wishes) -> tuple[str, str] | None:
    """Rule and reason, where a find is not what is looked for."""
    if wishes.task is not None and not _for_task(find, wishes.task):
        return "task", f"made for {find.task}" if find.task else "it does not tell what it is made for"
    licences = {spelling(licence) for licence in wishes.licences}
    if licences and not licences & {spelling(find.licence_class), spelling(find.licence or "")}:
        return "licence", f"licence {find.licence}: {find.licence_class}" if find.licence else "it names no licence"
    if wishes.max_size is None:
        return None
    if find.size is not None and find.size > wishes.max_size:
        return "size", f"its smallest set of files is {format_amount(find.size)}"
    least = None if find.parameters is None else round(find.parameters * FEWEST_BITS / 8)
    if find.size is None and least is not None and least > wishes.max_size:
        return "size", f"even at {FEWEST_BITS} bits a weight it would be {format_amount(least)}"
    return None


def _for_task(find: Find, task: str) -> bool:
    word = task_word(task)
    tags = {tag.lower() for tag in (find.repo.tags if find.repo else ())}
    codes = bool(tags & set(CODE)) or any(mark in find.id.lower() for mark in CODE)
    return find.task in PIPELINES.get(word, (word,)) and (word != "code" or codes)


def _left(find: Find, rule: str, why: str) -> list[Fold]:
    """A find that is not shown, with all that came with it."""
    own = [find.repo.id] if find.repo else []
    ids = dict.fromkeys([*own, *(pack.id for pack in find.packagings)])
    return [Fold(id=id_, rule=rule, why=why) for id_ in ids] + [
        structs.replace(away, into=None) for away in find.folded
    ]


def _iso(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
