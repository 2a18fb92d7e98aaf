"""Many generations over one model, in batches that decode in lockstep.

ONNX Runtime GenAI cannot add a sequence to a running batch on CPUs. So whatever waits when a token is done forms a new
batch, and live batches take turns token by token: a late request never waits for a whole earlier answer. Prompts that
are too long to be read together in bounded memory are batches of their own, which are read in parts. A batch has room
for the context behind its longest prompt; an answer that is longer goes on alone, read again from its start. So is one
that has just begun when others come, where that is little, to go on with them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct, structs

from assay.engines.onnxruntime_genai_grammar import Constraint, GrammarError
from assay.engines.onnxruntime_genai_logprobs import Chance, EchoedPrompt, Name, chance, token_logprob
from assay.engines.onnxruntime_genai_sampling import Chooser, Scores, needs_scores
from assay.engines.worker.grammar import grammar_of
from assay.engines.worker.model import READ, Echo, Emit, End, Generation, Piece, TokenLogprob

QUIET_S = 0.0005
"""An idle engine starts once nothing more has come for this long, so that simultaneous requests share a batch. Those
who come a little later have the first one read again with them."""
GATHER_S = 0.005
"""But no later than this after the first."""
MAX_ROWS = 32
"""The library's limit for one batch."""
SLACK = 128
"""Tokens of padding that never matter."""
TOGETHER = 2048
"""Prompt tokens, padding included, that are read at once at most: so long do live batches stand still."""
SCORES_BYTES = 512 * 2**20
"""What their scores may take where the graph gives some, in f32 over the whole vocabulary, for every token it reads."""


class Lockstep(Protocol):
    """A batch, as ``onnxruntime_genai_api.Batch``: ``fill`` until it gives False, then ``step``."""

    def fill(self) -> bool: ...
    def scores(self) -> AbstractContextManager[Scores]: ...
    def places(self) -> AbstractContextManager[Scores]: ...
    def step(self) -> Sequence[int]: ...
    def close(self) -> None: ...


Open = Callable[[Sequence[Sequence[int]], int, bool], Lockstep]
"""Prompts of a batch, how many tokens may be decoded, and whether all ``places`` of the prompt are looked at -> the
batch; raises where the engine fails."""


class Vocabulary(Struct, frozen=True, kw_only=True):
    """What the scheduler must know of tokens. ``spell(token, first)`` gives a token's bytes."""

    size: int
    ends: frozenset[int]
    pad: int
    spell: Callable[[int, bool], bytes]
    name: Name = lambda token: b"%d" % token
    """A token as it is told with its log-probability."""
    ids_of: Callable[[str], Sequence[int]] = lambda _: ()
    """The tokens of a text, special ones recognised."""
    open_grammar: Callable[[str], Constraint] | None = None
    """None where no generation has a grammar."""


