"""Which entries of a registry fit this machine, by what the registry says alone. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from assay.amounts import format_amount
from assay.catalog.registry_entry import Entry

SYNONYMS = {
    "chat": "chat", "chat-completion": "chat", "chat-completions": "chat", "conversational": "chat",
    "embedding": "embeddings", "embeddings": "embeddings", "feature-extraction": "embeddings",
    "summarisation": "summary", "summarization": "summary", "summarise": "summary", "summarize": "summary",
    "summary": "summary", "code": "code", "coding": "code", "code-generation": "code",
}  # fmt: skip
ROOM = 1.2
"""Context and engine take memory beside the weights. A fifth more is a rule of thumb, and is told as one."""


class Fit(NamedTuple):
    """``fits`` is None where nobody can say; ``reason`` is for people."""

    entry: Entry
    fits: bool | None
    reason: str


def by_memory(entries: Sequence[Entry], task: str | None, budget: int | None) -> list[Fit]:
    """The entries for ``task`` in their own order, each with whether it fits ``budget`` bytes; None takes any task.

    An entry is for a task that its tasks or capabilities name, whatever the case and by whichever of the usual words
    (``chat-completion`` is ``chat``). One that names neither is for no task in particular and is left out.
    """
    return [Fit(entry, *_fits(entry, budget)) for entry in entries if task is None or suits(entry, task)]


def first_fitting(fits: Sequence[Fit]) -> Fit | None:
    """The first entry that surely fits, or None."""
    return next((fit for fit in fits if fit.fits), None)


def suits(entry: Entry, task: str) -> bool:
    """Whether an entry is for ``task``; see ``by_memory``."""
    return task_word(task) in {task_word(word) for word in known_for(entry)}


def known_for(entry: Entry) -> tuple[str, ...]:
    """What an entry is for: its own tasks and capabilities, and those of its variants."""
    words = [*entry.tasks, *entry.capabilities]
    words += [word for variant in entry.variants for word in (*variant.tasks, *variant.capabilities)]
    return tuple(dict.fromkeys(words))


def task_word(text: str) -> str:
    """A task or capability in the one of its usual words that stands for all of them."""
    word = "-".join(text.lower().replace("_", " ").split())
    return SYNONYMS.get(word, word)


def _fits(entry: Entry, budget: int | None) -> tuple[bool | None, str]:
    if any(variant.format == "remote" for variant in entry.variants):
        return True, "it runs behind an endpoint and takes no more memory here"
    if budget is None:
        return None, "this machine does not tell how much memory is free"
    free = f"{format_amount(budget)} are free"
    if entry.min_memory is not None:
        fits = entry.min_memory <= budget
        return fits, f"it asks for {format_amount(entry.min_memory)}, and {'' if fits else 'only '}{free}"
    return _by_size(entry.size or min((v.disk for v in entry.variants if v.disk), default=None), budget, free)


def _by_size(size: int | None, budget: int, free: str) -> tuple[bool | None, str]:
    if size is None:
        return None, 'the registry gives neither "min_ram_gb" nor "size_mb", and its files are not here'
    weights = f"its files are {format_amount(size)}"
    if size > budget:
        return False, f"{weights}, and only {free}"
    if size * ROOM > budget:
        return None, f"{weights} and {free}, which leaves less than a fifth for context and engine"
    return True, f"{weights} and {free}; context and engine take some beside them"
