"""Real files, brought into the page cache and dropped from it."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from assay.engines.page_cache import load_kind, resident_share
from assay.types import EngineOptions, File, Variant

SIZE = 64 * mmap.PAGESIZE
Live = Callable[..., None]
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what is in the page cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where pages can be dropped: not on a file system that is nothing but memory."""
    made = file(tmp_path / "try", drop=True)
    if resident_share([made]) != 0:
        pytest.skip("this file system keeps its pages in memory")
    return tmp_path


def file(path: Path, *, drop: bool, size: int = SIZE, data: bytes = b"") -> Path:
    """A file on disk, its pages in memory or not."""
    path.write_bytes(data or b"x" * size)
    with path.open("rb") as opened:
        os.fsync(opened.fileno())
        if drop:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


@linux
def test_what_was_written_is_there_and_what_was_dropped_is_not(folder: Path) -> None:
    warm, cold = file(folder / "warm", drop=False), file(folder / "cold", drop=True, size=3 * SIZE)
    assert resident_share([warm]) == 1
    assert resident_share([cold]) == 0
    assert resident_share([warm, cold]) == 0.25


@linux
def test_asking_reads_nothing_and_reading_a_part_shows(folder: Path) -> None:
    path = file(folder / "part", drop=True)
    assert [resident_share([path]) for _ in range(3)] == [0, 0, 0]
    with path.open("rb", buffering=0) as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        opened.read(1)
    share = resident_share([path])
    assert share is not None
    assert 0 < share < 1


@linux
def test_a_last_page_that_is_not_full_counts(tmp_path: Path) -> None:
    assert resident_share([file(tmp_path / "odd", drop=False, size=mmap.PAGESIZE + 1)]) == 1


@linux
@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="only root can ask as somebody else")
def test_of_files_of_others_nothing_is_said() -> None:
    """The kernel would say that all of them are there."""
    code = (
        "import os, sys; from pathlib import Path; from assay.engines.page_cache import resident_share; "
        "path = Path('/etc/passwd'); mine = resident_share([path]); os.setgid(65534); os.setuid(65534); "
        "path.open('rb').close(); print(mine is not None, resident_share([path]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "True None"


def variant(path: Path | None, *files: str) -> Variant:
    named = tuple(File(path=name) for name in files)
    return Variant(id="a", alias="a", format="gguf", source="test", path=str(path) if path else None, files=named)


@linux
def test_a_start_is_cold_or_warm_by_the_files_it_will_read(folder: Path) -> None:
    warm, cold = file(folder / "warm", drop=False), file(folder / "cold", drop=True)
    assert load_kind(variant(warm)) == "warm"
    assert load_kind(variant(cold)) == "cold"
    assert load_kind(variant(warm, "cold")) == "cold"
    assert load_kind(variant(folder, "warm")) == "warm"
    assert load_kind(variant(folder, "warm", "cold")) is None
    (folder / "cold").unlink()
    (folder / "try").unlink()
    assert load_kind(variant(folder)) == "warm"
    assert load_kind(variant(folder, "cold")) is None
    assert load_kind(variant(None)) is None


def test_what_cannot_be_known_is_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert resident_share([empty]) is None
    assert resident_share([tmp_path / "missing"]) is None
    assert resident_share([tmp_path]) is None
    assert resident_share([]) is None


@linux
@pytest.mark.engines
def test_an_endpoint_tells_how_its_files_lay(bundled: dict[str, Variant], folder: Path, live: Live) -> None:
    """llama.cpp maps the file; ONNX Runtime's folder is hashed before the start, which therefore is a warm one."""
    seen: list[str | None] = []

    async def use(client: Any) -> None:
        seen.append(client.endpoint.load_kind)

    for form in ("gguf", "onnx"):
        of_form = next((found for found in bundled.values() if found.format == form), None)
        if of_form is None:
            pytest.skip(f"no bundled {form} model in this checkout")
        source, copy = Path(of_form.path or ""), folder / form
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        for path in [path for path in (copy, *copy.glob("*")) if path.is_file()]:
            file(path, drop=True, data=path.read_bytes())
        kept = of_form.files if form == "onnx" else ()
        for _ in range(2):
            live(structs.replace(of_form, path=str(copy), files=kept), EngineOptions(context_length=64), use)
    assert seen == ["cold", "warm", "warm", "warm"]
