"""Which repositories hold another's model in a form of its own, and what model that is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from assay.catalog.offers import offers
from assay.types import Format, Packaging, Repo

ENDING = re.compile(
    r"[-_.](?P<word>gguf|ggml|onnx|openvino|ov|mlx|awq|gptq|exl[23]|hqq|aqlm|quark|fp8|nvfp4|mxfp4|bnb|quantized|quants?)"
    r"(?:[-_.](?:web|genai|cpu|cuda|gpu|npu|directml|dml|dynamic|imatrix|i1|\d(?:\.\d)?bits?|int[248]|w\d+a\d+|q\d\w*+))*$"
)
"""How the names of packagings end: a form, and words that tell more of it."""
DETAIL = re.compile(r"[-_.](?:i1|imatrix|\d(?:\.\d)?bits?|int[248]|w\d+a\d+|iq\d_\w+|q\d_\w+)$")
QUANTIZED = "base_model:quantized:"
PACKAGERS = frozenset({
    "bartowski", "compendiumlabs", "ggml-org", "lmstudio-community", "mradermacher", "onnx-community", "onnxruntime",
    "openvino", "thebloke", "unsloth",
})  # fmt: skip
"""Owners, lower-case, who package other people's models and are widely used for it."""


def is_packaging(repo: Repo) -> bool:
    """Whether the card, a tag or the end of the name says that it is another's model, quantised or converted."""
    tagged = any(tag.lower().startswith(QUANTIZED) for tag in repo.tags)
    return repo.relation == "quantized" or tagged or ENDING.search(_name(repo.id)) is not None


def declared_base(repo: Repo) -> str | None:
    """The model that its tags or its card name; None where there is none, or only itself."""
    tagged = [tag[len(QUANTIZED) :] for tag in repo.tags if tag.lower().startswith(QUANTIZED)]
    named = (base for base in (*tagged, *repo.base_models) if "/" in base and base.lower() != repo.id.lower())
    return next(named, None)


def model_name(repo_id: str) -> str:
    """The name, lower-case, without what tells the packaging: ``bartowski/Foo-7B-i1-GGUF`` -> ``foo-7b``."""
    name = _name(repo_id)
    while (shorter := DETAIL.sub("", ENDING.sub("", name))) not in {name, ""}:
        name = shorter
    return name


def bases(repos: Iterable[Repo], known: Collection[str], publishers: Collection[str]) -> dict[str, str]:
    """Each packaging among ``repos`` -> the model that it holds; ids are lower-case.

    That is the base that it declares, followed to the first that is no packaging itself; else the model of the same
    name among ``repos`` and ``known``, of the same owner before a publisher's before the first by name; else, of
    packagings whose base nobody names, the first of the same name.
    """
    among = {repo.id.lower(): repo for repo in repos}
    packagings = {id_: repo for id_, repo in among.items() if is_packaging(repo)}
    by_name: defaultdict[str, set[str]] = defaultdict(set)
    for id_ in {*among, *(id_.lower() for id_ in known)} - set(packagings):
        owner, _, name = id_.partition("/")
        by_name[name].add(id_)
        by_name[f"{owner}_{name}"].add(id_)
    direct: dict[str, str] = {}
    orphans: dict[str, str] = {}
    for id_, repo in sorted(packagings.items(), key=lambda item: (packager_rank(item[0], publishers), item[0])):
        base, name = declared_base(repo), model_name(id_)
        same = min(by_name[name], key=lambda other: _nearness(other, id_, publishers), default=None)
        direct[id_] = base.lower() if base else same or orphans.setdefault(name, id_)
    return {id_: _root(id_, direct) for id_ in direct}


def packager_rank(repo_id: str, publishers: Collection[str], base: str | None = None) -> int:
    """Whose packaging comes first: the model's own publisher's, another publisher's, a known packager's, the rest."""
    owner = _owner(repo_id)
    if base is not None and owner == _owner(base):
        return 0
    return 1 if owner in publishers else 2 if owner in PACKAGERS else 3


def packaging(repo: Repo) -> Packaging:
    """What a repository offers to the engines here: from its files where they are known, else from its tags."""
    if repo.files is not None:
        variants = tuple(variant for variant in offers(repo).variants if variant.format in {"gguf", "onnx"})
        formats: tuple[Format, ...] = tuple(dict.fromkeys(variant.format for variant in variants))
        return Packaging(id=repo.id, formats=formats, variants=variants, downloads=repo.downloads)
    words = {repo.library or "", *(tag.lower() for tag in repo.tags)}
    told = ENDING.search(_name(repo.id))
    words |= {told["word"]} if told else set()
    readable: tuple[Format, ...] = ("gguf", "onnx")
    return Packaging(id=repo.id, formats=tuple(form for form in readable if form in words), downloads=repo.downloads)


def _root(start: str, direct: Mapping[str, str]) -> str:
    """The last of a chain of bases; of a circle, the first of its names."""
    path = [start]
    while (after := direct.get(path[-1])) is not None and after != path[-1]:
        if after in path:
            return min(path[path.index(after) :])
        path.append(after)
    return path[-1]


def _nearness(model: str, packaging_id: str, publishers: Collection[str]) -> tuple[bool, bool, str]:
    return _owner(model) != _owner(packaging_id), _owner(model) not in publishers, model


def _owner(repo_id: str) -> str:
    return repo_id.partition("/")[0].lower()


def _name(repo_id: str) -> str:
    return repo_id.rpartition("/")[2].lower()
