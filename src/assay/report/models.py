"""Models in words: the list, one model, what was fetched, what other programs have here, an answer's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.report import proofs
from assay.report.columns import columns
from assay.report.units import UNKNOWN, clock, duration, parameters, plural, rate, size
from assay.types import Estimate, Sample, Stored, Variant

HEAD = ("Alias", "Device", "Task", "File Size", "License", "Model ID", "Fits")
ANY_DEVICE = "any"
SHOWN = 6
"""Variants of which nothing runs that are told of without being asked for."""


def table(rows: Sequence[Any], *, width: int | None = None) -> list[str]:
    """``catalog.Row``s with the columns that people know from Foundry Local, and ``Fits``.

    The alias stands in the first of its rows only; that row is what the alias runs.
    """
    cells, before = [], None
    for row in rows:
        cells.append(
            (
                "" if row.alias == before else row.alias,
                row.device.upper() if row.device else ANY_DEVICE,
                row.task or UNKNOWN,
                size(row.size) + (" *" if row.cached else ""),
                row.licence or row.licence_class,
                row.id,
                row.fits or UNKNOWN,
            )
        )
        before = row.alias
    here = ["", "* is on this machine"] if any(row.cached for row in rows) else []
    return [*columns(HEAD, cells, right=(3,), width=width), *here]


def info(told: Any, *, verbose: bool) -> list[str]:
    """An ``app.Info``: what the alias runs here and why; with ``verbose`` every variant and every file left out."""
    lines = [told.alias]
    running = [one for one in told.variants if one.runs]
    if not running:
        lines += ["  nothing of it runs here:"]
        lines += [f"    {one.variant.id}: {'; '.join(one.reasons)}" for one in told.variants[:SHOWN]]
    for one in running:
        lines += _facts(one)
    if verbose:
        lines += ["", "all variants, best first"]
        lines += [f"  {_mark(one)} {one.variant.id}: {'; '.join(one.reasons)}" for one in told.variants]
        lines += [f"  - {', '.join(out.paths[:3])}{_more(out.paths)}: {out.why}" for out in told.left_out]
        lines += [f"  page: {page}" for page in told.pages]
    elif (others := len(told.variants) - (1 if running else SHOWN)) > 0:
        lines += ["", f"  {plural(others, 'other variant')}; -v tells of each"]
    lines += [f"  not asked: {reason}" for reason in told.unasked]
    return lines


def stored(one: Stored) -> str:
    """One line about what is in the store now."""
    variant = one.variant
    note = f", {plural(len(one.links), 'file')} linked" if one.links else ""
    return f"{variant.id}: {size(variant.disk)} in {plural(len(variant.files), 'file')}{note}, verified"


def importable(found: Sequence[Any], *, width: int | None = None) -> list[str]:
    """``store.Found``s: what other programs have on this machine, under the names that import takes."""
    if not found:
        return ["no other program's models were found here; assay model import PATH takes one by its path"]
    rows = [(one.name, one.format, size(one.size), str(one.path)) for one in found]
    return columns(("Name", "Format", "Size", "Where"), rows, right=(2,), width=width)


def answered(told: Any) -> list[str]:
    """An ``app.Answer``'s choice and figures."""
    sample: Sample = told.sample
    engine = f"{told.engine} {told.engine_version or ''}".strip()
    tokens = f"{sample.prompt_tokens or UNKNOWN} prompt and {sample.output_tokens or UNKNOWN} output tokens"
    steps = [
        f"loaded in {duration(told.load_s)}" if told.load_s is not None else None,
        f"first text after {duration(sample.ttft)}" if sample.ttft is not None else None,
        rate(sample.decode_tps) if sample.decode_tps is not None else None,
    ]
    return [
        f"ran {told.variant} on {engine}: {'; '.join(told.reasons)}",
        ", ".join([*filter(None, steps), tokens, f"ended by {sample.finish or UNKNOWN}"]),
        placed(told),
    ]


def opened(place: Any) -> list[str]:
    """The choice and the steps of a chat's ``app.Place``."""
    reasons = f"chose {place.variant}: {'; '.join(place.reasons)}" if place.reasons else f"chose {place.variant}"
    load = f"loaded in {duration(place.load_s)}" if place.load_s is not None else "it was loaded already"
    return [reasons, f"{placed(place)}, {load}"]


def loaded(told: Mapping[str, Any]) -> str:
    """What the service says of a model that it has loaded, in a line."""
    memory = f", {size(told['resident'])} of memory" if told.get("resident") else ""
    stays = f", goes when idle for {clock(told['expires_s'])}" if told.get("expires_s") is not None else ""
    took = f", loaded in {duration(told['load_s'])}" if told.get("load_s") is not None else ""
    state = told.get("state", UNKNOWN)
    return f"{told.get('id', UNKNOWN)} on {told.get('engine', UNKNOWN)}: {state}{took}{memory}{stays}"


def placed(told: Any) -> str:
    """Where a model ran, why there, and how long it took to find and fetch it; of an ``app.Answer`` or a place."""
    fetched = f"fetched in {duration(told.fetched_s)}" if told.fetched_s is not None else "nothing to fetch"
    return f"in {told.where} ({told.why_there}); found in {duration(told.found_s)}, {fetched}"


def _facts(one: Any) -> list[str]:
    variant: Variant = one.variant
    facts = {
        "runs": f"{variant.id} on {one.engine}" if one.engine else variant.id,
        "why": "; ".join(one.reasons),
        "source": variant.source + (f" at {variant.revision[:12]}" if variant.revision else ""),
        "files": f"{plural(len(variant.files), 'file')}, {size(variant.disk)}" if variant.files else None,
        "lies at": one.path,
        "made from": variant.base,
        "parameters": parameters(variant.parameters) if variant.parameters else None,
        "context": f"{variant.context_length:,} tokens" if variant.context_length else None,
        "licence": f"{variant.licence} ({one.licence_class})" if variant.licence else "unknown",
        "good for": ", ".join(dict.fromkeys((*variant.tasks, *variant.capabilities))) or None,
        "languages": ", ".join(variant.languages) or None,
        "notes": variant.notes,
    }
    lines = [f"  {name:<11} {fact}" for name, fact in facts.items() if fact]
    lines += [f"  {'memory':<11} {_memory(one.estimate)}"] if one.estimate else []
    if one.stored is not None:
        used = f", last used {one.stored.used[:10]}" if one.stored.used else ""
        lines.append(f"  {'here since':<11} {one.stored.added[:10]}, by {one.stored.origin}{used}")
        if one.stored.proof is not None:
            lines += ["", "  what its making lost"] + [f"    {line}" for line in proofs.lines(one.stored.proof)]
    return lines


def _memory(estimate: Estimate) -> str:
    rest = size(estimate.buffers + estimate.base)
    told = f"{size(estimate.likely)} likely ({size(estimate.low)} to {size(estimate.high)})"
    told += f" with {estimate.context_length:,} tokens" + (f" in {estimate.slots} slots" if estimate.slots > 1 else "")
    told += f": weights {size(estimate.weights)}, cache {size(estimate.cache)}, rest {rest}"
    if estimate.observed is not None:
        told += f"; {size(estimate.observed)} observed here, {size(estimate.best)} reckoned with"
    return told + (f"; not known: {', '.join(estimate.unknown)}" if estimate.unknown else "")


def _mark(one: Any) -> str:
    return ">" if one.runs else "+" if one.ok else "-"


def _more(paths: Sequence[str]) -> str:
    return f" and {len(paths) - 3} more" if len(paths) > 3 else ""
