"""Spam, re-uploads and packagings folded, so that each model is shown once; every rule has a name and tells its reason.

Nothing is thrown away: each repository is shown, tied to the model that it packages, or set aside by a ``Fold``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from assay.catalog.packagings import bases, declared_base, model_name
from assay.types import File, Fold, Repo

BURST = 100
"""So many models of one owner within a day are a machine's work, and are shown as one."""
DAY = timedelta(days=1)
TRIAL = frozenset({
    "asdf", "debug", "delete", "deleteme", "dummy", "foobar", "ignore", "scratch", "temp", "test", "test1",
    "test2", "testing", "tests", "tmp", "untitled",
})  # fmt: skip
NO_NAME = re.compile(
    r"(my[-_.]?)?(awesome[-_.]?)?(finetuned?|merged?|new|final)?[-_.]?(model|output|results?|checkpoint|ckpt|run|lora)s?[-_.]?\d*"
)
MERGED = frozenset({"dare", "della", "frankenmerge", "merge", "mergekit", "slerp", "ties"})
WEIGHTS = (".safetensors", ".gguf", ".onnx", ".onnx.data", ".onnx_data", ".bin", ".pt", ".pth")

RULES = {
    "known": "seen at an earlier look, or in the catalogue",
    "adapter": "an adapter, which is no model alone",
    "trial": "its name says that it is a trial, and its owner is no known publisher",
    "empty card": "it tells neither task, licence, size, architecture nor what it was made from",
    "copied name": "named like a known publisher's model, by another owner",
    "merge of merges": "merged from models that were merged themselves",
    "same files": "the same weights as another repository",
    "many at once": f"its owner uploaded {BURST} models or more within a day; the best of them is shown",
}
"""The rules of folding, in the order in which they are tried."""


class Model(NamedTuple):
    """A model and the repositories that package it; ``repo`` is None where only packagings were seen."""

    id: str
    repo: Repo | None
    packagings: tuple[Repo, ...]


class Folding(NamedTuple):
    """``models`` in no particular order; a fold's ``into`` is the id of one of them, or None."""

    models: tuple[Model, ...]
    folds: tuple[Fold, ...]


class _Seen(NamedTuple):
    """What the rules look at; all ids and owners are lower-case."""

    among: Mapping[str, Repo]
    known: frozenset[str]
    publishers: frozenset[str]
    by_publishers: Mapping[str, str]
    """Name of a publisher's model -> its id."""


class _Fate(NamedTuple):
    rule: str
    why: str
    into: str | None = None


def fold(repos: Iterable[Repo], *, known: Collection[str], publishers: Collection[str]) -> Folding:
    """Each of ``repos`` (unique ids) as a model, as a packaging of one, or set aside; the same again for what is left.

    ``known`` are ids that are not news, ``publishers`` the owners whose names others copy.
    """
    among = {repo.id.lower(): repo for repo in repos}
    seen = _seen(among, known, publishers)
    fates: dict[str, _Fate] = {}
    for id_, repo in among.items():
        found = (fate for rule in SINGLE if (fate := rule(repo, seen)) is not None)
        if (first := next(found, None)) is not None:
            fates[id_] = first
    made = bases([repo for id_, repo in among.items() if id_ not in fates], known, seen.publishers)
    fates |= _same_files({id_: among[id_] for id_ in among if id_ not in fates}, made, seen.publishers)
    fates |= _bursts([repo for id_, repo in among.items() if id_ not in fates | made], seen.publishers)
    spelled = _spellings(among.values(), known)
    for id_, base in made.items():
        if id_ not in fates and (base in seen.known or (base in fates and base != id_)):
            fates[id_] = _with_its_base(spelled.get(base, base), fates.get(base))
    return _sorted_out(among, made, fates, spelled)


def _seen(among: Mapping[str, Repo], known: Collection[str], publishers: Collection[str]) -> _Seen:
    owners = frozenset(owner.lower() for owner in publishers)
    earlier = frozenset(id_.lower() for id_ in known)
    theirs = sorted(id_ for id_ in {*among, *earlier} if id_.partition("/")[0] in owners)
    return _Seen(among, earlier, owners, {id_.partition("/")[2]: id_ for id_ in reversed(theirs)})


