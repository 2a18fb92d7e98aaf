"""A name and a prompt in, an answer out: the best variant of the name is found, fetched if need be, and asked.

In: names and flags. Out: an ``Answer``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from assay import measure
from assay.app.answer import Answer, answer
from assay.app.candidates import on_engines
from assay.app.getting import best_of, brought, choose
from assay.app.here import Here, open_here
from assay.app.lifecycle import Lifecycle
from assay.app.sizing import Sizing
from assay.settings import api_key
from assay.types import Decoding, EngineOptions, Prompt, Reporter, Silent, Transfers, Variant


def run_model(
    name: str,
    prompt: str,
    *,
    system: str | None = None,
    max_tokens: int | str | None = None,
    temperature: float | str | None = None,
    engine: str | None = None,
    threads: int | str | None = None,
    context_length: int | str | None = None,
    slots: int | None = None,
    timeout_s: float | str | None = None,
    config: str | Path | None = None,
    token: str | None = None,
    home: str | Path | None = None,
    heard: Callable[[str], None] | None = None,
    reporter: Reporter | None = None,
    transfers: Transfers | None = None,
) -> Answer:
    """Ask the best variant of ``name`` once, fetching it where it is not here; ``heard`` gets the text as it comes.

    Raises:
        UnknownModel: nothing of that name that runs. HubError, StoreError: it cannot be fetched. EngineError: it does
        not come up. NothingMeasured: it gave no answer.
    """
    flags = {
        "home": home, "registry": config, "context_length": context_length, "max_tokens": max_tokens,
        "temperature": temperature, "threads": threads, "timeout_s": timeout_s,
    }  # fmt: skip
    here = open_here(flags, token=token)
    reporter = reporter or Silent()
    variant, reasons = _one(name, here, Sizing(here, slots=slots), transfers or Silent())
    candidate = on_engines(variant, (engine,) if engine else ())[0]
    reporter.stage(f"Loading {candidate.label}")
    settings = here.settings
    options = EngineOptions(context_length=settings.context_length, slots=slots or 1, threads=settings.threads)
    answered = answer(
        candidate,
        Prompt(id="prompt", prompt=prompt, system=system),
        Decoding(max_tokens=settings.max_tokens, temperature=settings.temperature),
        Lifecycle(options, here.hold),
        heard=heard,
        timeout_s=settings.timeout_s,
        headers=dict(measure.bearer(api_key(os.environ))) if variant.format == "remote" else None,
    )
    return structs.replace(answered, reasons=reasons)


def _one(name: str, here: Here, sizing: Sizing, transfers: Transfers) -> tuple[Variant, tuple[str, ...]]:
    """The best variant of what is here, else of what the hub offers, then fetched; and why it is that one."""
    found = here.catalog.find(name)
    local = any(variant.format != "safetensors" for variant in found.variants)
    chosen = choose(found, here, sizing, ask=not local)
    best = best_of(chosen, sizing)
    reasons = next(one.reasons for one in chosen.ranked.rankings if one.variant is best)
    sizing.close()
    return brought(best, here, transfers), reasons
