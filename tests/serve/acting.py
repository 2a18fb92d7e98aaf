"""Time that passes only when nothing else can happen, and effects that do what a test tells them."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from assay.errors import EngineStartFailed, EngineStartKilled, UnknownModel
from assay.serve import Listed, Live, Offer, Pulse, Route
from assay.types import Endpoint
from tests.serve import asking

T = TypeVar("T")
MB = 1 << 20


class _Skipping(selectors.DefaultSelector):
    """Does not wait: it says how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found:
            return found
        assert timeout is not None, "the test waits for what will never happen"
        self.now += timeout
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


def play(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``work()`` in a loop whose clock jumps to the next thing that is to happen; no thread may be used."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work())


def now() -> float:
    """The running loop's clock."""
    return asyncio.get_running_loop().time()


def offer(id: str, *, needs: int | None = MB, slots: int = 1, remote: bool = False) -> Offer:  # noqa: A002
    """An offer of a variant of that id, which is an alias of itself."""
    return asking.offer(id, needs, slots=slots, seconds=None, remote=remote)


class Names:
    """A directory that knows the routes that it is given: name -> offers, or an offer under its own id."""

    def __init__(self, *offers: Offer, **routes: tuple[Offer, ...]) -> None:
        self.routes = {one.id: (one,) for one in offers} | routes
        self.lists: dict[str, Route] = {}

    async def route(self, name: str) -> Route:
        if name in self.lists:
            return self.lists[name]
        if name not in self.routes:
            raise UnknownModel(f"no model {name}")
        return Route(name=name, offers=self.routes[name])

    async def listed(self) -> tuple[Listed, ...]:
        return tuple(Listed(id=one[0].id, kind="alias", variant=one[0].variant) for one in self.routes.values())


class Acted:
    """Effects that take ``load_s`` for a start, unless ``broken`` says why it fails; ``up`` is what lives."""

    def __init__(self, *, load_s: float = 2.0, free: int | None = None) -> None:
        self.load_s = load_s
        self.free = free
        self.broken: dict[str, str] = {}
        self.killed: dict[str, int] = {}
        """How many starts of a model are still to be killed."""
        self.pulses: dict[str, Pulse] = {}
        self.deaf: set[str] = set()
        """Models that do not answer when asked how they are."""
        self.up: list[str] = []
        self.log: list[str] = []
        self.asked: Counter[str] = Counter()

    async def start(self, offer: Offer) -> Live:
        self.log.append(f"start {offer.id}")
        if not offer.remote:
            try:
                await asyncio.sleep(self.load_s)
            except asyncio.CancelledError:
                self.log.append(f"cancelled {offer.id}")
                raise
        if self.killed.get(offer.id):
            self.killed[offer.id] -= 1
            raise EngineStartKilled(f"{offer.id} was ended by signal 9")
        if offer.id in self.broken:
            raise EngineStartFailed(self.broken[offer.id], why="line\nline")
        self.up.append(offer.id)
        return Live(endpoint=Endpoint(url=f"http://{offer.id}.test/v1", model=offer.id, engine="acted"))

    async def stop(self, live: Live, grace_s: float) -> None:
        await asyncio.sleep(min(grace_s, 0.25))
        self.log.append(f"stop {live.endpoint.model}" if grace_s else f"kill {live.endpoint.model}")
        if live.endpoint.model in self.up:
            self.up.remove(live.endpoint.model)

    async def pulse(self, live: Live) -> Pulse:
        model = live.endpoint.model
        self.asked[model] += 1
        if model in self.deaf:
            await asyncio.sleep(3600)
        return self.pulses.get(model, Pulse(running=0))

    async def warm(self, live: Live) -> None:
        self.log.append(f"warm {live.endpoint.model}")

    def available(self) -> int | None:
        return self.free
