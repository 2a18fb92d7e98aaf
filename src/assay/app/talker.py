"""What a chat talks to: a model in a process of this command's own, or one elsewhere behind the same four methods.

In: messages and parameters. Out: a ``Sample`` for each answer, its text handed on as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, structs

from assay import measure
from assay.app.lifecycle import Lifecycle
from assay.types import Candidate, Endpoint, RequestError, Sample

OWN_PROCESS = "a process of its own"
LONGEST_S = 86_400.0
"""A chat's answer may take as long as its reader has patience; a server that is gone is noticed by other means."""

LINGERS, LINGER_S = 20, 0.05
"""How often, and in what seconds, an endpoint whose connection broke is looked at for its end."""
REFUSALS = frozenset({400, 413, 422})
"""Statuses of a server that does not do what it was asked for."""
_BREAKS = frozenset({"connect", "stream", "protocol"})

Messages = Sequence[Mapping[str, str]]
Heard = Callable[[str], None]


class Place(Struct, frozen=True, kw_only=True):
    """What answers, where, and why; times are seconds, None for a step that was not needed or is not known.

    ``where`` is ``OWN_PROCESS`` or names the service or the server, and ``why_there`` says why.
    """

    variant: str
    engine: str
    engine_version: str | None = None
    where: str
    why_there: str
    reasons: tuple[str, ...] = ()
    context_length: int | None = None
    found_s: float | None = None
    fetched_s: float | None = None
    load_s: float | None = None


class Talker(Protocol):
    """A model to talk to."""

    @property
    def place(self) -> Place:
        """What is known of it now."""
        ...

    async def open(self) -> None:
        """Have it loaded; nothing to do where it is. Raise ``AssayError`` where it does not come up."""
        ...

    async def answer(
        self, messages: Messages, parameters: Mapping[str, Any], heard: Heard | None, *, timeout_s: float = LONGEST_S
    ) -> Sample:
        """Its answer; a failure is a sample with ``error``. One that has died since is brought up again first."""
        ...

    async def close(self) -> None:
        """Let go of it; a later ``answer`` has it loaded again."""
        ...


class OwnTalker:
    """Talks to a candidate that it brings up itself, or to a server elsewhere (``format="remote"``)."""

    def __init__(
        self,
        candidate: Candidate,
        lifecycle: Lifecycle,
        place: Place,
        *,
        starting: Callable[[str], None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._candidate = candidate
        self._lifecycle = lifecycle
        self._place = place
        self._starting = starting
        self._headers = headers
        self._endpoint: Endpoint | None = None

    @property
    def place(self) -> Place:
        return self._place

    async def open(self) -> None:
        """Bring it up; raise ``EngineError`` where it does not come up."""
        await self._live()

    async def answer(
        self, messages: Messages, parameters: Mapping[str, Any], heard: Heard | None, *, timeout_s: float = LONGEST_S
    ) -> Sample:
        """See ``Talker``."""
        if self._endpoint is not None and self._died(self._endpoint) is not None:
            await self.close()
        endpoint = await self._live()
        async with measure.Client(endpoint, headers=self._headers) as client:
            blank = blank_sample(self._place)
            sample = await client.chat(messages, parameters, blank, timeout_s=timeout_s, heard=heard)
        why = await self._death(endpoint) if sample.error is not None and sample.error.kind in _BREAKS else None
        if why is not None:
            await self.close()
            told = RequestError(kind="engine_died", message=f"{self._candidate.label} died while it answered: {why}")
            return structs.replace(sample, error=told)
        return sample

    async def close(self) -> None:
        """End its process."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await self._lifecycle.stop(endpoint)

    async def _live(self) -> Endpoint:
        if self._endpoint is None:
            self._starting(f"Loading {self._candidate.label}")
            self._endpoint = endpoint = await self._lifecycle.start(self._candidate)
            self._place = structs.replace(
                self._place,
                engine_version=endpoint.engine_version,
                context_length=endpoint.context_length,
                load_s=endpoint.load_ns / 1e9 if endpoint.load_ns is not None else None,
            )
        return self._endpoint

    async def _death(self, endpoint: Endpoint) -> str | None:
        """Why it has died; its connections may break a moment before its end is known."""
        for _ in range(LINGERS):
            why = self._died(endpoint)
            if why is not None:
                return why
            await asyncio.sleep(LINGER_S)
        return None

    def _died(self, endpoint: Endpoint) -> str | None:
        status = self._lifecycle.status(endpoint)
        return (status.reason or "no reason is known") if status is not None and status.state == "dead" else None


def outgrown(sample: Sample) -> bool:
    """Whether a server refused a conversation for its length; all of them name the context, and few a code."""
    error = sample.error
    refused = error is not None and error.status in REFUSALS and "context" in error.message.lower()
    return refused and not sample.text


def blank_sample(place: Place) -> Sample:
    """A sample of a chat, before it is measured."""
    return Sample(i=0, variant=place.variant, engine=place.engine, prompt="chat", round=0, phase="measure")
