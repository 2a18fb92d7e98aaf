"""The models as a whole: who comes up, who makes room for it, who goes, who is tried again when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from assay.serve import reasons
from assay.serve.actions import Action, Start, Stop, Warm
from assay.serve.limits import Limits
from assay.serve.memory import Holding, Memory, size_of
from assay.serve.model import Model
from assay.serve.offer import Offer
from assay.serve.refusal import Refusal

CRASHES = 3
"""After so many crashes in a row nobody waits for the next restart."""
DOUBLINGS = 30


class Fleet:
    """Every model that is up, on its way up or down, waited for, or in its backoff."""

    def __init__(self, limits: Limits) -> None:
        self.models: dict[str, Model] = {}
        self._limits = limits
        self._machine: int | None = None
        self._unsure: dict[str, int] = {}
        self._lives = 0

    def at(self, offer: Offer, now: float) -> Model:
        """The offer's model."""
        model = self.models.get(offer.id)
        if model is None:
            model = self.models[offer.id] = Model(offer, now)
        return model

    def offered(self, offers: Iterable[Offer]) -> bool:
        """What goes by their ids now, for all who wait for one of them; gives whether any of it is new."""
        news = [self.models[offer.id].take(offer) for offer in offers if offer.id in self.models]
        return any(news)

    def told(self, free: int | None) -> None:
        """``free`` bytes are left on the machine now, after what has just happened to a model; None: not known.

        Together with what models have taken that is what models could take in all, which stays true while they come
        and go: only other programs make it stale. How much of it one has taken that is on its way up or down is not
        known: anything up to all of it.
        """
        if free is not None:
            held = {model.id: model.taken for model in self.models.values()}
            self._machine = free + sum(held.values())
            self._unsure = {model: size for model, size in held.items() if self.models[model].moving}

    def memory(self, now: float) -> Memory:
        held = (model.holding(now) for model in self.models.values())
        unsure = sum(size for model, size in self._unsure.items() if model in self.models and self.models[model].moving)
        return Memory(
            self._limits.memory, self._machine, tuple(holding for holding in held if holding is not None), unsure
        )

    def stay(self, model: Model) -> float | None:
        """How long a model stays that nobody uses: its own time, else the service's."""
        return self._limits.ttl_s if model.ttl is None else model.ttl

    def obstacle(self, offer: Offer, others: tuple[Offer, ...], now: float) -> Refusal | None:
        """Why an offer can neither be had nor be waited for: no room for it, or its backoff."""
        model = self.models.get(offer.id)
        if model is not None and model.state in {"loading", "ready"}:
            return None
        if model is not None and model.state == "backoff" and now < model.retry_at:
            return reasons.backing_off(model, now)
        offer = offer if model is None else model.offered
        fits = self.memory(now).plan(size_of(offer)).verdict != "never"
        return None if fits else self.no_room(offer, others, now)

    def no_room(self, offer: Offer, others: tuple[Offer, ...], now: float) -> Refusal:
        """How much an offer lacks, and which of ``others`` would fit."""
        return reasons.no_room(offer, self.memory(now), others)

    def comes_back(self, model: str) -> bool:
        """Whether a model is down after so few crashes that its requests wait for it."""
        down = self.models.get(model)
        return down is not None and down.state == "backoff" and down.refusal is None

    def stop(self, model: Model, why: str, now: float, *, evicted: bool = False) -> Stop:
        model.enter("stopping", now)
        return Stop(model.id, why, evicted)

    def loaded(self, model: Model, seconds: float, slots: int | None, now: float) -> None:
        """It is up, and idle until it is told otherwise."""
        model.enter("ready", now)
        model.ready_at = now
        model.proven = True
        model.wanted = False
        model.load_s = seconds
        model.slots = max(1, slots or model.offer.slots)
        model.rest(now, self.stay(model))

    def fell(self, model: Model, why: str, refusal: Refusal | None, now: float) -> None:
        """A load failed with ``refusal`` or, None, its process was lost: back off, twice as long as the last time.

        One that was up for as long as a backoff can be starts to count anew.
        """
        most = self._limits.backoff_most_s
        if model.ready_at is not None and now - model.ready_at >= most:
            model.crashes = 0
        model.crashes += 1
        pause = min(most, self._limits.backoff_s * 2 ** min(model.crashes - 1, DOUBLINGS))
        model.pinned = model.pinned and (model.proven or refusal is None)
        model.wanted = False
        model.enter("backoff", now)
        model.retry_at = now + pause
        model.problem = why
        model.refusal = refusal or (reasons.crashed(model) if model.crashes >= CRASHES else None)

    def retire(self, now: float, *, draining: bool) -> Iterator[Action]:
        """Stop what nobody needs any more."""
        for model in self.models.values():
            if not model.idle:
                continue
            if draining:
                yield self.stop(model, "the service is shutting down", now)
            elif model.leaving is not None:
                yield self.stop(model, model.leaving, now)
            elif not model.pinned and model.expires is not None and model.expires <= now:
                yield self.stop(model, "nobody asked for it any more", now)

    def forget(self, now: float, *, draining: bool) -> None:
        """Models that are down and that nobody asks for; those that crashed only after a while."""
        for model in tuple(self.models.values()):
            if model.demanded or not model.down:
                continue
            if draining or not model.crashes or now >= self._forgotten_at(model):
                del self.models[model.id]
            elif model.state == "waiting":
                model.enter("backoff", now)

    def bring_up(self, now: float) -> tuple[list[Action], list[Model]]:
        """Start what is asked for, or make room for it, who waits longest first; and those that can never fit.

        What one waits for is kept from those behind it, unless it is still at work: until somebody's patience ends,
        others may use what is free.
        """
        for model in self.models.values():
            model.yielding = False
            if model.state == "backoff" and model.demanded and model.retry_at <= now:
                model.enter("waiting", now)
        actions: list[Action] = []
        never: list[Model] = []
        claims: list[Holding] = []
        waiting = [model for model in self.models.values() if model.state == "waiting" and model.demanded]
        for model in sorted(waiting, key=lambda model: model.since):
            memory = self.memory(now)
            memory = replace(memory, holdings=(*memory.holdings, *claims))
            held = frozenset(other.id for other in self.models.values() if self._yields(other, model, now))
            plan = memory.plan(size_of(model.offer), held)
            victims = [self.models[victim] for victim in plan.victims]
            if plan.verdict == "start":
                actions.append(self._start(model, now))
                continue
            if plan.verdict == "never":
                if model.queue or model.wanted:
                    never.append(model)
                continue
            if plan.verdict in {"evict", "hold"} and not any(victim.running for victim in victims):
                why = f"its memory is needed for {model.id}"
                actions.extend(self.stop(victim, why, now, evicted=True) for victim in victims)
            elif plan.verdict == "hold":
                for victim in victims:
                    victim.yielding = True
            if plan.verdict != "wait":
                claims.append(Holding(model=f"for {model.id}", reserved=size_of(model.offer), use="busy"))
        return actions, never

    def warm(self, now: float) -> Iterator[Action]:
        """Light requests to those that nobody uses, so that they stay in memory."""
        for model in self.models.values():
            due = self._warm_at(model)
            if due is not None and due <= now:
                model.warmed = now
                yield Warm(model.id)

    def due(self, now: float) -> Iterator[float]:
        """When something is to be done about a model, if nothing else happens."""
        for model in self.models.values():
            if model.idle:
                if not model.pinned and model.expires is not None:
                    yield model.expires
                warm = self._warm_at(model)
                if warm is not None:
                    yield warm
            elif model.state == "backoff":
                yield model.retry_at if model.demanded else self._forgotten_at(model)
            elif model.state == "waiting":
                ends = (other.yields_at(model) for other in self.models.values())
                yield from (end for end in ends if end is not None and end > now)

    def _start(self, model: Model, now: float) -> Start:
        self._lives += 1
        model.life = self._lives
        model.enter("loading", now)
        return Start(model.offer)

    def _yields(self, model: Model, waits: Model, now: float) -> bool:
        end = model.yields_at(waits)
        return end is not None and end <= now

    def _warm_at(self, model: Model) -> float | None:
        every = self._limits.keep_warm_s
        if every is None or not model.idle or model.offer.remote or model.idle_since is None:
            return None
        return max(model.idle_since, model.warmed or model.idle_since) + every

    def _forgotten_at(self, model: Model) -> float:
        """When its crashes are forgotten, if nobody asks for it before."""
        return model.retry_at + self._limits.backoff_most_s