class Row:
    """One generation: waiting, live in a batch, or ended. Only ``cancel`` is called from other threads."""

    def __init__(self, generation: Generation, emit: Emit, vocabulary: Vocabulary) -> None:
        self._given: Sequence[int] = generation.prompt.ids or ()
        self.limit = generation.max_tokens or 1
        sampling = generation.sampling
        self.seeded = sampling.seed is not None and sampling.temperature > 0
        self.chooser: Chooser | None = None
        self.echo = _echoed(generation, vocabulary) if generation.echo else None
        self._chance: Chance | None = None
        self._generation = generation
        self._visible: dict[int, bytes] = {}
        self.cancelled = False
        self.ended = False
        self._made: list[int] = []
        self._emit = emit
        self._vocabulary = vocabulary

    def prepare(self) -> None:
        """Get ready to choose, once, in the thread that makes the tokens; a grammar may take a moment."""
        generation, vocabulary = self._generation, self._vocabulary
        found = [(marker, vocabulary.ids_of(marker)) for marker in generation.markers]
        self._visible = {ids[0]: marker.encode() for marker, ids in found if len(ids) == 1}
        grammar = grammar_of(generation, vocabulary.ids_of)
        constraint = None
        if grammar is not None and vocabulary.open_grammar is not None:
            constraint = vocabulary.open_grammar(grammar)
        if constraint is not None or needs_scores(generation.sampling):
            self.chooser = Chooser(generation.sampling, self._given, constraint)

    def cancel(self) -> None:
        """Stop at the end of the token that is being made."""
        self.cancelled = True

    @property
    def prompt(self) -> tuple[int, ...]:
        """What is to be read before its next token: also what it has made so far, where it is read once more."""
        return (*self._given, *self._made)

    @property
    def length(self) -> int:
        """Of the prompt, in tokens."""
        return len(self._given) + len(self._made)

    @property
    def left(self) -> int:
        """How many tokens it may still make."""
        return self.limit - len(self._made)

    @property
    def looks(self) -> bool:
        """Whether the highest score does not decide, or is to be told."""
        return self.chooser is not None or self._generation.top_logprobs is not None

    def read(self, places: Callable[[], AbstractContextManager[Scores]], *, more: bool) -> None:
        """A part of the prompt was read, and there is ``more`` of it or not."""
        if self.ended:
            return
        self._emit(READ)
        if self.echo:
            if self.echo.wants_scores:
                with places() as scores:
                    self.echo.take(scores)
            if not more:
                self._emit(Echo(self.echo.tokens))
        if not more and self._generation.max_tokens == 0:
            self.end("length")

    def choose(self, scores: Scores) -> int:
        """The next token; where the grammar cannot be followed, this row ends, and no other."""
        try:
            token = self.chooser.choose(scores) if self.chooser else int(scores.argmax())
        except GrammarError as error:
            self.end("error", str(error))
            return int(scores.argmax())
        top = self._generation.top_logprobs
        if top is not None:
            self._chance = chance(scores, token, top, self._vocabulary.name)
        return token

    def take(self, token: int) -> None:
        """One more token was made."""
        if self.ended:
            return
        self._made.append(token)
        if token in self._vocabulary.ends:
            self._emit(Piece(b"", 1, self._told(b"", token, ends=True)))
            self.end("stop")
            return
        try:
            if self.chooser:
                self.chooser.remember(token)
        except GrammarError as error:
            self.end("error", str(error))
            return
        data = self._visible.get(token) or self._vocabulary.spell(token, len(self._made) == 1)
        self._emit(Piece(data, 1, self._told(data, token)))
        if self.left <= 0:
            self.end("length")

    def _told(self, data: bytes, token: int, *, ends: bool = False) -> tuple[TokenLogprob, ...]:
        if self._chance is None:
            return ()
        told = token_logprob(data, token, self._chance, self._vocabulary.name)
        return (structs.replace(told, ends=True) if ends else told,)

    def end(self, reason: Literal["stop", "length", "cancelled", "error"], error: str | None = None) -> None:
        """Tell the requester, once."""
        if not self.ended:
            self.ended = True
            self._emit(End(reason=reason, error=error, cached_tokens=0))


