"""The plan of a bench, made before anything runs: which request comes when, and what is live at that time.

Pure: the same workload, candidates and seed give the same plan in every process.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

from msgspec import Struct, structs

from assay.types import Phase, Workload

T = TypeVar("T")

CandidateKey = tuple[str, str]
"""Variant id and engine."""
RequestKey = tuple[str, str, int, str, int, str]
"""As ``Sample.key``: variant, engine, concurrency, phase, round, prompt id."""


class Request(NamedTuple):
    """One planned request."""

    candidate: CandidateKey
    concurrency: int
    phase: Phase
    round: int
    prompt: str

    @property
    def key(self) -> RequestKey:
        return (*self.candidate, *self[1:])


class Block(Struct, frozen=True):
    """Requests of one candidate under one load, run by ``concurrency`` workers; wall time is taken over the block."""

    candidate: CandidateKey
    concurrency: int
    phase: Phase
    requests: tuple[Request, ...]


class Stage(Struct, frozen=True):
    """Candidates that are live together, and the blocks run meanwhile, one after another.

    A stage without blocks still brings its candidate up, for load time and memory.
    """

    candidates: tuple[CandidateKey, ...]
    blocks: tuple[Block, ...]

    @property
    def requests(self) -> tuple[Request, ...]:
        return tuple(request for block in self.blocks for request in block.requests)


Plan = tuple[Stage, ...]


def plan(workload: Workload, candidates: Sequence[CandidateKey], *, interleave: bool = False) -> Plan:
    """Stages that measure every candidate on every prompt in every round at every level.

    The prompts of a round come in an order shuffled by the seed, the same for every candidate.

    Serially, each candidate has a stage of its own, in which a level is one warm-up block and one block of all rounds.
    Interleaved, each is first alone for load time, memory and warm-up; then all are live together, and within a round
    the candidates alternate in an order shuffled by the seed: request by request at concurrency 1 (every request a
    block of its own), in one block per candidate above. ``workload.warmup`` is the number of warm-up requests of each
    worker; their ``round`` counts on through the run, so no two requests share a key.
    """
    planner = _Planner(workload)
    if not interleave or len(candidates) < 2:
        return tuple(planner.alone(candidate) for candidate in candidates)
    solo = [planner.warmed_up(candidate) for candidate in candidates]
    return (*solo, planner.together(tuple(candidates)))


def remaining(whole: Plan, done: Collection[RequestKey]) -> Plan:
    """What is left of ``whole`` when the requests of ``done`` have ended.

    Candidates with nothing left to measure are dropped. The others are warmed up again at each level with work left, as
    their engines start anew, under round numbers above those used, so that keys stay unique. A stage that only warms up
    (a candidate alone before the interleaved stage) is not repeated once all of it has ended.
    """
    if not done:
        return whole
    ended = frozenset(done)
    left = {
        request.candidate
        for stage in whole
        for request in stage.requests
        if request.phase == "measure" and request.key not in ended
    }
    rounds = _RoundNumbers(ended)
    stages = []
    for stage in whole:
        alive = tuple(candidate for candidate in stage.candidates if candidate in left)
        if not alive or (stage.blocks and all(request.key in ended for request in stage.requests)):
            continue
        blocks = tuple(block for one in stage.blocks for block in _left_of(one, stage, ended, rounds))
        stages.append(Stage(alive, blocks))
    return tuple(stages)


def total_requests(whole: Plan) -> int:
    """Requests in all stages, warm-ups included."""
    return sum(len(stage.requests) for stage in whole)


def fits_together(sizes: Iterable[int | None], budget: int | None) -> bool:
    """Whether candidates of ``sizes`` bytes may be live together in ``budget`` bytes; not where one is unknown."""
    known = list(sizes)
    if budget is None or any(size is None for size in known):
        return False
    return sum(size for size in known if size is not None) <= budget


class _RoundNumbers:
    """Hands out warm-up rounds that no request has used yet, for each candidate and level."""

    def __init__(self, ended: Iterable[RequestKey] = ()) -> None:
        self._next: dict[tuple[CandidateKey, int], int] = defaultdict(int)
        for variant, engine, level, phase, round_, _ in ended:
            if phase == "warmup":
                where = ((variant, engine), level)
                self._next[where] = max(self._next[where], round_ + 1)

    def take(self, candidate: CandidateKey, level: int, count: int) -> range:
        first = self._next[candidate, level]
        self._next[candidate, level] += count
        return range(first, first + count)


def _left_of(block: Block, stage: Stage, ended: frozenset[RequestKey], rounds: _RoundNumbers) -> list[Block]:
    """``block`` less what has ended, or nothing."""
    if block.phase == "measure":
        left = tuple(request for request in block.requests if request.key not in ended)
        return [structs.replace(block, requests=left)] if left else []
    served = [one for one in stage.blocks if one.phase == "measure"]
    if served and not any(
        request.key not in ended
        for one in served
        if (one.candidate, one.concurrency) == (block.candidate, block.concurrency)
        for request in one.requests
    ):
        return []
    fresh = rounds.take(block.candidate, block.concurrency, len(block.requests))
    again = tuple(request._replace(round=n) for n, request in zip(fresh, block.requests, strict=True))
    return [structs.replace(block, requests=again)]


class _Planner:
    """Makes the blocks of one workload."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._prompts = [prompt.id for prompt in workload.prompts]
        self._levels = tuple(dict.fromkeys(workload.concurrency))
        self._rounds = _RoundNumbers()

    def alone(self, candidate: CandidateKey) -> Stage:
        blocks = []
        for level in self._levels:
            blocks.append(self.warmup(candidate, level))
            requests = tuple(
                Request(candidate, level, "measure", round_, prompt)
                for round_ in range(self._workload.rounds)
                for prompt in self._shuffled(self._prompts, "prompts", level, round_)
            )
            blocks.append(Block(candidate, level, "measure", requests))
        return self.filled(Stage((candidate,), tuple(blocks)))

    def together(self, candidates: tuple[CandidateKey, ...]) -> Stage:
        blocks = []
        for level in self._levels:
            blocks += [self.warmup(candidate, level) for candidate in candidates]
            for round_ in range(self._workload.rounds):
                blocks += self._singly(candidates, round_) if level == 1 else self._by_turns(candidates, level, round_)
        return self.filled(Stage(candidates, tuple(blocks)))

    def warmup(self, candidate: CandidateKey, level: int) -> Block:
        order = self._shuffled(self._prompts, "warmup", level)
        rounds = self._rounds.take(candidate, level, self._workload.warmup * level)
        requests = tuple(Request(candidate, level, "warmup", n, order[n % len(order)]) for n in rounds)
        return Block(candidate, level, "warmup", requests)

    def warmed_up(self, candidate: CandidateKey) -> Stage:
        return self.filled(Stage((candidate,), (self.warmup(candidate, self._levels[0]),)))

    @staticmethod
    def filled(stage: Stage) -> Stage:
        """``stage`` without empty blocks."""
        return Stage(stage.candidates, tuple(block for block in stage.blocks if block.requests))

    def _singly(self, candidates: tuple[CandidateKey, ...], round_: int) -> list[Block]:
        pairs = [(prompt, candidate) for prompt in self._prompts for candidate in candidates]
        return [
            Block(candidate, 1, "measure", (Request(candidate, 1, "measure", round_, prompt),))
            for prompt, candidate in self._shuffled(pairs, "pairs", round_)
        ]

    def _by_turns(self, candidates: tuple[CandidateKey, ...], level: int, round_: int) -> list[Block]:
        blocks = []
        for candidate in self._shuffled(candidates, "candidates", level, round_):
            prompts = self._shuffled(self._prompts, "prompts", level, round_)
            requests = tuple(Request(candidate, level, "measure", round_, prompt) for prompt in prompts)
            blocks.append(Block(candidate, level, "measure", requests))
        return blocks

    def _shuffled(self, items: Sequence[T], *what: object) -> list[T]:
        shuffled = list(items)
        random.Random(f"{self._workload.seed}/{what}").shuffle(shuffled)
        return shuffled
