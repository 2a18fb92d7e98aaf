"""What every process that holds a model does: it keeps stdout for events alone, and ends with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys
from typing import Any, BinaryIO, cast

from msgspec.json import encode

from assay.engines.worker.model import Model, Spec
from assay.errors import AssayError

ORPHANED = 4
PR_SET_PDEATHSIG = 1


def open_model(spec: Spec) -> Model:
    """The model of ``spec``, loaded by its engine's own opener."""
    module, _, function = spec.opener.partition(":")
    return cast("Model", getattr(importlib.import_module(module), function)(spec))


def tell(events: BinaryIO, event: dict[str, Any]) -> None:
    """One event to the parent, as a line of JSON."""
    with contextlib.suppress(OSError):  # the parent has gone; its end of stdin says so too
        events.write(encode(event) + b"\n")
        events.flush()


def failure(error: Exception) -> dict[str, str | None]:
    """What an event says of an error."""
    if isinstance(error, AssayError):
        return {"message": error.message, "why": error.why, "remedy": error.remedy}
    return {"message": f"{type(error).__name__}: {error}", "why": None, "remedy": None}


def take_stdout() -> BinaryIO:
    """Keep the pipe to the parent for events alone: whatever prints to stdout reaches stderr instead."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


def die_with_parent() -> None:
    """Have the kernel end this process after its parent, should native code keep the stdin watch from running.

    The parent's death sends SIGHUP, and its handler is C's ``alarm(1)``, as SIGHUP is number 1: no Python runs. Within
    that second the stdin watch can end the whole process group; a plain SIGKILL would take the worker alone.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal(signal.SIGHUP, ctypes.cast(libc.alarm, ctypes.c_void_p))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGHUP)


def end_as_orphan() -> None:
    """End this process, and what the engine has started in its group."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(ORPHANED)
