"""Makes what was planned: one product after the other, each in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import decode, encode

from assay.child import run_child
from assay.compile.checkpoint import Checkpoint, checkpoint_digest
from assay.compile.job import Job
from assay.compile.plan import Plan, Planned
from assay.compile.staging import Stamp, finished, hashed, publish, refuse_two_disks, staged, tools
from assay.errors import CompileError
from assay.types import Reporter, Variant

COMMAND = (sys.executable, "-P", "-m", "assay.compile.worker")
"""``-P`` keeps the folder of the moment off the import path: a stray ``onnx.py`` there must break nothing."""
LOG_LINES = 12


class Product(Struct, frozen=True, kw_only=True):
    """One finished product: ``variant`` has its path on this machine and all files with their SHA-256.

    ``folder`` holds nothing but this product. ``seconds`` and ``memory`` (peak bytes) are of the process that made it.
    ``notes`` tell what came out other than asked. ``reused`` says that an earlier call had finished it.
    """

    variant: Variant
    folder: Path
    seconds: float
    memory: int | None
    notes: tuple[str, ...] = ()
    reused: bool = False


def build(
    plan: Plan,
    folder: Path,
    *,
    reporter: Reporter,
    work: Path,
    digest: str | None = None,
    command: tuple[str, ...] = COMMAND,
) -> Iterator[Product]:
    """Make each product in a folder of its own below ``folder``; ``work`` is for what is not finished.

    ``digest`` is that of the checkpoint as it is now; who has none leaves the hashing to this function.

    A product that an earlier call finished, of the same files with the same tools, is told and not made again. When
    a product fails, or on Ctrl-C, its process is ended and what it wrote is removed; earlier products stay. It blocks
    while it works, so call it where Ctrl-C arrives: in the main thread.

    Raises:
        BadInput: ``work`` and ``folder`` are not on one file system. CompileError: a product could not be made.
    """
    refuse_two_disks(work, folder)
    if digest is None:
        reporter.stage(f"Reading {plan.checkpoint.name}")
        digest = checkpoint_digest(plan.checkpoint, lambda done, total: reporter.progress(done, total, "hashing"))
    for note in plan.notes:
        reporter.note(note)
    for planned in plan.products:
        wanted = Stamp(
            digest=digest,
            name=plan.checkpoint.name,
            to=plan.to,
            quantisation=planned.quantisation,
            tools=tools(plan.to),
        )
        place = folder / planned.id.replace(":", "-")
        found = finished(place, wanted)
        if found is None:
            reporter.stage(f"Making {planned.id}")
            made = _make(plan, planned, wanted, place, reporter=reporter, work=work, command=command)
            yield _product(plan, planned, made, place, reused=False)
        else:
            reporter.note(f"{planned.id} was made before and is kept")
            yield _product(plan, planned, found, place, reused=True)


def _make(
    plan: Plan,
    planned: Planned,
    wanted: Stamp,
    place: Path,
    *,
    reporter: Reporter,
    work: Path,
    command: tuple[str, ...],
) -> Stamp:
    with staged(work, place.name) as staging, staged(work, f"{place.name}.cache") as cache:
        out = staging / _file_name(plan.checkpoint, planned) if plan.to == "gguf" else staging
        job = Job(
            to=plan.to,
            checkpoint=str(plan.checkpoint.folder.absolute()),
            name=plan.checkpoint.name,
            quantisation=planned.quantisation,
            out=str(out),
            cache=str(cache),
        )
        started = time.monotonic()
        end = _run(job, planned.id, work / f"{place.name}.log", reporter, command)
        seconds = time.monotonic() - started
        files = hashed(staging, lambda done, total: reporter.progress(done, total, "hashing"))
        if not files:
            raise CompileError(f"{planned.id} could not be made", why="its process ended well and wrote nothing")
        notes = tuple(end.get("notes", ()))
        stamp = Stamp(
            digest=wanted.digest,
            name=wanted.name,
            to=wanted.to,
            quantisation=wanted.quantisation,
            tools=wanted.tools,
            files=files,
            seconds=seconds,
            memory=end.get("memory"),
            notes=notes,
        )
        publish(staging, place, stamp)
        return stamp


def _run(job: Job, name: str, log: Path, reporter: Reporter, command: tuple[str, ...]) -> dict[str, Any]:
    """Run the worker; its last event. What it printed is kept in ``log`` where it did not end well."""
    last: dict[str, Any] = {}

    def hear(line: bytes) -> None:
        nonlocal last
        with contextlib.suppress(DecodeError):
            last = decode(line, type=dict[str, Any])
            if "done" in last:
                reporter.progress(last["done"], last["total"], last["text"])

    ended = run_child(command, encode(job), hear)
    if ended.code == 0 and last.get("finished"):
        return last
    log.write_text(ended.log, encoding="utf-8")
    if last.get("failed"):
        why, remedy = last.get("why"), last.get("remedy")
        raise CompileError(f"{name} could not be made: {last['failed']}", why=why, remedy=remedy or f"see {log}")
    killed = ended.code in {-signal.SIGKILL, 137} if sys.platform != "win32" else False
    why = "the system killed its process; memory may have run out" if killed else ended.tail(LOG_LINES) or None
    raise CompileError(f"{name} could not be made: its process ended with {ended.code}", why=why, remedy=f"see {log}")


def _product(plan: Plan, planned: Planned, stamp: Stamp, place: Path, *, reused: bool) -> Product:
    checkpoint = plan.checkpoint
    entry = place / _file_name(checkpoint, planned) if plan.to == "gguf" else place
    hub = checkpoint.source.startswith("hf:")
    variant = Variant(
        id=planned.id,
        alias=checkpoint.name,
        format=plan.to,
        source=checkpoint.source,
        revision=checkpoint.revision,
        quantisation=planned.quantisation,
        path=str(entry.absolute()),
        files=stamp.files,
        parameters=checkpoint.parameters,
        context_length=checkpoint.context_length,
        capabilities=("chat",) if checkpoint.chat_template else (),
        base=checkpoint.source.removeprefix("hf:") if hub else None,
        device="cpu" if plan.to == "onnx" else None,
    )
    return Product(
        variant=variant, folder=place, seconds=stamp.seconds, memory=stamp.memory, notes=stamp.notes, reused=reused
    )


def _file_name(checkpoint: Checkpoint, planned: Planned) -> str:
    return f"{checkpoint.name}-{planned.quantisation}.gguf"
