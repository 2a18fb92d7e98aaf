"""``python -m assay.engines.probe_process``: open one model, ask it what a ``ProbeRequest`` asks, and end.

stdin: a ``Job`` as one line of JSON; its end of file means that the parent has died, and ends the process at once.
stdout: one JSON object a line: ``progress``, then ``done`` or ``failed``. What engines print goes to stderr.
"""

from __future__ import annotations

import os
import queue
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct
from msgspec.json import decode
from numpy.lib.format import open_memmap

from assay.engines.probe_model import Probeable, Prober
from assay.engines.worker.child import die_with_parent, end_as_orphan, failure, open_model, take_stdout, tell
from assay.engines.worker.model import (
    READ,
    End,
    Event,
    Generation,
    Model,
    Piece,
    PromptInput,
    Refused,
    Sampling,
    Spec,
)
from assay.errors import BadInput, EngineError
from assay.types import NS, Probed, ProbeRequest, Scored

FAILED = 3
DISTRIBUTIONS = "distributions.npy"
Tell = Callable[[int, int, str], None]
"""Done, total, of what."""


class Job(Struct, frozen=True, kw_only=True):
    """``folder`` is where the distributions are written."""

    spec: Spec
    request: ProbeRequest
    folder: str


def main() -> int:
    """Run one job; the exit code is 0 when it was done, 3 when the model could not be loaded or asked."""
    events = take_stdout()
    die_with_parent()
    job = decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_watch_parent, name="parent-watch", daemon=True).start()

    def report(done: int, total: int, text: str) -> None:
        tell(events, {"event": "progress", "done": done, "total": total, "text": text})

    code = FAILED
    try:
        asked = _Asked(open_model(job.spec), report)
        probed = asked.answer(job.request, Path(job.folder))
    except Exception as error:
        traceback.print_exc()
        tell(events, {"event": "failed", **failure(error)})
    else:
        tell(events, {"event": "done", "probed": probed})
        code = 0
    sys.stderr.flush()
    os._exit(code)  # engines' own destructors may hang or crash; everything that matters is written by now


class _Asked:
    """A loaded model, and whom to tell how far the asking is."""

    def __init__(self, model: Model, report: Tell) -> None:
        if not isinstance(model, Probeable):
            raise BadInput("this engine cannot be asked for distributions", remedy="use one of the built-in engines")
        self._model = model
        self._prober: Prober = model.prober()
        self._report = report
        self._rates: list[float] = []

    def answer(self, request: ProbeRequest, folder: Path) -> Probed:
        """Everything that is asked."""
        path = folder / DISTRIBUTIONS
        tops = self._read(request.sequences, path)
        greedy, answers = [], []
        for ids in request.prompts:
            greedy.append(self._prober.continued(ids, request.new_tokens))
            self._report(len(greedy), len(request.prompts), "continuations")
        rendered = [self._render(chat) for chat in request.chats]
        answered = rendered[: request.answers]
        for rendering in answered:
            answers.append(None if rendering is None else self._say(rendering, request.answer_tokens))
            self._report(len(answers), len(answered), "answers")
        return Probed(
            distributions=str(path),
            vocabulary=self._prober.vocabulary,
            tops=tops,
            greedy=tuple(greedy),
            answers=tuple(answers),
            rendered=tuple(rendered),
            tokenised=tuple(self._model.encode(text).ids or () for text in request.texts),
            engine_version=self._model.version,
            decode_tps=statistics.median(self._rates) if self._rates else None,
        )

    def _read(self, sequences: tuple[Scored, ...], path: Path) -> tuple[tuple[int, ...], ...]:
        """Fill the file; every lane takes each so many-th sequence."""
        starts = [0]
        for scored in sequences:
            starts.append(starts[-1] + len(scored.positions))
        shape = (starts[-1], self._prober.vocabulary)
        file = open_memmap(path, mode="w+", dtype="float32", shape=shape) if starts[-1] else None
        tops: dict[int, tuple[int, ...]] = {}
        lanes = max(1, min(self._prober.lanes, len(sequences)))

        def run(lane: int) -> None:
            for i in range(lane, len(sequences), lanes):
                reading = self._prober.read(sequences[i], lane)
                if file is not None:
                    file[starts[i] : starts[i + 1]] = reading.distributions
                tops[i] = reading.tops
                self._report(len(tops), len(sequences), "sequences")

        with ThreadPoolExecutor(lanes, thread_name_prefix="lane") as pool:
            for _ in pool.map(run, range(lanes)):
                pass
        if file is not None:
            file.flush()
        return tuple(tops[i] for i in range(len(sequences)))

    def _render(self, chat: tuple[dict[str, str], ...]) -> tuple[int, ...] | None:
        try:
            return self._model.render(chat, {}).ids
        except Refused:
            return None

    def _say(self, ids: tuple[int, ...], most: int) -> str | None:
        """A greedy answer's text; None where the context has no room for one."""
        longest = self._model.context_length
        room = most if longest is None else min(most, longest - len(ids))
        if room < 1:
            return None
        events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        prompt = PromptInput(ids=ids, length=len(ids))
        generation = Generation(prompt=prompt, max_tokens=room, sampling=Sampling(temperature=0.0))
        self._model.submit(generation, lambda event: events.put((time.monotonic_ns(), event)))
        pieces: list[tuple[int, Piece]] = []
        while True:
            at, event = events.get()
            if isinstance(event, End):
                break
            if isinstance(event, Piece) and event is not READ:
                pieces.append((at, event))
        if event.error:
            raise EngineError("the engine failed while it answered", why=event.error)
        self._rate(pieces)
        return b"".join(piece.data for _, piece in pieces).decode("utf-8", "replace")

    def _rate(self, pieces: list[tuple[int, Piece]]) -> None:
        """Tokens a second after the first piece."""
        tokens = sum(piece.tokens or 0 for _, piece in pieces[1:])
        if tokens and pieces[-1][0] > pieces[0][0]:
            self._rates.append(tokens * NS / (pieces[-1][0] - pieces[0][0]))


def _watch_parent() -> None:
    sys.stdin.buffer.read()
    end_as_orphan()


if __name__ == "__main__":
    sys.exit(main())
