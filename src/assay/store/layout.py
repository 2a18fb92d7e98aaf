"""Where things lie in the store's folder, and the folder name that a variant's id becomes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, NamedTuple

from assay.store.paths import is_reserved

_PART: Final = re.compile(r"[a-z0-9](?:[a-z0-9._]|-(?!-))*")
_OTHER: Final = re.compile(r"[^a-z0-9._]+")
_LONGEST: Final = 80
_SHORTENED: Final = 60


def slug(id: str) -> str:  # noqa: A002
    """A file name for the variant ``id``: the same for ids that differ in case only, another for any other id.

    ``Qwen2.5-0.5B:Q4_K_M`` -> ``qwen2.5-0.5b--q4_k_m``. Where that could not be told from another id's name, or where a
    file system would refuse it, a digest follows after ``+``.
    """
    name = id.casefold()
    parts = name.split(":")
    plain = "--".join(parts)
    if (
        all(_PART.fullmatch(part) and part[-1] not in "-." for part in parts)
        and len(plain) <= _LONGEST
        and not is_reserved(plain)
    ):
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = _OTHER.sub("-", name)[:_SHORTENED].strip("-._")
    return f"{'m-' if is_reserved(readable) else ''}{readable or 'model'}+{digest}"


class Layout(NamedTuple):
    """The folders of a store; none needs to be there."""

    folder: Path

    @property
    def files(self) -> Path:
        """One folder per variant with its files, real or linked."""
        return self.folder / "files"

    @property
    def records(self) -> Path:
        """One JSON file per variant: it is in the store when this is there."""
        return self.folder / "records"

    @property
    def partial(self) -> Path:
        """What has come of files so far, by key."""
        return self.folder / "partial"

    @property
    def locks(self) -> Path:
        """One file for each thing that one process does at a time."""
        return self.folder / "locks"

    @property
    def in_use(self) -> Path:
        """One folder per variant with a mark of each process that uses it."""
        return self.folder / "in-use"

    @property
    def aside(self) -> Path:
        """Products that a gate refused; never listed."""
        return self.folder / "aside"

    def part(self, key: str) -> Path:
        """What has come of the file with ``key``."""
        return self.partial / f"{key}.part"

    def lock(self, name: str) -> Path:
        """The lock of a key, or of a slug."""
        return self.locks / f"{name}.lock"

    def record(self, name: str) -> Path:
        """The record of a slug."""
        return self.records / f"{name}.json"
