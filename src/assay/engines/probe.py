"""A product asked for its distributions, by the very engine that will serve it, in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.json import Decoder, encode

from assay.child import Ended, run_child
from assay.engines import load
from assay.engines.worker.model import Spec
from assay.engines.worker_engine import WorkerEngine
from assay.errors import BadInput, EngineError, EngineUnavailable
from assay.types import EngineOptions, Probed, ProbeRequest, Reporter, Silent, Variant

COMMAND = (sys.executable, "-P", "-m", "assay.engines.probe_process")
SLOTS = 4
"""Sequences read at once where the engine can: llama.cpp's lists of probabilities take longer than its arithmetic."""
MARGIN = 64
"""Tokens of context for a chat template that says more than the original's."""
TIMEOUT_S = 3600.0


class _Event(Struct, frozen=True):
    event: str
    done: int = 0
    total: int = 0
    text: str = ""
    probed: Probed | None = None
    message: str = ""
    why: str | None = None
    remedy: str | None = None


_decode = Decoder(_Event).decode


def probe(
    variant: Variant,
    engine_name: str,
    request: ProbeRequest,
    folder: Path,
    *,
    reporter: Reporter | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Probed:
    """Open ``variant`` on the engine, ask it, and end the process; the distributions lie in ``folder``.

    It runs as it would be served, greedily, with the engine's own choice of threads.

    Raises:
        BadInput: the engine cannot be asked, or not for this variant. EngineUnavailable: it is not installed.
        EngineError: the model did not load, or failed, or took longer than ``timeout_s``.
    """
    engine = load(engine_name)
    if not isinstance(engine, WorkerEngine):
        raise BadInput(f"engine {engine_name} cannot be asked for distributions")
    availability = engine.available()
    if not availability.ok:
        raise EngineUnavailable(
            f"engine {engine_name} cannot run here", why=availability.why, remedy=availability.remedy
        )
    options = EngineOptions(context_length=_context(variant, request), slots=SLOTS)
    engine.check(variant, options)
    spec = Spec(opener=engine.opener, model=variant.id, variant=variant, options=options)
    folder.mkdir(parents=True, exist_ok=True)
    job = encode({"spec": spec, "request": request, "folder": os.fspath(folder)})
    return _Child(variant.id, reporter or Silent()).run(job, timeout_s)


def _context(variant: Variant, request: ProbeRequest) -> int:
    """Tokens of the longest sequence with what is to follow it."""
    longest = max((len(scored.ids) for scored in request.sequences), default=0) + 1
    prompt = max((len(ids) for ids in request.prompts), default=0)
    needed = max(longest, prompt + max(request.new_tokens, request.answer_tokens)) + MARGIN
    return needed if variant.context_length is None else min(needed, variant.context_length)


class _Child:
    """One run of the probing process."""

    def __init__(self, name: str, reporter: Reporter) -> None:
        self._name = name
        self._reporter = reporter
        self._probed: Probed | None = None
        self._failed: _Event | None = None

    def run(self, job: bytes, timeout_s: float) -> Probed:
        """Give it the job and read its events until its end."""
        ended = run_child(COMMAND, job, self._hear, timeout_s=timeout_s)
        if self._probed is None:
            raise self._error(ended, timeout_s)
        return self._probed

    def _hear(self, line: bytes) -> None:
        event = _decode(line)
        if event.event == "progress":
            self._reporter.progress(event.done, event.total, event.text)
        elif event.event == "done":
            self._probed = event.probed
        else:
            self._failed = event

    def _error(self, ended: Ended, timeout_s: float) -> EngineError:
        if ended.late:
            return EngineError(f"{self._name} was still being asked after {timeout_s:g} s, and was ended")
        if self._failed:
            failed = self._failed
            return EngineError(
                f"{self._name} could not be asked: {failed.message}", why=failed.why, remedy=failed.remedy
            )
        return EngineError(
            f"the engine died while {self._name} was asked ({ended.how})",
            why=f"last lines of its log:\n{ended.tail()}",
        )