class Group:
    """Rows in one batch; it lives until the last of them has ended. ``live`` holds those that have not.

    While ``filling``, the prompts are not read to their end yet. ``longer`` are rows that have more to say than several
    had room for within the ``context``.
    """

    def __init__(self, rows: Sequence[Row], open_batch: Open, context: int | None = None) -> None:
        self.size = len(rows)
        self.live = list(enumerate(rows))
        self.longer: list[Row] = []
        self.filling = True
        self._choosing = any(row.looks for row in rows)
        self._room = max(row.left for row in rows)
        if self.size > 1 and context is not None:
            self._room = min(self._room, context - max(row.length for row in rows))
        everywhere = any(row.echo is not None and row.echo.wants_scores for row in rows)
        self._batch = open_batch([row.prompt for row in rows], self._room, everywhere)

    def read(self) -> None:
        """Read the next part of the prompts."""
        try:
            more = self._batch.fill()
            for _, row in self.live:
                row.read(self._batch.places, more=more)
            self.filling = more or all(row.ended for _, row in self.live)
        except Exception as error:
            fail((row for _, row in self.live), error)

    def step(self) -> None:
        """Make one token of every live row, unless filling; close the batch when no row is left."""
        try:
            tokens: Sequence[int] = ()
            if not self.filling:
                if self._choosing:
                    self._choose()
                tokens = self._batch.step()
                self._room -= 1
            for i, row in self.live:
                if row.cancelled:
                    row.end("cancelled")
                elif tokens:
                    row.take(tokens[i])
        except Exception as error:
            fail((row for _, row in self.live), error)
        self.live = [(i, row) for i, row in self.live if not row.ended]
        if self.live and self._room == 0:
            self.longer = [row for _, row in self.live]
            self.live = []
        if not self.live:
            self.close()

    def close(self) -> None:
        """Free the batch."""
        self._batch.close()

    def _choose(self) -> None:
        """Where the highest score does not decide, make the chosen token's the highest."""
        choosing = [(i, row) for i, row in self.live if row.looks]
        if choosing:
            with self._batch.scores() as scores:
                for i, row in choosing:
                    scores[i, row.choose(scores[i])] = float("inf")


