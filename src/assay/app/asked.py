"""Which prompts a bench asks: given ones, a file's, the registry's, the bundled models' own, or the general set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from assay import catalog, judge, measure
from assay.errors import BadPrompts
from assay.settings import Settings
from assay.types import Candidate, Prompt

Given = str | Path | Sequence[str | dict[str, Any]] | None


def prompts_for(
    given: Given, settings: Settings, registry: catalog.Registry | None, candidates: Sequence[Candidate]
) -> tuple[Prompt, ...]:
    """The prompts, checked so that no expectation fails only after hours of measuring.

    A list or a file given by hand comes first, then one prompt, then the project's file, the registry's, and last a set
    that comes with Assay: the bundled models' own where nothing else is measured, else a general one.

    Raises:
        BadPrompts: one that cannot be used, naming the entry.
    """
    prompts = _found(given, settings, registry, candidates)
    judge.vet(prompts)
    return prompts


def _found(
    given: Given, settings: Settings, registry: catalog.Registry | None, candidates: Sequence[Candidate]
) -> tuple[Prompt, ...]:
    if given is not None:
        return _read(given, "the prompts")
    if settings.prompt is not None:
        return measure.single(settings.prompt)
    if settings.prompts is not None:
        return measure.read_prompts(settings.prompts)
    own = _of_registry(registry) if registry else ()
    if own:
        return own
    if all(candidate.variant.source == "bundled" for candidate in candidates):
        return measure.read_prompts(catalog.bundled_prompts())
    return measure.default_prompts()


def _of_registry(registry: catalog.Registry) -> tuple[Prompt, ...]:
    """The registry's prompts and those of its entries: every model is asked all of them."""
    whole = _read(registry.prompts, str(registry.path)) if registry.prompts is not None else ()
    found = {prompt.id: prompt for prompt in whole}
    for entry in registry.entries:
        for prompt in _read(entry.prompts, f"{registry.path}, {entry.alias}") if entry.prompts is not None else ():
            own = structs.replace(prompt, id=f"{entry.alias}/{prompt.id}")
            found[own.id] = own
    return tuple(found.values())


def _read(given: str | Path | Sequence[str | dict[str, Any]], where: str) -> tuple[Prompt, ...]:
    if isinstance(given, str | Path):
        return measure.read_prompts(Path(given))
    if not given:
        raise BadPrompts(f"{where}: the list is empty", remedy="give at least one prompt")
    return measure.as_prompts(list(given), where)
