"""What a running service writes into its log: loads, ends, crashes, refusals and a line for each request."""

from __future__ import annotations

from assay.serve import EventLog, Refusal, Tally
from assay.serve.observer import Quiet
from assay.serve.overhear import Kind

SEEN_OFTEN = frozenset({"/health", "/metrics", "/assay/status", "/assay/models"})
"""Routes that probes ask every few seconds; their lines would hide the others."""


class ServiceLog(Quiet):
    """An ``Observer`` of the service that tells ``log``; ``request`` is told of each request that has ended.

    The line of a request tells how it was granted and how it ended; pulses come too often for a log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def request(self, tally: Tally) -> None:
        """A line for a request: who, what, how long; never its text."""
        if tally.route in SEEN_OFTEN and tally.status < 400:
            return
        self._log.say(
            "request",
            method=tally.method,
            path=tally.path[:200],
            status=tally.status,
            client=tally.client,
            model=tally.model or None,
            ms=tally.seconds * 1000,
            ttft_ms=None if tally.ttft is None else tally.ttft * 1000,
            tokens=tally.completion_tokens,
            code=tally.code,
            id=tally.id,
        )

    def overhear(self, id_: str, kind: Kind, text: str) -> None:
        """A line with a prompt or an answer: only where the owner has asked for that."""
        self._log.say(kind, id=id_, text=text)

    def loading(self, model: str, engine: str) -> None:
        """A load has begun."""
        self._log.say("loading", model=model, engine=engine)

    def loaded(self, model: str, engine: str, seconds: float) -> None:
        """It is up."""
        self._log.say("loaded", model=model, engine=engine, seconds=seconds)

    def failed(self, model: str, why: str) -> None:
        """A load did not succeed."""
        self._log.say("load failed", model=model, why=why)

    def stopped(self, model: str, why: str, *, evicted: bool) -> None:
        """It was taken down."""
        self._log.say("evicted" if evicted else "unloaded", model=model, why=why)

    def died(self, model: str, why: str) -> None:
        """It ended, broke or was killed as wedged."""
        self._log.say("crashed", model=model, why=why)

    def refused(self, name: str, refusal: Refusal) -> None:
        """A request is not served, and why: the line of the request has no room for that."""
        self._log.say("refused", name=name[:200], status=refusal.status, code=refusal.code, why=refusal.message)
