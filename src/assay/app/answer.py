"""One prompt, one answer: a candidate is brought up, asked once, and taken down again.

In: a candidate and a prompt. Out: the answer as a sample, with how long the load took.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from assay import measure
from assay.app import loop
from assay.app.lifecycle import Lifecycle
from assay.errors import EngineStartFailed, NothingMeasured
from assay.types import Candidate, Decoding, Endpoint, Prompt, Sample


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, and why this variant was asked. ``load_s`` is None where the model was loaded already."""

    variant: str
    reasons: tuple[str, ...]
    engine: str
    engine_version: str | None
    load_s: float | None
    context_length: int | None
    sample: Sample


def answer(
    candidate: Candidate,
    prompt: Prompt,
    decoding: Decoding,
    lifecycle: Lifecycle,
    *,
    heard: Callable[[str], None] | None = None,
    timeout_s: float = 120.0,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Ask ``candidate`` once; ``heard`` gets each piece of text as it comes.

    Raises:
        EngineError: it did not come up. NothingMeasured: it came up, and the request failed.
    """
    blank = Sample(
        i=0, variant=candidate.variant.id, engine=candidate.engine, prompt=prompt.id, round=0, phase="measure"
    )

    async def ask(endpoint: Endpoint) -> Sample:
        async with measure.Client(endpoint, headers=headers) as client:
            return await client.ask(prompt, decoding, blank, timeout_s=timeout_s, heard=heard)

    return loop.run(lambda: _brought_up(candidate, lifecycle, ask))


async def _brought_up(
    candidate: Candidate, lifecycle: Lifecycle, ask: Callable[[Endpoint], Awaitable[Sample]]
) -> Answer:
    endpoint = await lifecycle.start(candidate)
    try:
        sample = await ask(endpoint)
        status = lifecycle.status(endpoint)
    finally:
        await lifecycle.stop(endpoint)
    if sample.error is not None:
        told = sample.error.message
        if status is not None and status.state == "dead":
            raise EngineStartFailed(
                f"{candidate.label} died while it answered", why=status.reason, remedy="assay doctor"
            )
        longer = "give it longer: --timeout" if sample.error.kind == "timeout" else "the same with --debug, or --ctx"
        raise NothingMeasured(f"{candidate.label} gave no answer", why=told, remedy=longer)
    return Answer(
        variant=candidate.variant.id,
        reasons=(),
        engine=candidate.engine,
        engine_version=endpoint.engine_version,
        load_s=endpoint.load_ns / 1e9 if endpoint.load_ns is not None else None,
        context_length=endpoint.context_length,
        sample=sample,
    )