class Scheduler:
    """The thread that makes all tokens. At most ``slots`` rows are live; others wait, first come first served.

    Without ``lockstep`` every row is alone in its batch. At most ``together`` prompt tokens are read at once.
    """

    def __init__(
        self,
        open_batch: Open,
        vocabulary: Vocabulary,
        slots: int,
        *,
        lockstep: bool = True,
        context: int | None = None,
        together: int = TOGETHER,
    ) -> None:
        self.broken: str | None = None
        self._open_batch = open_batch
        self._context = context
        self._vocabulary = vocabulary
        self._slots = slots
        self._lockstep = lockstep
        self._together = together
        self._changed = threading.Condition()
        self._waiting: deque[Row] = deque()
        self._groups: list[Group] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tokens", daemon=True)
        self._thread.start()

    def submit(self, generation: Generation, emit: Emit) -> Row:
        """Queue a generation."""
        row = Row(generation, emit, self._vocabulary)
        with self._changed:
            if self._closing or self.broken:
                fail([row], RuntimeError(self.broken or "the engine was stopped"))
            self._waiting.append(row)
            self._changed.notify()
        return row

    def close(self) -> None:
        """End everything, and the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing:
                if self._waiting or not self._groups:
                    self._wait()
                    self._admit()
                for group in self._groups:
                    group.step()
                longer = [row for group in self._groups for row in group.longer]
                self._groups = [group for group in self._groups if group.live]
                for row in longer:
                    self._begin([row])
                self._read()
        except BaseException as error:
            self.broken = f"{type(error).__name__}: {error}"
            self._fail_all(error)
            raise
        self._fail_all(RuntimeError("the engine was stopped"))
        for group in self._groups:
            group.close()

    def _read(self) -> None:
        """One part of one batch's prompts; the next part is another batch's: no prompt waits for the whole of one."""
        filling = next((group for group in self._groups if group.filling), None)
        if filling:
            filling.read()
            self._groups.remove(filling)
            self._groups.append(filling)

    def _wait(self) -> None:
        """Until there is something to do."""
        with self._changed:
            if not self._groups:
                self._changed.wait_for(lambda: self._closing or self._waiting)
                self._gather()

    def _gather(self) -> None:
        until = time.monotonic() + GATHER_S
        count = 0
        while count < len(self._waiting) < self._slots and time.monotonic() < until:
            count = len(self._waiting)
            self._changed.wait(QUIET_S)

    def _admit(self) -> None:
        live = sum(len(group.live) for group in self._groups)
        held = sum(group.size for group in self._groups)
        with self._changed:
            for row in [row for row in self._waiting if row.cancelled]:
                self._waiting.remove(row)
                row.end("cancelled")
            free = max(0, min(self._slots - live, 2 * self._slots - held, len(self._waiting)))
            rows = [self._waiting.popleft() for _ in range(free)]
        rows = [row for row in rows if prepared(row)]
        for together in self._partition([*rows, *self._rejoining(rows)]):
            self._begin(together)

    def _rejoining(self, new: Sequence[Row]) -> list[Row]:
        """Live rows that are read once more, together with ``new`` ones, and so share a batch with them.

        Two batches take nearly twice as long for a token as one of all their rows. Those who join must cost no more
        than is read anyway, have more to say than is to be read, and make no batch more than there would be without.
        """
        rejoining: list[Row] = []
        spare = sum(row.length for row in new)
        for group in [group for group in self._groups if not group.filling]:
            rows = [row for _, row in group.live]
            again = sum(row.length for row in rows)
            together = [*new, *rejoining]
            worth = again <= spare and all(row.left >= row.length for row in rows)
            if worth and len(self._partition([*together, *rows])) <= len(self._partition(together)):
                group.close()
                self._groups.remove(group)
                rejoining += rows
                spare -= again
        return rejoining

    def _partition(self, rows: Sequence[Row]) -> list[list[Row]]:
        if not self._lockstep:
            return [[row] for row in rows]
        return partition(rows, self._vocabulary.pad, self._together, self._context)

    def _begin(self, rows: Sequence[Row]) -> None:
        try:
            self._groups.append(Group(rows, self._open_batch, self._context))
        except Exception as error:
            fail(rows, error)

    def _fail_all(self, error: BaseException) -> None:
        with self._changed:
            rows = [*self._waiting, *(row for group in self._groups for _, row in group.live)]
            self._waiting.clear()
        fail(rows, error)


def together_length(vocabulary: int) -> int:
    """Prompt tokens read at once by a graph that scores every one of them."""
    return min(TOGETHER, SCORES_BYTES // (4 * vocabulary))


def partition(rows: Iterable[Row], pad: int, together: int, context: int | None = None) -> list[list[Row]]:
    """Which rows share a batch, longest prompts first.

    Alone: seeded sampling, whose last bits must not depend on company, prompts that are echoed and those that end like
    padding. Others together as long as padding at most doubles a prompt, since all rows are prefilled to the length of
    the longest, and as long as that makes no more than ``together`` tokens; and as long as the ``context`` after the
    longest prompt has room for half of what each may say: few answers are as long as they may be.
    """
    groups: list[list[Row]] = []
    open_group: list[Row] = []
    for row in sorted(rows, key=lambda row: -row.length):
        longest = open_group[0].length if open_group else 0
        fits = len(open_group) < min(MAX_ROWS, together // max(longest, 1))
        fits = fits and (context is None or row.left <= 2 * (context - longest))
        if row.seeded or row.echo or row.prompt[-1] == pad:
            groups.append([row])
        elif open_group and fits and 2 * row.length + SLACK >= longest:
            open_group.append(row)
        else:
            open_group = [row]
            groups.append(open_group)
    return groups


def _echoed(generation: Generation, vocabulary: Vocabulary) -> EchoedPrompt:
    return EchoedPrompt(
        generation.prompt.ids or (),
        generation.top_logprobs,
        spell=lambda token: vocabulary.spell(token, False),
        name=vocabulary.name,
    )


def prepared(row: Row) -> bool:
    """Whether ``row`` can go on; it is ended where its grammar cannot be opened."""
    try:
        row.prepare()
    except Exception as error:
        fail([row], error)
    return not row.ended


def fail(rows: Iterable[Row], error: BaseException) -> None:
    """End rows with what went wrong."""
    for row in rows:
        row.end("error", f"{type(error).__name__}: {error}")
