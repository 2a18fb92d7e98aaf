"""Brings the service's models up and down on the engines of this machine, and asks them how they are.

In: offers of the directory. Out: live endpoints. What a model took of the memory is remembered when it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
import msgspec
import psutil

from assay import engines, machine
from assay.app.here import Here
from assay.app.upstream_keys import upstream_headers
from assay.errors import BadInput, StoreError
from assay.measure import list_models
from assay.measure.meters import process_tree, tree_memory
from assay.serve import Live, Offer, Pulse
from assay.types import Endpoint, Engine, EngineStatus, Observation, Variant

T = TypeVar("T")
READING_SHARE = 0.02
"""Most of one core that reading a model's memory may take; a reading costs more the more memory there is."""
READING_S = 2.0
"""Least seconds between two readings."""
WARM_S = 60.0
"""How long a light request may take."""
DYING_S = 0.05
"""A process that dies lets go of its connections a moment before it is seen to have ended."""
SHOWN = 8
"""Models of a server elsewhere that an error names."""
LOG_LINES = 20
"""Of a worker's log, what a problem tells its owner."""


class Workers:
    """The ``Effects`` of a service on this installation; use it as a context, on the loop that serves.

    ``headers`` gives what goes with every request to an upstream (its key); it may take its time.
    """

    def __init__(self, here: Here, *, headers: Callable[[Variant], Mapping[str, str]] = upstream_headers) -> None:
        self._here = here
        self._headers = headers
        self._asking: dict[tuple[str, str | None], asyncio.Future[Mapping[str, str]]] = {}
        self._lives: dict[str, _Life] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Workers:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is still up, at once."""
        for life in list(self._lives.values()):
            await self.stop(Live(endpoint=life.endpoint), 0.0)
        if self._session:
            await self._session.close()

    async def start(self, offer: Offer) -> Live:
        """Bring it up in a process of its own; raise ``AssayError``. An upstream needs none."""
        variant = offer.variant
        if offer.remote:
            headers = await self._headers_of(variant)
            model = variant.served_id or await _only_model(variant, headers)
            return Live(endpoint=Endpoint(url=variant.source, model=model, engine=offer.engine), headers=headers)
        held = await self._hold(variant)
        try:
            engine = await asyncio.to_thread(engines.load, offer.engine)  # one for each life: it forgets nothing
            endpoint = await engine.start(variant, offer.options)
        except BaseException:
            held.close()
            raise
        self._lives[endpoint.url] = _Life(offer, engine, endpoint, held)
        return Live(endpoint=endpoint, headers=endpoint.headers)

    async def stop(self, live: Live, grace_s: float) -> None:
        """End its process tree, by force after ``grace_s``; what it took is remembered where it answered requests."""
        life = self._lives.pop(live.endpoint.url, None)
        if life is None:
            return
        try:
            await life.end(grace_s)
        finally:
            await asyncio.to_thread(self._forget, life)

    async def pulse(self, live: Live) -> Pulse:
        """How it is; a dead one's problem ends in the last lines of its log. Of an upstream nothing is known."""
        life = self._lives.get(live.endpoint.url)
        if life is None:
            return Pulse()
        problem = _problem(life.engine.describe(life.endpoint))
        if problem is not None:
            return Pulse(problem=problem)
        try:
            health = await self._health(live.endpoint)
        except aiohttp.ClientError:
            await asyncio.sleep(DYING_S)
            return Pulse(problem=_problem(life.engine.describe(life.endpoint)))
        life.answers += 1
        life.asked = life.asked or bool(health.requests)
        return Pulse(
            problem=f"the engine is broken: {health.reason}" if health.status == "dead" else None,
            running=health.running,
            # An engine that tells neither is taken at its word that it lives.
            progress=life.answers if health.running is None else health.progress,
            resident=life.resident(),
            generated=health.generated_tokens,
            prompted=health.prompt_tokens,
        )

    async def warm(self, live: Live) -> None:
        """One token of an answer; a vector of a model that gives no answers."""
        if live.endpoint.url not in self._lives:
            return
        timeout = aiohttp.ClientTimeout(total=WARM_S)
        light: dict[str, dict[str, Any]] = {
            "completions": {"prompt": "a", "max_tokens": 1, "temperature": 0},
            "embeddings": {"input": "a"},
        }
        for path, fields in light.items():
            body = {"model": live.endpoint.model, **fields}
            url, headers = f"{live.endpoint.url}/{path}", live.headers
            async with self._client.post(url, json=body, headers=headers, timeout=timeout) as response:
                await response.read()
            if response.status != 400:
                return

    def available(self) -> int | None:
        """Bytes of memory that are free at this moment, and that limits leave; takes half a millisecond."""
        return machine.memory_budget()

    async def _headers_of(self, variant: Variant) -> Mapping[str, str]:
        """What goes with requests to an upstream. A keyring may wait for its owner: it is asked once at a time."""
        of = variant.id, variant.key
        asking = self._asking.get(of)
        if asking is None:
            asking = self._asking[of] = asyncio.wrap_future(_aside(lambda: self._headers(variant)))
            asking.add_done_callback(partial(self._asked, of))
        return await asyncio.shield(asking)

    def _asked(self, of: tuple[str, str | None], asking: asyncio.Future[Mapping[str, str]]) -> None:
        del self._asking[of]
        if not asking.cancelled():
            asking.exception()  # who waited for it may have gone

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Workers is used outside of its context")
        return self._session

    async def _health(self, endpoint: Endpoint) -> _Health:
        """What it says of itself, nothing where that cannot be read; raise ``aiohttp.ClientError``."""
        url = f"{endpoint.url.removesuffix('/v1')}/health"
        async with self._client.get(url, headers=endpoint.headers, allow_redirects=False) as response:
            body = await response.read()
        try:
            return msgspec.json.decode(body, type=_Health)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _Health()

    async def _hold(self, variant: Variant) -> contextlib.ExitStack:
        """A mark that the variant is used; making it may wait for another process's lock."""
        held, cancelled = contextlib.ExitStack(), threading.Event()

        def enter() -> None:
            held.enter_context(self._here.hold(variant, cancelled))

        entering = asyncio.ensure_future(asyncio.to_thread(enter))
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.gather(entering, return_exceptions=True)
            held.close()
            raise
        return held

    def _forget(self, life: _Life) -> None:
        """Nobody uses it any more; what it took is kept for the next estimate."""
        life.held.close()
        seen = life.observation()
        if seen is not None:
            with contextlib.suppress(StoreError):  # it costs the next estimate some truth, and nobody an answer
                self._here.observed.remember(seen)