def _known(repo: Repo, seen: _Seen) -> _Fate | None:
    return _Fate("known", RULES["known"]) if repo.id.lower() in seen.known else None


def _adapter(repo: Repo, _: _Seen) -> _Fate | None:
    if repo.relation == "adapter" or repo.library == "peft" or _named_in(repo.files, "adapter_config.json"):
        base = repo.base_models[0] if repo.base_models else None
        of = f" of {base}" if base else ""
        return _Fate("adapter", f"{RULES['adapter']}{of}", base.lower() if base else None)
    return None


def _trial(repo: Repo, seen: _Seen) -> _Fate | None:
    name = repo.id.partition("/")[2].lower()
    words = re.split(r"[-_.]+", name)
    trial = bool(TRIAL & {words[0], words[-1]}) and "test-time" not in name
    if (trial or NO_NAME.fullmatch(name)) and repo.owner.lower() not in seen.publishers:
        return _Fate("trial", RULES["trial"])
    return None


def _empty_card(repo: Repo, seen: _Seen) -> _Fate | None:
    told = (repo.task, repo.licence, repo.parameters, repo.architecture, repo.chat_template)
    if any(value is not None for value in told) or declared_base(repo) or repo.owner.lower() in seen.publishers:
        return None
    return _Fate("empty card", RULES["empty card"])


def _copied_name(repo: Repo, seen: _Seen) -> _Fate | None:
    name = repo.id.partition("/")[2].lower()
    original = seen.by_publishers.get(name)
    if original is None and "_" in name:
        owner, _, rest = name.partition("_")
        original = f"{owner}/{rest}" if f"{owner}/{rest}" == seen.by_publishers.get(rest) else None
    if original is None or repo.owner.lower() in seen.publishers:
        return None
    shown = seen.among[original].id if original in seen.among else original
    return _Fate("copied name", f"named like {shown}, by another owner", original)


def _merge_of_merges(repo: Repo, seen: _Seen) -> _Fate | None:
    if not _is_merge(repo):
        return None
    for base in repo.base_models:
        listed = seen.among.get(base.lower())
        words = set(re.split(r"[-_./]+", base.lower()))
        if base.lower() != repo.id.lower() and (words & MERGED or (listed is not None and _is_merge(listed))):
            return _Fate("merge of merges", f"merged from {base}, which was merged itself", base.lower())
    return None


SINGLE: tuple[Callable[[Repo, _Seen], _Fate | None], ...] = (
    _known,
    _adapter,
    _trial,
    _empty_card,
    _copied_name,
    _merge_of_merges,
)
"""The rules that look at one repository at a time."""


def _same_files(among: Mapping[str, Repo], made: Mapping[str, str], publishers: Collection[str]) -> dict[str, _Fate]:
    """Of repositories with equal weights, all but a publisher's, else the oldest.

    Equal are all hashes; or, where a hash is unknown, all sizes of what has the same base or the same name.
    """
    alike: defaultdict[tuple[object, ...], list[Repo]] = defaultdict(list)
    for id_, repo in among.items():
        weights = [file for file in repo.files or () if file.path.lower().endswith(WEIGHTS)]
        hashes = [file.sha256 for file in weights]
        sizes = [file.size for file in weights]
        if weights and None not in hashes:
            alike["hashes", frozenset(hashes)].append(repo)
        elif weights and None not in sizes:
            base = made.get(id_) or (declared_base(repo) or model_name(id_)).lower()
            alike["sizes", base, tuple(sorted(size for size in sizes if size is not None))].append(repo)
    fates: dict[str, _Fate] = {}
    for repos in alike.values():
        first, *rest = sorted(repos, key=lambda r: (r.owner.lower() not in publishers, r.created or "~", r.id.lower()))
        into = made.get(first.id.lower(), first.id.lower())
        fates |= {repo.id.lower(): _Fate("same files", f"the same weights as {first.id}", into) for repo in rest}
    return fates


