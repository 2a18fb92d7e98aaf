"""The original asked what its products will be asked: transformers in full precision, in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, convert
from msgspec.json import decode, encode

from assay.amounts import format_amount
from assay.child import run_child
from assay.compile.checkpoint import read_checkpoint
from assay.compile.extra import PROOF, require
from assay.compile.passages import default_text
from assay.errors import BadInput, CompileError, NoRoom
from assay.types import Probed, ProbeRequest, Prompt, Reporter, Silent

NEW_TOKENS = 32
"""Tokens of each continuation that greedy tokens are compared over."""
COMMAND = (sys.executable, "-P", "-m", "assay.compile.reference_process")
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin take the cores from each other on a busy machine
}
MEMORY_FACTOR = 1.2
"""Of the weights in 32 bits: the activations, and torch itself."""
TIMEOUT_S = 4 * 3600.0


class ReferenceJob(Struct, frozen=True, kw_only=True):
    """What the process is told. ``chats`` is one conversation a prompt; ``out`` is where the distributions go."""

    folder: str
    texts: tuple[str, ...]
    chats: tuple[tuple[dict[str, str], ...], ...]
    new_tokens: int
    answer_tokens: int
    out: str


class Original(Struct, frozen=True, kw_only=True):
    """What an original gave, and the ``request`` that asks the same of a product.

    The first ``passages`` sequences of the request are the text, the others the prompts with the original's own greedy
    continuations. ``name`` and ``digest`` are what a proof calls it.
    """

    name: str
    digest: str | None
    request: ProbeRequest
    probed: Probed
    passages: int


def ask_original(
    folder: Path,
    prompts: Sequence[Prompt],
    *,
    work: Path,
    name: str | None = None,
    digest: str | None = None,
    text: Sequence[str] | None = None,
    answer_tokens: int = NEW_TOKENS,
    free_memory: int | None = None,
    reporter: Reporter | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Original:
    """Run the checkpoint in ``folder`` in 32 bits on the CPU: once, for any number of products.

    ``text`` defaults to the package's own passages. ``answer_tokens`` bounds the answers that checks will be given;
    ``work`` gets the distributions, at most 128 MB. ``free_memory`` of None is not checked.

    Raises:
        BadInput: no checkpoint, or no prompts. MissingExtra: torch or transformers is not installed. NoRoom: it does
            not fit into memory in 32 bits. CompileError: it could not be run.
    """
    checkpoint = read_checkpoint(folder)
    if not prompts:
        raise BadInput("a proof needs at least one prompt")
    require(PROOF, "the proof of a compile")
    needed = int(checkpoint.parameters * 4 * MEMORY_FACTOR)
    if free_memory is not None and needed > free_memory:
        raise NoRoom(
            f"{folder} needs {format_amount(needed)} of memory to be run as the original",
            why=f"{format_amount(free_memory)} are free, and a proof compares with the weights in 32 bits",
            remedy="end other programs, or compile on a larger machine",
        )
    work.mkdir(parents=True, exist_ok=True)
    job = ReferenceJob(
        folder=os.fspath(folder.absolute()),
        texts=tuple(default_text() if text is None else text),
        chats=tuple(_conversation(prompt) for prompt in prompts),
        new_tokens=NEW_TOKENS,
        answer_tokens=max(answer_tokens, NEW_TOKENS),
        out=os.fspath(work.absolute()),
    )
    heard = _Heard(reporter or Silent())
    ended = run_child(COMMAND, encode(job), heard.line, timeout_s=timeout_s, environment=ENVIRONMENT)
    if ended.late:
        raise CompileError(f"running the original {folder} was not done after {timeout_s:g} s, and was ended")
    if ended.code != 0:
        why = f"last lines of its log:\n{ended.tail()}"
        raise CompileError(f"running the original {folder} failed ({ended.how})", why=why)
    if heard.given is None:
        raise CompileError(f"running the original {folder} gave nothing")
    return Original(
        name=name or folder.absolute().name,
        digest=digest,
        request=convert(heard.given["request"], ProbeRequest),
        probed=convert(heard.given["probed"], Probed),
        passages=int(heard.given["passages"]),
    )


class _Heard:
    """Events of the process."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.given: Mapping[str, Any] | None = None

    def line(self, line: bytes) -> None:
        event = decode(line)
        if event["event"] == "progress":
            self._reporter.progress(event["done"], event["total"], event["text"])
        elif event["event"] == "failed":
            raise CompileError(event["message"], why=event.get("why"))
        else:
            self.given = event


def _conversation(prompt: Prompt) -> tuple[dict[str, str], ...]:
    asked = {"role": "user", "content": prompt.prompt}
    return ({"role": "system", "content": prompt.system}, asked) if prompt.system else (asked,)