class _Health(msgspec.Struct):
    """What of a worker's ``/health`` is used; None: it does not tell."""

    status: str | None = None
    reason: str | None = None
    requests: int | None = None
    running: int | None = None
    progress: int | None = None
    generated_tokens: int | None = None
    prompt_tokens: int | None = None


class _Life:
    """One start of one model, and what was seen of it."""

    def __init__(self, offer: Offer, engine: Engine, endpoint: Endpoint, held: contextlib.ExitStack) -> None:
        self.offer = offer
        self.engine = engine
        self.endpoint = endpoint
        self.held = held
        self.answers = 0
        self.asked = False
        """Whether it was sent a request: before that it has not taken all that it will."""
        self._root = _process(endpoint.pid)
        self._peak: int | None = None
        self._resident: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self._next_reading = 0.0

    def resident(self) -> int | None:
        """Bytes of its process tree as last read; it is read anew beside, where that is not too costly."""
        pid = self.endpoint.pid
        if pid is not None and time.monotonic() >= self._next_reading and (not self._reading or self._reading.done()):
            self._reading = asyncio.create_task(self._read(pid))
        return self._resident

    async def _read(self, pid: int) -> None:
        # For a large model this takes longer than an answer to "how are you" may.
        began = time.monotonic()
        read = await asyncio.to_thread(lambda: tree_memory(process_tree(pid)))
        if read is not None:
            self._resident, self._peak = read.bytes, max(self._peak or 0, read.bytes)
        took = time.monotonic() - began
        self._next_reading = began + max(READING_S, took / READING_SHARE)

    async def end(self, grace_s: float) -> None:
        """End it in good order within ``grace_s``, else by force."""
        if grace_s <= 0:
            await asyncio.to_thread(self._kill)
        ending = asyncio.ensure_future(self.engine.stop(self.endpoint))
        done, _ = await asyncio.wait({ending}, timeout=grace_s or None)
        if not done:
            await asyncio.to_thread(self._kill)
        await ending
        if self._reading:
            await self._reading

    def observation(self) -> Observation | None:
        """What it took, as a bench would tell it; None where that was not seen or the context is not known."""
        context = self.endpoint.arguments.get("context_per_slot")
        if not self.asked or not self._peak or self.offer.variant.path is None or not isinstance(context, int):
            return None
        return Observation(
            engine=self.endpoint.engine,
            engine_version=self.endpoint.engine_version,
            digest=self.offer.variant.digest,
            context_length=context,
            slots=self.offer.options.slots,
            peak=self._peak,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _kill(self) -> None:
        # The process is known by its number and its time of birth: the number may belong to another by now.
        if self._root is None:
            return
        with contextlib.suppress(psutil.Error):
            for process in (*self._root.children(recursive=True), self._root):
                with contextlib.suppress(psutil.Error):
                    process.kill()


async def _only_model(variant: Variant, headers: Mapping[str, str]) -> str:
    """What a server elsewhere calls its model, where nobody named it; raise ``AssayError`` where it has not one."""
    served = await list_models(variant.source, headers)
    if len(served) != 1:
        there = f"it serves {len(served)} models: {', '.join(served[:SHOWN])}" if served else "it lists none"
        raise BadInput(f"the model of {variant.alias} is not named", why=there, remedy=f"{variant.source}#MODEL")
    return served[0]


def _process(pid: int | None) -> psutil.Process | None:
    if pid is not None:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid)
    return None


def _problem(status: EngineStatus) -> str | None:
    if status.state in {"ready", "idle"}:
        return None
    tail = status.log_tail.splitlines()[-LOG_LINES:]
    return "\n".join([status.reason or f"the process is {status.state}", *tail])


def _aside(work: Callable[[], T]) -> Future[T]:
    """Work that may never end, in a thread that neither takes another's place nor keeps the process from its end."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return future
