"""GPUs through a management library that is handed in."""

# ruff: noqa: N802 - the library's own names

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from assay.machine.gpu import read_gpus
from assay.types import Gpu


class Broken(Exception):
    """What the library raises."""


class Library:
    """Answers as NVIDIA's management library does; None in ``memories`` is a GPU that shares the machine's memory."""

    NVMLError: type[Exception] = Broken

    def __init__(self, memories: Sequence[int | None], *, starts: bool = True, lost: int | None = None) -> None:
        self.memories, self.starts, self.lost, self.open = memories, starts, lost, False

    def nvmlInit(self) -> None:
        if not self.starts:
            raise Broken("driver not loaded")
        self.open = True

    def nvmlShutdown(self) -> None:
        self.open = False

    def nvmlDeviceGetCount(self) -> int:
        return len(self.memories)

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> int:
        if index == self.lost:
            raise Broken("GPU is lost")
        return index

    def nvmlDeviceGetName(self, handle: int, /) -> str | bytes:
        return b"Old Card" if handle else "New Card"

    def nvmlDeviceGetMemoryInfo(self, handle: int, /) -> SimpleNamespace:
        if self.memories[handle] is None:
            raise Broken("not supported")
        return SimpleNamespace(total=self.memories[handle])

    def nvmlSystemGetDriverVersion(self) -> str:
        return "600.1"


def test_each_gpu_with_its_memory(tmp_path: Path) -> None:
    library = Library([80, 24])
    assert read_gpus(tmp_path, load=lambda: library) == (
        Gpu(name="New Card", memory=80, driver="600.1"),
        Gpu(name="Old Card", memory=24, driver="600.1"),
    )
    assert not library.open


def test_shared_memory_is_unknown(tmp_path: Path) -> None:
    assert read_gpus(tmp_path, load=lambda: Library([None])) == (Gpu(name="New Card", driver="600.1"),)


def test_a_lost_gpu_does_not_hide_the_others(tmp_path: Path) -> None:
    assert [gpu.memory for gpu in read_gpus(tmp_path, load=lambda: Library([1, 2], lost=0))] == [2]


def test_no_driver(tmp_path: Path) -> None:
    assert read_gpus(tmp_path, load=lambda: Library([1], starts=False)) == ()


def test_no_library(tmp_path: Path) -> None:
    assert read_gpus(tmp_path, load=lambda: None) == ()


def test_the_real_library_is_not_asked_where_linux_shows_no_driver(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    assert read_gpus(tmp_path) == ()


def test_the_real_library_on_this_machine() -> None:
    for gpu in read_gpus(Path("/nonexistent")):
        assert gpu.name
        assert gpu.memory is None or gpu.memory > 0
