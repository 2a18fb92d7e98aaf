"""From names and settings to a finished run: the public ``bench``, ``resume`` and ``quickstart``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from assay import catalog, runs
from assay.app import candidates as named
from assay.app.asked import Given, prompts_for
from assay.app.here import Here, open_here
from assay.app.measuring import carry_out, finish
from assay.app.run import Run
from assay.errors import BadInput
from assay.settings import Settings, api_key
from assay.types import Candidate, Decoding, EngineOptions, Reporter, Silent, Transfers, Workload

QUICKSTART_ROUNDS = 3


def bench(
    models: str | Sequence[str] = (),
    *,
    prompts: Given = None,
    prompt: str | None = None,
    rounds: int | None = None,
    warmup: int | None = None,
    concurrency: int | str | Sequence[int] | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    stream: bool | None = None,
    timeout_s: float | None = None,
    retries: int | None = None,
    engine: Sequence[str] = (),
    endpoint: str | None = None,
    config: str | Path | None = None,
    adapter: str | None = None,
    weights: str | Path | None = None,
    threads: int | None = None,
    context_length: int | None = None,
    interleave: str = "auto",
    name: str | None = None,
    command: str | None = None,
    home: str | Path | None = None,
    reporter: Reporter | None = None,
    transfers: Transfers | None = None,
) -> Run:
    """Measure models on the same prompts, score the answers by their checks, and give the run.

    ``models`` are named as for ``assay bench``: aliases, entries of ``config``, repositories of the Hub, paths, URLs;
    what is not on this machine is fetched, and ``transfers`` is told of it. What is left None comes from the
    environment, ``assay.toml``, the user's ``config.toml``, then defaults. Times are in seconds.
    ``name`` is what the run can be found by, ``command`` what a person typed to begin it; both are kept in its record.

    Raises:
        BadInput: something named cannot be used. NothingMeasured: every candidate failed; the run is kept.
    """
    if prompts is not None and prompt is not None:
        raise BadInput("both a prompt set and a single prompt were given", remedy="leave one of them out")
    flags = {
        "home": home, "prompt": prompt, "rounds": rounds, "warmup": warmup, "concurrency": concurrency,
        "max_tokens": max_tokens, "temperature": temperature, "seed": seed, "stream": stream, "timeout_s": timeout_s,
        "retries": retries, "endpoint": endpoint, "threads": threads, "context_length": context_length,
        "registry": config,
    }  # fmt: skip
    here = open_here(flags)
    settings, registry = here.settings, here.registry
    reporter = reporter or Silent()
    for warning in registry.warnings if registry else ():
        reporter.note(f"{settings.registry}: {warning}")
    wanted = (models,) if isinstance(models, str) else tuple(models)
    if weights is not None and not adapter:
        raise BadInput("weights were given without an adapter", remedy="name it: --adapter module:Class")
    if adapter:
        name_of_model = wanted[0] if wanted else None
        chosen = [named.from_adapter(adapter, Path(weights) if weights else None, name_of_model, here.hashes)]
    else:
        chosen = _named(wanted, here, engine, transfers or Silent(), reporter)
    workload = Workload(
        prompts=prompts_for(prompts, settings, registry, chosen),
        rounds=settings.rounds,
        warmup=settings.warmup,
        concurrency=settings.concurrency,
        decoding=_decoding(settings, top_p, top_k, stop),
        stream=settings.stream,
        seed=settings.seed,
        request_timeout_s=settings.timeout_s,
        retries=settings.retries,
    )
    options = EngineOptions(
        context_length=settings.context_length, slots=max(settings.concurrency), threads=settings.threads
    )
    return carry_out(
        workload,
        chosen,
        options,
        here,
        interleave=interleave,
        name=name,
        command=command,
        api_key=api_key(os.environ),
        reporter=reporter,
    )


def quickstart(*, home: str | Path | None = None, reporter: Reporter | None = None) -> Run:
    """Measure every bundled model on its own prompts, in three rounds at temperature 0, whatever else is set.

    Needs no network. Raises ``NothingMeasured`` where no engine runs here.
    """
    set_home = open_here({"home": home}).settings
    settings = Settings(home=set_home.home, models_folder=set_home.models_folder, rounds=QUICKSTART_ROUNDS)
    chosen = [one for variant in catalog.bundled_variants() for one in named.on_engines(variant, ())]
    workload = Workload(
        prompts=prompts_for(None, settings, None, chosen),
        rounds=settings.rounds,
        decoding=_decoding(settings, None, None, ()),
    )
    return carry_out(
        workload,
        chosen,
        EngineOptions(),
        Here(settings),
        interleave="auto",
        name="quickstart",
        command="assay quickstart",
        api_key=None,
        reporter=reporter or Silent(),
    )


def resume(run: str | Path = "latest", *, home: str | Path | None = None, reporter: Reporter | None = None) -> Run:
    """Finish a run that was cut off: only what it does not hold is measured, on its own workload and candidates.

    Raises:
        RunNotFound: there is none of that name. RunInUse: it is being measured at this moment.
    """
    here = open_here({"home": home})
    path = runs.find(here.settings.runs, str(run))
    return finish(path, here, api_key=api_key(os.environ), reporter=reporter or Silent())


def _named(
    wanted: Sequence[str], here: Here, engine: Sequence[str], transfers: Transfers, reporter: Reporter
) -> list[Candidate]:
    settings, key = here.settings, api_key(os.environ)
    names = list(wanted or settings.models)
    if here.registry and not names:
        names = ["auto"]
    remote = named.use_endpoint(settings)
    if remote:
        reporter.note(f"measuring at {remote} (from {settings.source('endpoint')})")
        return named.at_endpoint(remote, [one for one in names if one.lower() not in named.EVERY], key)
    named.require_names(names)
    return named.from_names(names, here=here, engines_wanted=engine, api_key=key, transfers=transfers)


def _decoding(settings: Settings, top_p: float | None, top_k: int | None, stop: Sequence[str]) -> Decoding:
    if top_p is not None and not 0 < top_p <= 1:
        raise BadInput(f"top-p cannot be {top_p:g}", remedy="give a share above 0, at most 1")
    if top_k is not None and top_k < 1:
        raise BadInput(f"top-k cannot be {top_k}", remedy="give a number of tokens, 1 or more")
    return Decoding(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=top_p,
        top_k=top_k,
        seed=settings.seed if settings.temperature > 0 else None,
        stop=tuple(stop),
    )
