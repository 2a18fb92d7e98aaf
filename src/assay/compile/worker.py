"""The process in which one product is made: ``python -m assay.compile.worker``, a job as JSON on its stdin.

It ends when its stdin does, so that nothing goes on after its parent has gone. Events go to stdout, a JSON object a
line; whatever else is printed goes to stderr.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psutil
from msgspec.json import decode, encode

from assay.compile.checkpoint import read_checkpoint
from assay.compile.gguf_file import write_gguf
from assay.compile.job import Job
from assay.compile.onnx import build_onnx, progress_of
from assay.errors import AssayError

EXIT_FAILED = 3


class Lines(io.TextIOBase):
    """A text stream that hands on whole lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take, self._rest = take, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)


def main() -> int:
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    job = decode(_line(), type=Job)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        notes = run(job, lambda event: _send(events, event))
    except AssayError as error:
        _send(events, {"failed": error.message, "why": error.why, "remedy": error.remedy})
        return EXIT_FAILED
    except Exception as error:
        traceback.print_exc()
        _send(events, {"failed": f"{type(error).__name__}: {error}"})
        return EXIT_FAILED
    _send(events, {"finished": True, "notes": list(notes), "memory": peak_memory()})
    return 0


def run(job: Job, send: Callable[[dict[str, Any]], None]) -> tuple[str, ...]:
    """Make the product; what a person should know of it."""
    checkpoint = read_checkpoint(Path(job.checkpoint), name=job.name)
    if job.to == "gguf":
        return write_gguf(checkpoint, job.quantisation, Path(job.out), lambda *told: _progress(send, *told))
    read = progress_of(int(checkpoint.config["num_hidden_layers"]))

    def take(line: str) -> None:
        told = read(line)
        if told:
            _progress(send, *told)
        sys.stderr.write(line + "\n")

    with contextlib.redirect_stdout(Lines(take)):
        build_onnx(checkpoint, job.quantisation, Path(job.out), Path(job.cache))
    return ()


def peak_memory() -> int | None:
    """The most bytes that this process has had in memory, where the system tells."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage on Linux counts what the parent had when it forked
        lines = (line.split() for line in status.read_text().splitlines())
        return next((int(words[1]) * 1024 for words in lines if words[0] == "VmHWM:"), None)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _progress(send: Callable[[dict[str, Any]], None], done: int, total: int, text: str) -> None:
    send({"done": done, "total": total, "text": text})


def _send(events: TextIO, event: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        events.write(encode(event).decode() + "\n")


def _line() -> bytes:
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 1 << 16)):
        line += more
    return line


def _end_with_parent() -> None:
    while os.read(0, 1 << 10):  # not through sys.stdin: its lock would be held when the interpreter ends
        pass
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    raise SystemExit(main())
