"""What loads really took, remembered in a file of JSON lines that any number of processes append to."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from assay.disk import Stamp, stamp_of
from assay.errors import StoreError
from assay.types import Observation

RECENT = 5
"""How many observations of the same load count: what an old system or driver took says little of today's."""
Key = tuple[str, str | None, str, int | None, int]
_read = msgspec.json.Decoder(Observation).decode


class Observations:
    """The file at ``path``; it comes into being with the first observation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: Stamp | None = None
        self._recent: dict[Key, deque[Observation]] = {}

    def remember(self, observation: Observation) -> None:
        """Append one line, in one write, which other processes' lines cannot fall into.

        Raises:
            StoreError: the file cannot be written.
        """
        line = msgspec.json.encode(observation) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                if self._cut_off():
                    line = b"\n" + line
                file.write(line)
        except OSError as error:
            raise StoreError(
                f"what the load took cannot be remembered in {self._path}",
                why=error.strerror or str(error),
                remedy="check the folder's permissions and its free space",
            ) from error

    def find(
        self, engine: str, engine_version: str | None, digest: str, context_length: int | None, slots: int
    ) -> Observation | None:
        """The largest of the last few observations of just that load, or None; lines that are damaged do not count."""
        self._read_again_where_it_changed()
        recent = self._recent.get((engine, engine_version, digest, context_length, slots), ())
        return max(recent, key=lambda seen: seen.peak, default=None)

    def _read_again_where_it_changed(self) -> None:
        state = stamp_of(self._path)
        if state is None:
            self._state, self._recent = None, {}
        elif self._state != state:
            self._state, self._recent = state, {}
            for seen in self._lines():
                self._recent.setdefault(seen.key, deque(maxlen=RECENT)).append(seen)

    def _cut_off(self) -> bool:
        """Whether the last line has no end: whoever wrote it was stopped half-way."""
        with self._path.open("rb") as file:
            end = file.seek(0, 2)
            if end == 0:
                return False
            file.seek(end - 1)
            return file.read(1) != b"\n"

    def _lines(self) -> Iterator[Observation]:
        try:
            content = self._path.read_bytes()
        except OSError:
            return
        for line in content.splitlines():
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield _read(line)
