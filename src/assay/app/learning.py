"""What a run's loads really took, for the next estimate.

In: a run as read from disk. Out: an ``Observation`` for each candidate whose memory was read.
"""

from __future__ import annotations

from assay.types import Candidate, Observation, RunData


def observations(data: RunData) -> list[Observation]:
    """Peaks of the measured candidates that ran on this machine, in the order of the run.

    A candidate without a reading, or whose engine did not tell its context length, teaches nothing.
    """
    return [found for candidate in data.record.candidates if (found := _observed(data, candidate)) is not None]


def _observed(data: RunData, candidate: Candidate) -> Observation | None:
    context = candidate.arguments.get("context_per_slot")
    memory = [one.memory for one in data.readings if (one.variant, one.engine) == candidate.key and one.memory]
    if candidate.status != "measured" or candidate.variant.path is None or not memory or not isinstance(context, int):
        return None
    return Observation(
        engine=candidate.engine,
        engine_version=candidate.engine_version,
        digest=candidate.variant.digest,
        context_length=context,
        slots=data.record.options.slots,
        peak=max(memory),
        when=data.record.finished or data.record.created,
    )
