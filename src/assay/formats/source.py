"""Where the bytes of a model file come from: a file of this machine, or ranges of one that lies elsewhere."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Protocol

from assay.errors import BadInput


class Reader(Protocol):
    """Bytes of one file by their place.

    ``name`` is what messages call the file, ``size`` its bytes, None where that is not known. ``read`` gives ``length``
    bytes from ``offset`` on, fewer only where the file ends; it raises an error of the tree where it cannot.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    def read(self, offset: int, length: int) -> bytes: ...


class FileReader:
    """A file of this machine. It is opened anew for every read, so that there is nothing to close."""

    def __init__(self, path: Path) -> None:
        """Raise ``BadInput`` where the file cannot be found or looked at."""
        self._path = path
        self.name = str(path)
        try:
            self.size: int | None = path.stat().st_size
        except (OSError, ValueError) as error:  # ValueError: a path with a null byte
            raise self._refused(error) from error

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes; raise ``BadInput`` for what the system refuses."""
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError | ValueError) -> BadInput:
        why = error.strerror if isinstance(error, OSError) else None
        return BadInput(
            f"{self.name} cannot be read", why=why or str(error), remedy="check the path and its permissions"
        )


def stays_inside(name: str) -> bool:
    """Whether a path that a model's file tells leads, on every system, to below the folder of that file."""
    told = PureWindowsPath(name)  # it knows drives, and both kinds of slashes
    return bool(told.parts) and not (told.drive or told.root or ".." in told.parts)


def reader_of(source: Path | Reader) -> Reader:
    """A path becomes a reader of that file."""
    return FileReader(source) if isinstance(source, Path) else source
