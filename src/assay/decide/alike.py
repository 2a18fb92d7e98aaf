"""Whether runs may be held against each other: the same machine, the same workload, or what differs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from msgspec import structs

from assay.errors import RunsUnlike
from assay.types import Machine, RunData, Workload

MACHINE, WORKLOAD = "machine", "workload"
_HARDWARE: Final = ("system", "arch", "cpu", "cores", "memory", "gpus")
_SHOWN: Final = 5


def require_alike(datas: Sequence[RunData], allow: Collection[str] = ()) -> list[str]:
    """Raise `RunsUnlike`, listing what differs between machines or workloads, unless ``allow`` names that.

    Returns the differences that were allowed, in words. What ``allow`` may hold: ``machine``, ``workload``.
    """
    first, *others = (data.record for data in datas)
    allowed: list[str] = []
    for other in others:
        machine = machine_differences(first.machine, other.machine)
        workload = workload_differences(first.workload, other.workload)
        for what, differences in ((MACHINE, machine), (WORKLOAD, workload)):
            if differences and what not in allow:
                raise RunsUnlike(
                    f"runs {first.id} and {other.id} were made {_MADE[what]}",
                    why="; ".join(differences),
                    remedy=f"measure both alike, or allow it by name: {what}",
                )
            allowed += [f"{what} differs between {first.id} and {other.id}: {words}" for words in differences]
    return allowed


_MADE: Final = {MACHINE: "on unlike machines", WORKLOAD: "with unlike workloads"}


def common_prompts(datas: Sequence[RunData]) -> list[str]:
    """Ids of the prompts that all runs asked, in the order of the first. Raises `RunsUnlike` where there is none.

    The same id with other words is another prompt.
    """
    asked = [{p.id: (p.prompt, p.system) for p in data.record.workload.prompts} for data in datas]
    common = [prompt for prompt, words in asked[0].items() if all(other.get(prompt) == words for other in asked[1:])]
    if not common:
        raise RunsUnlike(
            "the runs have no prompt in common", why="differences are paired by prompt", remedy="measure one prompt set"
        )
    return common


def machine_differences(a: Machine, b: Machine) -> list[str]:
    """What of the hardware differs, in words; nothing where the digests are equal."""
    if a.digest == b.digest:
        return []
    return _differences(a, b, _HARDWARE)


def workload_differences(a: Workload, b: Workload) -> list[str]:
    """What of the workload differs, in words; nothing where the digests are equal."""
    if a.digest == b.digest:
        return []
    fields = [name for name in structs.asdict(a) if name not in {"prompts", "decoding"}]
    decoding = [f"decoding {words}" for words in _differences(a.decoding, b.decoding, list(structs.asdict(a.decoding)))]
    return [*_prompt_differences(a, b), *_differences(a, b, fields), *decoding]


def _differences(a: Any, b: Any, fields: Sequence[str]) -> list[str]:
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in fields)
    return [f"{name} {_words(one)} and {_words(other)}" for name, one, other in pairs if one != other]


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(getattr(one, "name", one)) for one in value) or "none"
    return "unknown" if value is None else str(value)


def _prompt_differences(a: Workload, b: Workload) -> list[str]:
    one, other = ({prompt.id: prompt for prompt in workload.prompts} for workload in (a, b))
    found = []
    for ids, words in (
        ([i for i in one if i not in other], "prompts only in the first"),
        ([i for i in other if i not in one], "prompts only in the second"),
        ([i for i in one if i in other and one[i] != other[i]], "prompts that changed"),
    ):
        if ids:
            more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            found.append(f"{words}: {', '.join(ids[:_SHOWN])}{more}")
    if not found and a.prompts != b.prompts:
        found.append("prompts come in another order")
    return found
