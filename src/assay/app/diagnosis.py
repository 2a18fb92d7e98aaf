"""One bundle about the service to paste into a report: versions, machine, settings, state, last log lines.

No key, no token, no prompt is in it; the user's folder is written as ``~``.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from msgspec import Struct

from assay import __version__, machine
from assay.app.background import ServiceStatus, service_status
from assay.app.configuring import Value, config_values
from assay.app.service_client import find_service, place_of
from assay.errors import BadConfig, ServiceError
from assay.serve.event_log import tail
from assay.serve.overhear import KINDS
from assay.types import Machine

PACKAGES = (
    "aiohttp", "huggingface-hub", "msgspec", "numpy", "onnxruntime-genai", "psutil", "uvloop", "winloop", "xllamacpp",
)  # fmt: skip
LINES = 50


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What there is to know about a service that misbehaves. ``settings`` are those that are no defaults."""

    assay: str
    python: str
    system: str
    packages: dict[str, str | None]
    machine: Machine
    settings: tuple[Value, ...]
    settings_problem: str | None
    status: ServiceStatus
    models: tuple[dict[str, object], ...]
    open_files: int | None
    log: tuple[str, ...]
    output: tuple[str, ...]


def diagnose(*, home: str | Path | None = None) -> Diagnosis:
    """Gather it; nothing that is broken keeps the rest from being told."""
    place = place_of(home)
    status = service_status(home=home)
    client = find_service(home) if status.answers else None
    models: list[dict[str, object]] = []
    if client is not None:
        try:
            models = client.models()
        except ServiceError as error:
            models = [{"problem": error.sentence}]
    settings, problem = _settings(home)
    return Diagnosis(
        assay=__version__,
        python=sys.version.split()[0],
        system=platform.platform(),
        packages={name: _version(name) for name in PACKAGES},
        machine=machine.inspect(),
        settings=settings,
        settings_problem=problem,
        status=status,
        models=tuple(models),
        open_files=_open_files(status.pid),
        log=tuple(_tidy(line) for line in tail(place.log, LINES) if not _overheard(line)),
        output=tuple(map(_tidy, tail(place.output, LINES))),
    )


def _settings(home: str | Path | None) -> tuple[tuple[Value, ...], str | None]:
    try:
        return tuple(value for value in config_values(home=home) if value.source != "default"), None
    except BadConfig as error:
        return (), error.sentence


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _open_files(pid: int | None) -> int | None:
    """Descriptors that the process has open; None where the system does not tell."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd")) if pid is not None else None  # noqa: PTH208 - names alone
    except OSError:
        return None


def _overheard(line: str) -> bool:
    return line.split(" ", 2)[1:2] in [[kind] for kind in KINDS]


def _tidy(line: str) -> str:
    return line.replace(str(Path.home()), "~")
