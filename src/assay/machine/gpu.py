"""Graphics processors, as far as NVIDIA's management library tells; others are left out, never guessed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from assay.types import Gpu

SIGNS = ("proc/driver/nvidia", "dev/nvidiactl", "dev/dxg")
"""One of these is there on Linux where an NVIDIA driver is loaded (the last one under Windows' Linux)."""


class Nvml(Protocol):
    """What is used of the ``pynvml`` module."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> Any: ...  # noqa: N802 - the library's own names
    def nvmlShutdown(self) -> Any: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> Any: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Any: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any, /) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any, /) -> Any: ...  # noqa: N802
    def nvmlSystemGetDriverVersion(self) -> Any: ...  # noqa: N802


def read_gpus(root: Path = Path("/"), *, load: Callable[[], Nvml | None] | None = None) -> tuple[Gpu, ...]:
    """NVIDIA GPUs with their memory in bytes; empty where there is none, no driver, or only other makes.

    ``load`` gives the management library, or None where it is not installed.
    """
    if load is None and (root / "proc").is_dir() and not any((root / sign).exists() for sign in SIGNS):
        return ()
    nvml = (load or _pynvml)()
    if nvml is None:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        return _devices(nvml)
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _devices(nvml: Nvml) -> tuple[Gpu, ...]:
    def told(ask: Callable[..., Any], *about: Any) -> Any:
        try:
            return ask(*about)
        except nvml.NVMLError:
            return None

    driver = _text(told(nvml.nvmlSystemGetDriverVersion))
    gpus = []
    for index in range(told(nvml.nvmlDeviceGetCount) or 0):
        handle = told(nvml.nvmlDeviceGetHandleByIndex, index)
        name = None if handle is None else _text(told(nvml.nvmlDeviceGetName, handle))
        if name is None:
            continue
        # GPUs that share the machine's memory have none of their own to tell of.
        memory = told(nvml.nvmlDeviceGetMemoryInfo, handle)
        gpus.append(Gpu(name=name, memory=None if memory is None else int(memory.total), driver=driver))
    return tuple(gpus)


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _pynvml() -> Nvml | None:
    try:
        import pynvml
    except ImportError:
        return None
    loaded: Nvml = pynvml
    return loaded
