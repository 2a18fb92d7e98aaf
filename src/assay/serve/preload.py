"""A model that is to be up from the first, as the status tells of it until it is."""

from __future__ import annotations

from msgspec import Struct


class Preload(Struct):
    """``name`` as it was given; ``model`` is the variant that it means, None where that is not known, or not yet.

    ``problem`` tells why it is not up; None: nothing is known to be in its way.
    """

    name: str
    model: str | None = None
    problem: str | None = None

    @property
    def judged(self) -> bool:
        """Whether its load has begun or cannot begin."""
        return self.model is not None or self.problem is not None
