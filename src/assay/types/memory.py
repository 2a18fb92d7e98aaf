"""What a variant takes of a machine's memory: estimated before, observed after."""

from __future__ import annotations

from msgspec import Struct


class Estimate(Struct, frozen=True, kw_only=True):
    """Bytes that an engine will take for a variant at ``context_length`` tokens in each of ``slots`` slots.

    ``weights``, ``cache``, ``buffers`` and ``base`` are the parts of ``likely``; ``observed`` is the peak of an earlier
    load with the same engine build, files, context and slots; its prompts may have been shorter than the context.
    ``unknown`` names what the files do not tell, which widens the range.
    """

    low: int
    likely: int
    high: int
    weights: int
    cache: int
    buffers: int
    base: int
    engine: str
    context_length: int
    slots: int
    observed: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """What to reckon with: what is likely, else what was observed but no less than ``low``: see ``observed``."""
        return self.likely if self.observed is None else max(self.observed, self.low)


class Observation(Struct, frozen=True, kw_only=True):
    """What a load really took: peak bytes of the engine's process tree, from the meters."""

    engine: str
    engine_version: str | None
    digest: str
    context_length: int | None
    slots: int
    peak: int
    when: str

    @property
    def key(self) -> tuple[str, str | None, str, int | None, int]:
        return (self.engine, self.engine_version, self.digest, self.context_length, self.slots)
