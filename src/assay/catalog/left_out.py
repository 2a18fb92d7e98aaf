"""Files of a repository that no variant uses."""

from __future__ import annotations

from typing import NamedTuple


class LeftOut(NamedTuple):
    """``paths`` count from the repository's top; ``why`` is for people."""

    paths: tuple[str, ...]
    why: str