def _bursts(models: Iterable[Repo], publishers: Collection[str]) -> dict[str, _Fate]:
    by_owner: defaultdict[str, list[tuple[datetime, Repo]]] = defaultdict(list)
    for repo in models:
        when = moment(repo.created)
        if when is not None and repo.owner.lower() not in publishers:
            by_owner[repo.owner.lower()].append((when, repo))
    fates: dict[str, _Fate] = {}
    for uploads in by_owner.values():
        crowd = _crowd(sorted(uploads, key=lambda upload: (upload[0], upload[1].id)))
        if crowd:
            best, *rest = sorted(
                crowd, key=lambda repo: (-(repo.trending or 0), -(repo.downloads or 0), repo.id.lower())
            )
            why = f"one of {len(crowd)} models that its owner uploaded within a day or so; {best.id} is shown for all"
            fates |= {repo.id.lower(): _Fate("many at once", why, best.id.lower()) for repo in rest}
    return fates


def _crowd(uploads: list[tuple[datetime, Repo]]) -> list[Repo]:
    """Those, of uploads in the order of their times, that lie with ``BURST`` others within a day."""
    within: dict[str, Repo] = {}
    for last in range(BURST - 1, len(uploads)):
        window = uploads[last - BURST + 1 : last + 1]
        if window[-1][0] - window[0][0] <= DAY:
            within |= {repo.id: repo for _, repo in window}
    return list(within.values())


def _with_its_base(base: str, fate: _Fate | None) -> _Fate:
    if fate is None:
        return _Fate("known", f"a packaging of {base}, which was {RULES['known']}")
    return _Fate(fate.rule, f"a packaging of {base}: {fate.why}", fate.into)


def _sorted_out(
    among: Mapping[str, Repo], made: Mapping[str, str], fates: Mapping[str, _Fate], spelled: Mapping[str, str]
) -> Folding:
    tied: defaultdict[str, list[Repo]] = defaultdict(list)
    for id_, repo in among.items():
        if id_ not in fates:
            tied[made.get(id_, id_)].append(repo)
    models = tuple(
        Model(
            id=spelled.get(id_, id_),
            repo=among[id_] if id_ in among and id_ not in made and id_ not in fates else None,
            packagings=tuple(repo for repo in repos if repo.id.lower() in made),
        )
        for id_, repos in tied.items()
    )
    folds = tuple(
        Fold(id=among[id_].id, rule=fate.rule, why=fate.why, into=_shown(fate.into, fates, made, tied, spelled))
        for id_, fate in fates.items()
    )
    return Folding(models, folds)


def _shown(
    into: str | None,
    fates: Mapping[str, _Fate],
    made: Mapping[str, str],
    tied: Collection[str],
    spelled: Mapping[str, str],
) -> str | None:
    """The model that is shown at the end of a chain of folds."""
    passed: set[str] = set()
    while into is not None and into not in passed:
        passed.add(into)
        if into in fates:
            into = fates[into].into
        elif (base := made.get(into, into)) in tied:
            return spelled.get(base, base)
    return None


def moment(text: str | None) -> datetime | None:
    """A time as the hub writes it; None where it is none. Without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(text or "")
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: the year 1 in the east
        return None


def _spellings(repos: Iterable[Repo], known: Iterable[str]) -> dict[str, str]:
    """Lower-case ids as they are really written, by the repository itself before by those who name it."""

    def written() -> Iterator[str]:
        among = list(repos)
        yield from (base for repo in among if (base := declared_base(repo)))
        yield from known
        yield from (repo.id for repo in among)

    return {id_.lower(): id_ for id_ in written()}


def _is_merge(repo: Repo) -> bool:
    return repo.relation == "merge" or bool({"merge", "mergekit"} & {tag.lower() for tag in repo.tags})


def _named_in(files: Iterable[File] | None, name: str) -> bool:
    return any(file.path.rpartition("/")[2] == name for file in files or ())
