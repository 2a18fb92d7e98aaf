"""Choosing between what was measured, comparing two runs, and the answer without measuring: what fits in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from assay import catalog, decide, machine
from assay.app.benchmark import bench
from assay.app.run import PolicyLike, Run, as_policy, choose_between
from assay.errors import BadInput
from assay.types import Choice


class Fit(Struct, frozen=True, kw_only=True):
    """One entry of a registry against this machine's memory; ``fits`` is None where its needs are unknown."""

    alias: str
    fits: bool | None
    reason: str
    runnable: bool
    """Whether its files are on this machine."""


def choose(runs_or_models: Run | str | Sequence[Run | str], policy: PolicyLike = None, **options: Any) -> Choice:
    """The choice over runs, or over models, which are measured first (``options`` as for ``bench``).

    ``policy`` is a ``Policy`` or the path of a policy.toml; None prefers quality, then speed.

    Raises:
        BadInput: runs and models in one list. RunsUnlike: runs of unlike machines or workloads.
    """
    given = [runs_or_models] if isinstance(runs_or_models, Run | str) else list(runs_or_models)
    measured = [one for one in given if isinstance(one, Run)]
    names = [one for one in given if isinstance(one, str)]
    if measured and names:
        raise BadInput("runs and models were given together", remedy="choose between runs, or between models")
    wanted = as_policy(policy)
    return choose_between(measured or [bench(names, **options)], wanted)


def compare(before: Run, after: Run, *, allow: Sequence[str] = ()) -> decide.Comparison:
    """What differs between two runs, paired by prompt, and whether it is real.

    Raises:
        RunsUnlike: machines or workloads differ and ``allow`` does not name that.
    """
    return decide.compare(before.data, after.data, allow=tuple(allow))


def fits(config: str | Path, task: str | None = None) -> list[Fit]:
    """The entries of a models.json for ``task``, in its order, against this machine's memory. Nothing is measured.

    Raises:
        BadRegistry: the file cannot be used. BadInput: no entry is for ``task``.
    """
    registry = catalog.read_registry(Path(config))
    budget = machine.inspect().memory_budget
    found = catalog.by_memory(registry.entries, task, budget)
    if not found:
        tasks = sorted({task for entry in registry.entries for task in (*entry.tasks, *entry.capabilities)})
        raise BadInput(
            f"no entry of {config} is for {task}",
            why=f"tasks there: {', '.join(tasks) or 'none'}",
            remedy="name another --task, or leave it out",
        )
    return [
        Fit(alias=one.entry.alias, fits=one.fits, reason=one.reason, runnable=bool(one.entry.variants)) for one in found
    ]
