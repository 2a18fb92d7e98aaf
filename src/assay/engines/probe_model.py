"""What a model in an engine must offer so that its distributions can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from assay.types import Scored

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Reading(NamedTuple):
    """Of one sequence: natural log-probabilities, float32 (positions, vocabulary), and the most likely tokens."""

    distributions: npt.NDArray[np.float32]
    tops: tuple[int, ...]


class Prober(Protocol):
    """Reads distributions from a loaded model; ``lanes`` sequences may be read at once, each in a lane of its own."""

    vocabulary: int
    lanes: int

    def read(self, scored: Scored, lane: int, /) -> Reading:
        """The whole distributions at ``scored.positions`` and the most likely tokens at ``scored.tops``."""
        ...

    def continued(self, ids: Sequence[int], count: int) -> tuple[int, ...]:
        """The most likely token, ``count`` times or until an end token, which is the last one then."""
        ...


@runtime_checkable
class Probeable(Protocol):
    """A ``Model`` whose distributions can be read."""

    def prober(self) -> Prober:
        """A reader; no generation may run while it reads."""
        ...
