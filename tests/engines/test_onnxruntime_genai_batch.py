"""The scheduler over scripted batches: who shares, who waits, who is told what. Real threads, no model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.onnxruntime_genai_batch import (
    MAX_ROWS,
    SCORES_BYTES,
    SLACK,
    TOGETHER,
    Row,
    Scheduler,
    Vocabulary,
    partition,
    together_length,
)
from assay.engines.onnxruntime_genai_sampling import Scores
from assay.engines.worker.model import READ, Echo, End, Event, Generation, Piece, PromptInput, Sampling

PAD, END = 0, 1
VOCABULARY = Vocabulary(
    size=100, ends=frozenset({END}), pad=PAD, spell=lambda token, first: b"^"[: int(first)] + b"%d." % token
)
GREEDY = Sampling(temperature=0)


class Script:
    """Opens batches whose rows say ``prompt[0]``, ``prompt[0] + 1``, ...; counts what it is asked."""

    def __init__(self, *, parts: int = 1, length: int = 1, fails: Callable[[int], bool] = lambda _step: False) -> None:
        self.opened: list[list[int]] = []
        self.prompts: list[tuple[int, ...]] = []
        self.rooms: list[int] = []
        self.order: list[int] = []
        """The first prompt token of the batch of each step."""
        self.read: list[int] = []
        """The same of each part that is read."""
        self.reading = threading.Event()
        self.closed = 0
        self.parts = parts
        self.length = length
        """Of an echoed prompt."""
        self.fails = fails
        self.gate = threading.Semaphore(0)
        """Each step waits for one release."""

    def __call__(self, prompts: Sequence[Sequence[int]], room: int, everywhere: bool) -> _Scripted:
        self.prompts += map(tuple, prompts)
        self.rooms.append(room)
        self.opened.append([prompt[0] for prompt in prompts])
        return _Scripted(self, [prompt[0] for prompt in prompts], room)


class _Scripted:
    def __init__(self, script: Script, firsts: list[int], room: int) -> None:
        self.script, self.next, self.room = script, list(firsts), room
        self.name = firsts[0]
        self.parts = script.parts
        self.forced: dict[int, int] = {}
        self.part = script.length // script.parts

    def fill(self) -> bool:
        self.parts -= 1
        self.script.read.append(self.name)
        self.script.reading.set()
        return self.parts > 0

    @contextmanager
    def scores(self) -> Iterator[Scores]:
        scores = np.zeros((len(self.next), 100), dtype=np.float32)
        scores[:, 42] = 5
        yield scores
        self.forced = {i: int(row.argmax()) for i, row in enumerate(scores) if np.isinf(row).any()}

    @contextmanager
    def places(self) -> Iterator[Scores]:
        """After each token 51 is e times as likely as any other."""
        scores = np.zeros((self.part, 100), dtype=np.float32)
        scores[:, 51] = 1
        yield scores

    def step(self) -> list[int]:
        assert self.script.gate.acquire(timeout=20)
        assert self.room > 0, "more tokens than there is memory for"
        self.room -= 1
        if self.script.fails(len(self.script.order)):
            raise RuntimeError("out of memory")
        self.script.order.append(self.name)
        tokens = [self.forced.get(i, token) for i, token in enumerate(self.next)]
        self.next = [token + 1 for token in self.next]
        return tokens

    def close(self) -> None:
        self.script.closed += 1


class Heard:
    """What one requester was told."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.seen: list[Event] = []

    def next(self) -> Event:
        """The next event besides parts of the prompt."""
        while (event := self.events.get(timeout=20)) is READ:
            self.seen.append(event)
        self.seen.append(event)
        return event

    def all(self) -> tuple[str, End]:
        """The text and the end."""
        while not isinstance(event := self.next(), End):
            pass
        return b"".join(piece.data for piece in self.seen if isinstance(piece, Piece)).decode(), event


def generation(first: int, limit: int, *, length: int = 1, sampling: Sampling = GREEDY, **more: Any) -> Generation:
    ids = (first, *[50] * (length - 1))
    return Generation(prompt=PromptInput(ids=ids, length=length), max_tokens=limit, sampling=sampling, **more)


Submit = Callable[..., tuple[Row, Heard]]
Make = Callable[..., tuple[Script, Scheduler, Submit]]


