"""The generations of one request under way: engine events from any thread become deltas on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

from msgspec import Struct

from assay.engines.worker.model import Echo, End, Event, Generation, Handle, Model, Piece
from assay.engines.worker.text import TextStream
from assay.engines.worker.token_trail import TokenTrail, Told
from assay.engines.worker.tool_calls import CallPart


class Counters:
    """What the worker has done so far, as ``/health`` shows it. Changed on the event loop only."""

    def __init__(self) -> None:
        self.requests = 0
        self.running = 0
        """Generations and embeddings that the engine has not ended."""
        self.progress = 0
        """Grows with whatever the engine tells: a token, a part of a prompt, a vector, an end. While something runs and
        this stands still, the engine is at one long step, or stuck."""
        self.generated_tokens = 0
        """Tokens the engine has made, those after a cancel included; tokens of pieces without a count are left out."""
        self.cancelled = 0
        """Generations cut short by a client that left or by a stop string."""


class Delta(Struct, frozen=True, kw_only=True):
    """News of one choice. ``tokens`` is its completion tokens so far, None where unknown; ``finish`` ends it.

    ``told`` is the tokens that begin in ``text``, where they were asked for; those without text come with the next.
    """

    choice: int
    text: str
    tokens: int | None
    finish: str | None = None
    error: str | None = None
    told: tuple[Told, ...] = ()
    calls: tuple[CallPart, ...] = ()


class _Choice:
    def __init__(self, stops: tuple[str, ...], trail: TokenTrail | None) -> None:
        self.stream = TextStream(stops)
        self.trail = trail
        self.sent: list[str] = []
        self.tokens: int | None = 0
        self.finish: str | None = None
        self.ended = False
        self.cancelled = False


class Choices:
    """Runs one generation for each choice of a request.

    All at once where there are slots for all; else one slot is left to other requests, which would have to wait for the
    last of a hundred answers. ``deltas`` yields what has come in since the last time, until every choice has finished.
    ``cancel`` must be called at the end in every case; it stops what still runs.
    """

    def __init__(
        self,
        model: Model,
        generations: list[Generation],
        stops: tuple[str, ...],
        counters: Counters,
        *,
        given: Sequence[str | None] = (),
        tells_end: bool = False,
    ) -> None:
        """``given`` is each generation's prompt where that is a text and echoed; ``tells_end`` as in ``TokenTrail``."""
        self._given = given
        self._model = model
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._choices = [_Choice(stops, _trail(generation, tells_end=tells_end)) for generation in generations]
        self._news = asyncio.Event()
        self._deltas: list[Delta] = []
        self.cached_tokens: int | None = None
        counters.running += len(generations)
        self._generations = generations
        self._handles: list[Handle] = []
        """Of those that were started."""
        self._over = False
        for _ in range(at_once(len(generations), model.slots)):
            self._start_next()

    @property
    def completion_tokens(self) -> int | None:
        """Over all choices; None where one is unknown."""
        counts = [choice.tokens for choice in self._choices]
        return sum(count for count in counts if count is not None) if None not in counts else None

    async def deltas(self) -> AsyncIterator[list[Delta]]:
        """Yield news in the order of arrival, as lists that are never empty."""
        while any(choice.finish is None for choice in self._choices) or self._deltas:
            await self._news.wait()
            self._news.clear()
            news, self._deltas = self._deltas, []
            if news:
                yield news

    def cancel(self) -> None:
        """Stop what still runs, and start no more; harmless when all is over."""
        self._over = True
        for choice, handle in zip(self._choices, self._handles, strict=False):
            self._cancel(choice, handle)
        for choice in self._choices[len(self._handles) :]:
            self._leave_out(choice)

    def _start_next(self) -> None:
        i = len(self._handles)
        if i < len(self._generations) and not self._over:
            self._handles.append(self._model.submit(self._generations[i], partial(self._emit, i)))

    def _leave_out(self, choice: _Choice) -> None:
        """It was never started, and will not be."""
        if not choice.ended:
            choice.ended = choice.cancelled = True
            self._counters.cancelled += 1
            self._counters.running -= 1

    def _cancel(self, choice: _Choice, handle: Handle) -> None:
        if not choice.ended and not choice.cancelled:
            choice.cancelled = True
            self._counters.cancelled += 1
            handle.cancel()

    def _emit(self, i: int, event: Event) -> None:
        try:
            self._loop.call_soon_threadsafe(self._receive, i, event)
        except RuntimeError:
            return  # the loop is closed: the worker is going away and nobody waits for this

    def _receive(self, i: int, event: Event) -> None:
        choice = self._choices[i]
        self._counters.progress += 1
        if isinstance(event, Piece):
            self._counters.generated_tokens += event.tokens or 0
            if choice.finish is None:
                self._piece(i, choice, event)
        elif isinstance(event, End):
            self._end(i, choice, event)
        elif choice.finish is None:
            self._echo(i, choice, event)

    def _piece(self, i: int, choice: _Choice, piece: Piece) -> None:
        known = choice.tokens is not None and piece.tokens is not None
        choice.tokens = choice.tokens + piece.tokens if known else None  # type: ignore[operator]
        text = choice.stream.feed(piece.data)
        if choice.trail is not None:
            choice.trail.add(piece.data, piece.logprobs)
        if choice.stream.stopped:
            self._cancel(choice, self._handles[i])
            self._finish(i, choice, text, "stop")
        elif text:
            self._tell(i, choice, text)

    def _echo(self, i: int, choice: _Choice, echo: Echo) -> None:
        """The prompt is no part of what stop strings are looked for in."""
        given = self._given[i] if self._given else None
        text, told = (choice.trail or TokenTrail(tells_end=False)).echo(echo.tokens, given)
        self._add(Delta(choice=i, text=text, tokens=choice.tokens, told=told if choice.trail else ()))

    def _end(self, i: int, choice: _Choice, end: End) -> None:
        self._counters.running -= 1
        choice.ended = True
        self._start_next()
        if end.cached_tokens is not None and self._begins_prompt(i):
            self.cached_tokens = (self.cached_tokens or 0) + end.cached_tokens
        if choice.finish is None:
            reason = "error" if end.error is not None else end.reason
            self._finish(i, choice, choice.stream.finish(), reason, end.error)

    def _begins_prompt(self, i: int) -> bool:
        """Whether this is the first answer to its prompt, whose tokens are counted once."""
        return i == 0 or self._generations[i].prompt is not self._generations[i - 1].prompt

    def _finish(self, i: int, choice: _Choice, text: str, finish: str, error: str | None = None) -> None:
        if text:
            self._tell(i, choice, text)
        if choice.trail is not None and not choice.stream.stopped:
            told = choice.trail.end()
            if told:
                self._add(Delta(choice=i, text="", tokens=choice.tokens, told=told))
        choice.finish = finish
        if choice.tokens is None:
            choice.tokens = self._model.count("".join(choice.sent))
        self._add(Delta(choice=i, text="", tokens=choice.tokens, finish=finish, error=error))

    def _tell(self, i: int, choice: _Choice, text: str) -> None:
        choice.sent.append(text)
        told = choice.trail.send(text) if choice.trail is not None else ()
        self._add(Delta(choice=i, text=text, tokens=choice.tokens, told=told))

    def _add(self, delta: Delta) -> None:
        self._deltas.append(delta)
        self._news.set()


def at_once(count: int, slots: int) -> int:
    """How many of ``count`` generations run at the same time."""
    return count if count <= slots else max(1, slots - 1)


def _trail(generation: Generation, *, tells_end: bool) -> TokenTrail | None:
    return TokenTrail(tells_end=tells_end) if generation.top_logprobs is not None else None
