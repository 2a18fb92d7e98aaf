"""What the names of GGUF files tell: the parts of a model that is split, and the part of one that reads pictures."""

from __future__ import annotations

import re
from typing import NamedTuple

SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})", re.IGNORECASE)


class Shard(NamedTuple):
    """Part ``number``, from 1 on, of the ``total`` files of ``stem``, as llama.cpp's own tool splits it."""

    stem: str
    number: int
    total: int

    def sibling(self, number: int) -> str:
        """The name of another part, without its ending."""
        return f"{self.stem}-{number:05}-of-{self.total:05}"


def shard_of(stem: str) -> Shard | None:
    """The part that a file's name without its ending tells; None where it tells none."""
    match = SHARD.fullmatch(stem)
    return Shard(match["stem"], int(match["number"]), int(match["count"])) if match else None


def is_projector(name: str) -> bool:
    """Whether the file is the part that reads pictures, which is no language model."""
    return "mmproj" in name.lower()