@pytest.fixture
def scheduler() -> Iterator[Make]:
    made: list[tuple[Script, Scheduler]] = []

    def make(slots: int = 4, context: int | None = None, **script: object) -> tuple[Script, Scheduler, Submit]:
        scripted = Script(**script)  # type: ignore[arg-type]
        scheduler = Scheduler(scripted, VOCABULARY, slots, context=context)
        made.append((scripted, scheduler))

        def submit(first: int, limit: int, **more: object) -> tuple[Row, Heard]:
            heard = Heard()
            return scheduler.submit(generation(first, limit, **more), heard.events.put), heard  # type: ignore[arg-type]

        return scripted, scheduler, submit

    yield make
    for scripted, scheduler in made:
        scripted.gate.release(1000)
        scheduler.close()


def test_a_text_ends_by_length_or_by_an_end_token(scheduler: Make) -> None:
    script, _, submit = scheduler()
    script.gate.release(20)
    assert submit(10, 3)[1].all() == ("^10.11.12.", End(reason="length", cached_tokens=0))
    heard = submit(-2, 30)[1]
    assert heard.all() == ("^-2.-1.0.", End(reason="stop", cached_tokens=0))
    assert heard.seen[-2] == Piece(b"", 1)
    assert script.closed == 2


def test_a_late_request_takes_turns_with_a_live_one(scheduler: Make) -> None:
    script, _, submit = scheduler()
    _, early = submit(10, 10)
    script.gate.release(2)
    early.next()
    early.next()
    _, late = submit(30, 2)
    script.gate.release(20)
    assert late.all()[0] == "^30.31."
    assert early.all()[0] == "^10.11.12.13.14.15.16.17.18.19."
    begun = script.order.index(30)
    assert begun < 6
    assert script.order[begun : begun + 4] == [30, 10, 30, 10]


def test_rows_in_one_batch_keep_their_own_limits(scheduler: Make) -> None:
    script, _, submit = scheduler(slots=3)
    blocker = submit(90, 1)[1]
    waiting = [submit(first, limit)[1] for first, limit in ((10, 1), (20, 4), (30, 2))]
    script.gate.release(50)
    texts = [heard.all()[0] for heard in (blocker, *waiting)]
    assert texts == ["^90.", "^10.", "^20.21.22.23.", "^30.31."]
    assert sum(map(len, script.opened)) == 4


def test_no_more_rows_are_live_than_there_are_slots(scheduler: Make) -> None:
    script, _, submit = scheduler(slots=2)
    heard = [submit(10 * i, 3)[1] for i in range(1, 6)]
    script.gate.release(100)
    assert [h.all()[0] for h in heard] == [f"^{10 * i}.{10 * i + 1}.{10 * i + 2}." for i in range(1, 6)]
    assert max(map(len, script.opened)) <= 2


def test_a_cancel_ends_a_row_within_one_token_and_leaves_its_neighbours(scheduler: Make) -> None:
    script, _, submit = scheduler()
    (gone, heard), (_, stays) = submit(10, 50), submit(20, 5)
    script.gate.release(1)
    heard.next()
    gone.cancel()
    script.gate.release(100)
    text, end = heard.all()
    assert end.reason == "cancelled"
    assert text in {"^10.", "^10.11."}
    assert stays.all() == ("^20.21.22.23.24.", End(reason="length", cached_tokens=0))
    assert len(script.order) < 20


def test_a_cancel_reaches_a_request_that_still_waits(scheduler: Make) -> None:
    script, _, submit = scheduler(slots=1)
    submit(10, 3)
    waiting, heard = submit(20, 3)
    waiting.cancel()
    script.gate.release(50)
    assert heard.all() == ("", End(reason="cancelled", cached_tokens=0))
    assert [20] not in script.opened


def test_between_the_parts_of_a_long_prompt_others_decode(scheduler: Make) -> None:
    script, _, submit = scheduler(parts=4)
    _, early = submit(10, 12)
    script.gate.release(1)
    early.next()
    _, late = submit(30, 1)
    script.gate.release(50)
    late.all()
    early.all()
    assert script.order.index(30) >= 4, "the early request stood still while the late prompt was read"


def test_a_failing_engine_is_told_to_those_in_the_batch_and_serves_on(scheduler: Make) -> None:
    def once(step: int) -> bool:
        return step == 1 and not script.closed

    script, made, submit = scheduler(fails=once)
    script.gate.release(50)
    _, end = submit(10, 5)[1].all()
    assert (end.reason, end.error) == ("error", "RuntimeError: out of memory")
    assert submit(20, 1)[1].all()[0] == "^20."
    assert made.broken is None


