"""One answer, as ``assay model run --prompt`` gives it. Pure.

In: a place and the sample that came of it. Out: an ``Answer``, or why there is none.
"""

from __future__ import annotations

from msgspec import Struct

from assay.app.talker import Place, outgrown
from assay.errors import EngineStartFailed, NothingMeasured
from assay.types import Sample

REMEDIES = {"timeout": "give it longer: --timeout", "connect": "check the server's address, and that it runs"}
"""By why a request failed."""
SHORTER = "give a shorter prompt, or --ctx where the model has a longer context"


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, why this variant was asked, and where; times are seconds.

    ``load_s`` is None where the model was loaded already, ``fetched_s`` where it was on this machine.
    """

    variant: str
    reasons: tuple[str, ...]
    engine: str
    engine_version: str | None
    load_s: float | None
    context_length: int | None
    sample: Sample
    where: str
    why_there: str
    found_s: float | None = None
    fetched_s: float | None = None


def answered(place: Place, sample: Sample) -> Answer:
    """The answer that ``sample`` is.

    Raises:
        EngineStartFailed: the model died. NothingMeasured: it came up, and the request failed.
    """
    error = sample.error
    if error is not None and error.kind == "engine_died":
        raise EngineStartFailed(error.message, remedy="assay doctor")
    if error is not None:
        remedy = SHORTER if outgrown(sample) else REMEDIES.get(error.kind, "the same with --debug")
        raise NothingMeasured(f"{place.variant} @ {place.engine} gave no answer", why=error.message, remedy=remedy)
    return Answer(
        variant=place.variant,
        reasons=place.reasons,
        engine=place.engine,
        engine_version=place.engine_version,
        load_s=place.load_s,
        context_length=place.context_length,
        sample=sample,
        where=place.where,
        why_there=place.why_there,
        found_s=place.found_s,
        fetched_s=place.fetched_s,
    )
