"""The refusals that the scheduler gives, in words that tell what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from assay.amounts import format_amount
from assay.serve.memory import Memory, size_of
from assay.serve.model import Model
from assay.serve.offer import Offer
from assay.serve.refusal import Refusal

SERVICE_S = 1.0
"""What a request is reckoned to take of a model that has not answered one yet."""


def no_room(offer: Offer, memory: Memory, others: Sequence[Offer]) -> Refusal:
    """It does not fit, not even when every model that may go has gone."""
    needs = size_of(offer)
    now, most = memory.room(), memory.room(h.model for h in memory.holdings if h.use != "fixed")
    if needs is None:
        stay = ", ".join(h.model for h in memory.holdings if h.use == "fixed" and h.size)
        said = f"it is not known how much memory {offer.id} needs, so it is loaded alone, and {stay} stays loaded"
    else:
        said = f"{offer.id} needs {format_amount(needs)} of memory and {_amount(now)} is free"
        if most is not None and most > max(now or 0, 0):
            said += f", {_amount(most)} with every other model gone"
        if memory.budget is not None and memory.budget == memory.total:
            said += f"; all models together may take {format_amount(memory.budget)}"
    fitting = [other for other in others if other.id != offer.id and memory.plan(size_of(other)).verdict != "never"]
    if fitting:
        size = size_of(fitting[0])
        said += f"; {fitting[0].id} would fit" + ("" if size is None else f" ({format_amount(size)})")
    elif others:
        said += "; no other variant of it would fit"
    return Refusal(status=503, code="insufficient_memory", message=said)


def queue_full(what: str, wait: float) -> Refusal:
    return Refusal(
        status=429,
        code="queue_full",
        kind="rate_limit_error",
        message=f"{what}; try again in about {wait:.0f} s",
        retry_after=wait,
    )


def timed_out(model: Model, waited: float, wait: float) -> Refusal:
    """Its deadline has come while it waited."""
    what = {
        "waiting": "there was no room in memory to load it",
        "loading": "it was still being loaded",
        "backoff": "it was down after a crash",
        "stopping": "it was being stopped",
        "ready": "others were served first",
    }[model.state]
    at_once = f"{model.id} could not be had at once, and the request was not to wait"
    return Refusal(
        status=503,
        code="queue_timeout",
        message=f"the request waited {waited:.1f} s for {model.id}, and {what}" if waited else at_once,
        retry_after=wait,
    )


def crashed(model: Model) -> Refusal:
    again = f"{model.crashes} times in a row" if model.crashes > 1 else "once"
    said = f"{model.id} crashed {again}, the last time because {model.problem}"
    if model.offer.remote:
        said = f"{model.id} gave no answer: {model.problem}"
    return Refusal(status=503, code="model_crashed", message=said)


def backing_off(model: Model, now: float) -> Refusal:
    """It is not tried again before its backoff is over."""
    return replace(model.refusal or crashed(model), retry_after=max(1.0, math.ceil(model.retry_at - now)))


def shutting_down() -> Refusal:
    return Refusal(status=503, code="shutting_down", message="the service is shutting down")


def none_left(name: str, refusals: Sequence[Refusal]) -> Refusal:
    """Every offer of a route was passed over: that of the only one, or of all, as the most hopeful of them."""
    if len(refusals) == 1:
        return refusals[0]
    hopeful = min(refusals, key=lambda refusal: (refusal.status != 429, refusal.retry_after is None))
    times = [refusal.retry_after for refusal in refusals if refusal.retry_after is not None]
    said = "; ".join(dict.fromkeys(refusal.message for refusal in refusals))
    return replace(
        hopeful, message=f"nothing that serves {name!r} can be used now: {said}", retry_after=min(times, default=None)
    )


def wait_for(model: Model, now: float, most: float) -> float:
    """Seconds until a further request would get to a model: what is left of a load, then the queue. At least 1."""
    load = 0.0
    if model.state != "ready":
        load = max(0.0, (model.load_s or 0.0) - (now - model.since if model.state == "loading" else 0.0))
    service = SERVICE_S if model.service_s is None else model.service_s
    return max(1.0, min(most, math.ceil(load + service * (len(model.queue) + 1) / model.slots)))


def _amount(size: int | None) -> str:
    return "an unknown amount" if size is None else format_amount(max(0, size))