def test_closing_ends_what_runs_and_what_comes_after(scheduler: Make) -> None:
    script, made, submit = scheduler()
    _, heard = submit(10, 10**9)
    script.gate.release(10**6)
    heard.next()
    made.close()
    assert heard.all()[1].reason == "error"
    assert script.closed == 1
    assert submit(20, 1)[1].all()[1].error == "RuntimeError: the engine was stopped"


def test_sampled_and_greedy_rows_share_a_batch(scheduler: Make) -> None:
    script, _, submit = scheduler()
    blocker = submit(90, 1)[1]
    _, greedy = submit(10, 2)
    _, sampled = submit(20, 2, sampling=Sampling(temperature=1.0, top_k=1))
    script.gate.release(50)
    blocker.all()
    assert greedy.all()[0] == "^10.11."
    assert sampled.all()[0] == "^42.42."


def test_prompts_too_long_to_be_read_together_take_turns_part_by_part(scheduler: Make) -> None:
    script, _, submit = scheduler(parts=3)
    _, early = submit(10, 20)
    script.gate.release(1)
    early.next()
    heard = [submit(first, 1, length=TOGETHER // 2 + 1)[1] for first in (20, 30)]
    script.gate.release(50)
    assert [h.all()[0] for h in heard] == ["^20.", "^30."]
    early.all()
    assert [20, 30] not in script.opened
    assert script.read[-6:] in ([20, 30] * 3, [30, 20] * 3)
    assert script.order.index(20) >= 7, "the early request stood still for more than one part at a time"


def test_a_cancel_takes_effect_between_the_parts_of_a_prompt(scheduler: Make) -> None:
    script, made, submit = scheduler(parts=10**9)
    row, heard = submit(10, 1)
    assert script.reading.wait(20)
    row.cancel()
    assert heard.all() == ("", End(reason="cancelled", cached_tokens=0))
    made.close()
    assert (script.order, script.closed) == ([], 1)


@pytest.mark.parametrize("limit", [0, 2])
def test_an_echo_comes_before_the_answer_and_is_alone_in_its_batch(scheduler: Make, limit: int) -> None:
    script, made, submit = scheduler(parts=3, length=6)
    _, blocker = submit(10, 1)
    assert script.reading.wait(20)
    _, heard = submit(20, limit, length=6, echo=True, top_logprobs=1)
    _, other = submit(30, 1)
    script.gate.release(10)
    assert heard.all() == ("^42.42." if limit else "", End(reason="length", cached_tokens=0))
    assert heard.seen.count(READ) == 3
    (echo,) = [event for event in heard.seen if isinstance(event, Echo)]
    assert heard.seen[3] is echo
    assert [token.data for token in echo.tokens] == [b"20.", *[b"50."] * 5]
    rest = np.log(99 + np.e)
    assert echo.tokens[0].logprob is None
    assert [token.logprob for token in echo.tokens[1:]] == pytest.approx([-rest] * 5)
    assert [data for data, _ in echo.tokens[1].top] == [b"51"]
    assert echo.tokens[1].top[0][1] == pytest.approx(1 - rest)
    told = [piece.logprobs for piece in heard.seen if isinstance(piece, Piece) and piece.data]
    assert [len(tokens) for tokens in told] == [1] * limit
    other.all()
    blocker.all()
    made.close()
    assert [20] in script.opened
    assert script.closed == len(script.opened)


def test_a_batch_is_looked_at_for_log_probabilities_of_greedy_rows(scheduler: Make) -> None:
    script, _, submit = scheduler()
    script.gate.release(10)
    _, heard = submit(10, 1, top_logprobs=2)
    assert heard.all()[0] == "^42."
    (piece,) = [event for event in heard.seen if isinstance(event, Piece) and event.data]
    ((data, logprob, top),) = [(token.data, token.logprob, token.top) for token in piece.logprobs]
    assert data == b"^42."
    assert logprob == pytest.approx(5 - np.log(99 + np.exp(5)))
    assert top[0] == (b"42", logprob)
    assert len(top) == 2


ROWS = st.lists(st.tuples(st.integers(1, 2000), st.booleans(), st.booleans()), max_size=80)


@given(ROWS, st.integers(1, 300_000))
def test_partition_wastes_little_and_keeps_apart_what_must_be(
    kinds: list[tuple[int, bool, bool]], vocabulary: int
) -> None:
    rows = []
    for length, seeded, padlike in kinds:
        ids = (*[50] * (length - 1), PAD if padlike else 7)
        sampling = Sampling(seed=1) if seeded else Sampling()
        made = Generation(prompt=PromptInput(ids=ids, length=length), max_tokens=1, sampling=sampling)
        rows.append(Row(made, lambda _event: None, VOCABULARY))
    groups = partition(rows, PAD, together_length(vocabulary))
    assert sorted(id(row) for group in groups for row in group) == sorted(map(id, rows))
    for group in groups:
        lengths = [len(row.prompt) for row in group]
        assert len(group) <= MAX_ROWS
        assert max(lengths) <= 2 * min(lengths) + SLACK
        if len(group) > 1:
            assert not any(row.seeded or row.prompt[-1] == PAD for row in group)
            assert len(group) * max(lengths) <= TOGETHER
            assert len(group) * max(lengths) * vocabulary * 4 <= SCORES_BYTES


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), max_size=20), st.integers(200, 400))
def test_rows_of_a_batch_have_room_for_half_of_what_each_may_say_behind_the_longest_prompt(
    kinds: list[tuple[int, int]], context: int
) -> None:
    rows = []
    for length, limit in kinds:
        prompt = PromptInput(ids=(7,) * length, length=length)
        made = Generation(prompt=prompt, max_tokens=min(limit, context - length) or 1, sampling=Sampling())
        rows.append(Row(made, lambda _event: None, VOCABULARY))
    for group in partition(rows, PAD, TOGETHER, context):
        if len(group) > 1:
            room = context - max(len(row.prompt) for row in group)
            assert max(row.limit for row in group) <= 2 * room
            assert room > 0


