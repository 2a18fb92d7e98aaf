"""Models by their names, their repositories and the words that people use for them: found without looking at each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from assay.catalog.curated import CuratedEntry
from assay.catalog.hub_name import PREFIX, HubName, is_repo_id, parse_hub_name
from assay.catalog.offers import chosen
from assay.catalog.registry_entry import Entry
from assay.catalog.spelling import spelling
from assay.catalog.wanted import Wanted
from assay.errors import UnknownModel
from assay.types import Format, Stored, Variant

FOUNDRY = re.compile(
    r"(?:-(?:generic|cuda|trtrtx|tensorrt|qnn|openvino|vitis|vitisai|webgpu|directml))?-[cgn]pu(?::\d+)?$"
)
"""What Foundry Local puts after a model's name in its ids; here the best variant for the machine is found anyway."""
GGUF_SELECTOR = re.compile(r"(?:ud-)?i?q\d|.*\.gguf$|gguf$")
COMMIT = re.compile(r"[0-9a-f]{7,40}")


class Shelf:
    """What is in the store, bundled and curated, indexed by lower-case names."""

    def __init__(self, stored: Iterable[Stored], bundled: Iterable[Variant], curated: Sequence[CuratedEntry]) -> None:
        self._stored_by_alias: defaultdict[str, list[Variant]] = defaultdict(list)
        self._stored_by_source: defaultdict[str, list[Variant]] = defaultdict(list)
        self._bundled: defaultdict[str, list[Variant]] = defaultdict(list)
        for record in stored:
            self._stored_by_alias[record.variant.alias.lower()].append(record.variant)
            self._stored_by_source[record.variant.source.lower()].append(record.variant)
        for variant in bundled:
            self._bundled[variant.alias.lower()].append(variant)
        self._curated = {name: entry for entry in reversed(curated) for name in (*entry.names, entry.repo.lower())}
        self._curated |= {entry.alias: entry for entry in reversed(curated)}
        self._curated_repos = {repo.lower(): entry for entry in reversed(curated) for repo in _repos(entry)}

    def bundled(self, alias: str) -> list[Variant]:
        return self._bundled.get(alias.lower(), [])

    def curated_named(self, text: str) -> CuratedEntry | None:
        """The entry of that alias or other name, also where it is written as one of Foundry Local's ids."""
        name = spelling(text)
        known = self._curated.get(name)
        if known is None and "pu" in name[-8:]:
            known = self._curated.get(FOUNDRY.sub("", name))
        return known

    def curated_from(self, repo: str) -> CuratedEntry | None:
        """The entry whose model lies in ``repo``, in whichever format."""
        return self._curated_repos.get(repo.lower())

    def stored_as(self, alias: str, curated: CuratedEntry | None) -> list[Variant]:
        """What is in the store under ``alias``, and under the names and from the repositories of ``curated``."""
        found = list(self._stored_by_alias.get(alias.lower(), []))
        if curated is not None:
            found += [v for name in (curated.alias, *curated.names) for v in self._stored_by_alias.get(name, [])]
            found += [v for repo in _repos(curated) for v in self._stored_by_source.get(f"{PREFIX}{repo}".lower(), [])]
        return list({variant.id: variant for variant in reversed(found)}.values())[::-1]

    def stored_from(self, name: HubName) -> list[Variant]:
        """What is in the store from that repository, at that commit; what a branch stands for, only a hub knows."""
        found = self._stored_by_source.get(name.source.lower(), [])
        if name.revision is None:
            return found
        commit = name.revision.lower() if COMMIT.fullmatch(name.revision.lower()) else None
        return [v for v in found if v.revision == name.revision or (commit and (v.revision or "").startswith(commit))]

    def of_entry(self, entry: Entry, selector: str | None) -> tuple[list[Variant], tuple[Wanted, ...], str | None]:
        """What the store has of an entry without files, what to ask for it, and what is wrong with its source."""
        source, wrong = _source(entry)
        if source is not None:
            wished = selector or source.selector
            name = HubName(source.repo, wished, source.revision)
            stored = self.stored_from(name) or self._stored_by_alias.get(entry.alias.lower(), [])
            ask = Wanted(name=name, alias=entry.alias, entry=entry, curated=self.curated_from(source.repo))
            return chosen(stored, wished), (ask,), None
        curated = self.curated_named(entry.source or entry.alias)
        stored = chosen(self.stored_as(entry.alias, curated), selector)
        return stored, self.wishes(curated, selector, entry) if curated else (), wrong

    def wishes(self, curated: CuratedEntry, selector: str | None, entry: Entry | None = None) -> tuple[Wanted, ...]:
        """The repositories of a curated model that can have what ``selector`` means, best first: GGUF, ONNX, source."""
        places: list[tuple[str, Format]] = [(repo, "gguf") for repo in curated.gguf]
        places += [(repo, "onnx") for repo in curated.onnx]
        places += [(curated.repo, "safetensors")]
        return tuple(
            Wanted(
                name=HubName(repo, selector),
                alias=entry.alias if entry else curated.alias,
                forms=(form,),
                curated=curated,
                entry=entry,
            )
            for repo, form in places
            if selector is None or form in _forms(selector)
        )


def _repos(entry: CuratedEntry) -> tuple[str, ...]:
    return (entry.repo, *entry.gguf, *entry.onnx)


def _source(entry: Entry) -> tuple[HubName | None, str | None]:
    """The repository that an entry names, written with or without ``hf:``; else what is wrong with it."""
    if not entry.source:
        return None, None
    try:
        return parse_hub_name(f"{PREFIX}{entry.source}" if is_repo_id(entry.source) else entry.source), None
    except UnknownModel as error:
        return None, error.clause


def _forms(selector: str) -> tuple[Format, ...]:
    """The formats that can have what ``selector`` means, so that no repository is asked in vain."""
    wanted = selector.lower()
    if wanted.startswith("safetensors"):
        return ("safetensors",)
    if wanted.startswith(("onnx", "int", "cpu", "gpu", "npu")):
        return ("onnx",)
    return ("gguf",) if GGUF_SELECTOR.match(wanted) else ("gguf", "onnx", "safetensors")
