"""Where a product grows, and how it takes its place: whole and stamped with what it was made of, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import decode, encode

from assay.compile.family import Target
from assay.disk import sha256_of
from assay.errors import BadInput
from assay.types import File

STAMP = ".assay-compile.json"
TOOLS: Mapping[Target, tuple[str, ...]] = {
    "onnx": ("onnxruntime-genai", "transformers", "torch"),
    "gguf": ("gguf", "xllamacpp"),
}
VERSION = 1
"""Of what this room writes: a product of another version is made anew."""


class Stamp(Struct, frozen=True, kw_only=True):
    """What a product was made of and with, and what came out."""

    version: int = VERSION
    digest: str
    """Of the checkpoint's files."""
    name: str
    to: Target
    quantisation: str
    tools: dict[str, str]
    files: tuple[File, ...] = ()
    seconds: float = 0.0
    memory: int | None = None
    notes: tuple[str, ...] = ()

    def same_work(self, other: Stamp) -> bool:
        """Whether the same was asked of the same files with the same tools."""
        ours, theirs = ((s.version, s.digest, s.name, s.to, s.quantisation, s.tools) for s in (self, other))
        return ours == theirs


def tools(to: Target) -> dict[str, str]:
    """Versions of the packages that decide what comes out."""
    found = {}
    for name in TOOLS[to]:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def finished(place: Path, wanted: Stamp) -> Stamp | None:
    """The stamp of a product that is what is wanted, with all of its files as long as they were."""
    try:
        stamp = decode((place / STAMP).read_bytes(), type=Stamp)
        whole = all((place / file.path).stat().st_size == file.size for file in stamp.files)
    except (OSError, DecodeError, ValidationError):
        return None
    return stamp if whole and stamp.files and stamp.same_work(wanted) else None


@contextlib.contextmanager
def staged(work: Path, name: str) -> Iterator[Path]:
    """An empty folder below ``work``, gone at the end unless it was moved away."""
    folder = work / "staging" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hashed(folder: Path, tell: Callable[[int, int], None]) -> tuple[File, ...]:
    """Every file below ``folder`` with size and SHA-256; ``tell`` hears bytes done and in all."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done, files = sum(path.stat().st_size for path in paths), 0, []

    def read(count: int) -> None:
        nonlocal done
        done += count
        tell(done, total)

    for path in paths:
        digest = sha256_of(path, read)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        name = path.relative_to(folder).as_posix()
        files.append(File(path=name, size=path.stat().st_size, sha256=digest))
    return tuple(files)


def publish(staging: Path, place: Path, stamp: Stamp) -> None:
    """Write the stamp and move the folder to its place, at once; what was there before goes."""
    (staging / STAMP).write_bytes(encode(stamp))
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        aside = staging.with_name(staging.name + ".old")
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
        staging.rename(place)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        staging.rename(place)


def refuse_two_disks(work: Path, folder: Path) -> None:
    """Raises:
    BadInput: a folder cannot be moved from one to the other at once.
    """
    for path in (work, folder):
        path.mkdir(parents=True, exist_ok=True)
    if work.stat().st_dev != folder.stat().st_dev:
        raise BadInput(
            f"{work} and {folder} are not on one file system",
            why="a finished product is moved to its place at once",
            remedy="choose a folder for unfinished work beside the models",
        )