def test_prompts_of_unlike_length_share_a_batch_and_the_longer_answers_go_on_alone(scheduler: Make) -> None:
    script, engine, submit = scheduler(context=12)
    with engine._changed:  # nothing is admitted until all are there
        long, short, shortest = submit(10, 4, length=8)[1], submit(20, 8, length=4)[1], submit(30, 2, length=5)[1]
    script.gate.release(50)
    assert long.all() == ("^10.11.12.13.", End(reason="length", cached_tokens=0))
    assert shortest.all()[0] == "^30.31."
    assert short.all()[0] == "^20.21.22.23." + "20.21.22.23."  # the script begins anew where it is read anew
    assert script.opened == [[10, 30, 20], [20]]
    assert script.rooms == [4, 4]
    assert script.prompts[-1] == (20, 50, 50, 50, 20, 21, 22, 23)
    assert script.closed == 2


def test_an_answer_that_has_just_begun_goes_on_with_those_who_come(scheduler: Make) -> None:
    script, engine, submit = scheduler()
    _, early = submit(10, 20, length=3)
    script.gate.release(2)
    early.next()
    early.next()
    with engine._changed:
        late = [submit(first, 2, length=3)[1] for first in (30, 40)]
    script.gate.release(100)
    assert [heard.all()[0] for heard in late] == ["^30.31.", "^40.41."]
    text = early.all()[0]
    assert text.count(".") == 20
    assert script.opened == [[10], [10, 30, 40]]  # the longest first
    made = [int(token) for token in text.strip("^.").split(".")]
    again = script.prompts[1]
    assert again == (10, 50, 50, *made[: len(again) - 3])
    assert script.closed == 2


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ({"limit": 20, "length": 9}, {"length": 3}),  # more to read again than is read
        ({"limit": 9, "length": 5}, {"length": 20}),  # little left to say
        ({"limit": 90, "length": 2}, {"length": 2 * 4 + SLACK + 50}),  # it would not share the batch
        ({"limit": 20, "length": 2, "sampling": Sampling(seed=1)}, {"length": 20}),
    ],
)
def test_an_answer_that_would_gain_little_goes_on_as_it_is(
    scheduler: Make, early: dict[str, Any], late: dict[str, Any]
) -> None:
    script, _, submit = scheduler()
    _, first = submit(10, early.pop("limit"), **early)
    script.gate.release(2)
    first.next()
    first.next()
    _, other = submit(30, 3, **late)
    script.gate.release(200)
    other.all()
    first.all()
    assert script.opened == [[10], [30]]


def test_who_leaves_before_going_on_alone_is_not_read_again(scheduler: Make) -> None:
    script, engine, submit = scheduler(context=12)
    with engine._changed:
        long, (row, short) = submit(10, 4, length=8)[1], submit(20, 8, length=4)
    script.gate.release(3)
    for _ in range(3):
        long.next()
    row.cancel()
    script.gate.release(50)
    assert short.all()[1].reason == "cancelled"
    assert long.all()[1].reason == "length"
    assert script.opened == [[10, 20]]
