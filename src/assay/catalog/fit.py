"""Whether a variant, or an entry of a registry, fits into the memory that is free, and why, in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from assay.amounts import format_amount
from assay.catalog.registry_entry import Entry
from assay.catalog.spelling import task_word
from assay.types import Estimate, Variant

Fits = Literal["yes", "tight", "no"]
TIGHT = 0.9
"""More than this part of the budget leaves too little for whatever else the machine does."""
BITS = 4.5
"""Of a weight in the usual quantisations to 4 bits: by them a model is judged whose files the hub was not asked for."""
ROOM = 1.2
"""Where files alone are known, a fifth more is kept free for context and engine: a rule of thumb, told as one."""
REMOTE = "it runs behind an endpoint and takes no more memory here"
UNTOLD = "this machine does not tell how much memory is free"


class Fit(NamedTuple):
    """``fits`` is None where nobody can say, or where it would be tight; ``reason`` is for people."""

    entry: Entry
    fits: bool | None
    reason: str


def fit_of(variant: Variant, estimate: Estimate | None, budget: int | None) -> tuple[Fits | None, str]:
    """Whether ``variant`` fits ``budget`` bytes, and why, for people; None where nobody can say.

    Without an estimate (see ``by_estimate``), what a registry asks for counts, then the size of the files, then the
    number of parameters.
    """
    if variant.format == "remote":
        return "yes", REMOTE
    if estimate is not None:
        return by_estimate(estimate, budget)
    unasked = not variant.files and variant.min_memory is None and variant.format in {"gguf", "onnx"}
    if unasked and variant.parameters is not None:
        return by_parameters(variant.parameters, budget)
    return by_needs(variant.min_memory, variant.disk, budget, "its size is not known before the Hub is asked")


def fit_of_entry(entry: Entry, budget: int | None) -> tuple[Fits | None, str]:
    """The same of an entry of a registry, by what the registry says alone, else by its smallest files that are here."""
    if any(variant.format == "remote" for variant in entry.variants):
        return "yes", REMOTE
    size = entry.size or min((v.disk for v in entry.variants if v.disk), default=None)
    untold = 'the registry gives neither "min_ram_gb" nor "size_mb", and its files are not here'
    return by_needs(entry.min_memory, size, budget, untold)


def by_memory(entries: Sequence[Entry], task: str | None, budget: int | None) -> list[Fit]:
    """The entries for ``task`` in their own order, each with whether it fits ``budget`` bytes; None takes any task.

    An entry is for a task that its tasks or capabilities name, whatever the case and by whichever of the usual words
    (``chat-completion`` is ``chat``). One that names neither is for no task in particular and is left out.
    """
    surely = {"yes": True, "no": False}
    judged = [(entry, *fit_of_entry(entry, budget)) for entry in entries if task is None or suits(entry, task)]
    return [Fit(entry, surely.get(fits or ""), reason) for entry, fits, reason in judged]


def suits(entry: Entry, task: str) -> bool:
    """Whether ``task`` is among the tasks and capabilities of an entry and of its variants; see ``by_memory``."""
    words = [*entry.tasks, *entry.capabilities]
    words += [word for variant in entry.variants for word in (*variant.tasks, *variant.capabilities)]
    return task_word(task) in map(task_word, words)


def by_estimate(estimate: Estimate, budget: int | None) -> tuple[Fits | None, str]:
    """Whether what is estimated fits ``budget`` bytes of free memory.

    It fits where even the upper end of the range does and what is likely leaves a tenth free, and does not fit where
    what is likely does not; between them it is tight. Where an earlier load was observed, ``estimate.best`` counts in
    place of both: the peak that was seen, but never less than the formula's low end. Engines take memory as requests
    need it, or use only later what they took at the start, so that a load with short prompts shows less than one that
    fills its context; the low end has the cache of the whole context in it.
    """
    if budget is None:
        return None, f"about {format_amount(estimate.best)} needed; {UNTOLD}"
    free = f"{format_amount(budget)} free"
    asked = f"{estimate.context_length} tokens" + (f" in each of {estimate.slots} slots" if estimate.slots > 1 else "")
    if estimate.observed is not None:
        taken = f"took {format_amount(estimate.observed)} before"
        if estimate.observed < estimate.low:
            taken += f"; with {asked} in use at least {format_amount(estimate.low)} needed"
        else:
            taken += f" (about {format_amount(estimate.likely)} by the formula, with {asked})"
        return _judged(estimate.best, estimate.best, budget), f"{taken}, {free}"
    worst = f" ({format_amount(estimate.high)} at worst)" if estimate.likely <= budget < estimate.high else ""
    needed = f"about {format_amount(estimate.likely)} needed{worst} with {asked}, {free}"
    return _judged(estimate.likely, estimate.high, budget), needed


def by_needs(asked: int | None, size: int | None, budget: int | None, untold: str) -> tuple[Fits | None, str]:
    """By the memory that is ``asked`` for, else by the ``size`` of the files; ``untold`` is why neither is known."""
    if budget is None:
        return None, UNTOLD
    free = f"{format_amount(budget)} are free"
    if asked is not None:
        asks = f"it asks for {format_amount(asked)}"
        return ("yes", f"{asks}, and {free}") if asked <= budget else ("no", f"{asks}, and only {free}")
    if size is None:
        return None, untold
    weights = f"its files are {format_amount(size)}"
    if size > budget:
        return "no", f"{weights}, and only {free}"
    if size * ROOM > budget:
        return "tight", f"{weights} and {free}, which leaves less than a fifth for context and engine"
    return "yes", f"{weights} and {free}; context and engine take some beside them"


def by_parameters(parameters: int, budget: int | None) -> tuple[Fits | None, str]:
    """Whether so many weights of ``BITS`` bits leave room, before the hub was asked for the sizes of files."""
    if budget is None:
        return None, UNTOLD
    size = round(parameters * BITS / 8)
    told = f"by its parameters, weights of 4 bits are about {format_amount(size)}"
    if size > budget:
        return "no", f"{told}, and only {format_amount(budget)} are free"
    if size * ROOM > budget:
        return "tight", f"{told}, which leaves less than a fifth of {format_amount(budget)} for context and engine"
    return "yes", f"{told}, and {format_amount(budget)} are free"


def _judged(likely: int, high: int, budget: int) -> Fits:
    if likely > budget:
        return "no"
    return "yes" if high <= budget and likely <= TIGHT * budget else "tight"
