"""What the scheduler wants done. Only ``service.py`` does it; tests read it."""

from __future__ import annotations

from msgspec import Struct

from assay.serve.offer import Offer
from assay.serve.refusal import Refusal


class Start(Struct, frozen=True):
    """Bring the offer's variant up, then tell ``loaded`` or ``failed``."""

    offer: Offer


class Stop(Struct, frozen=True):
    """Take the model down, then tell ``stopped``. ``why`` is for the log.

    ``evicted``: for the memory that another model needs.
    """

    model: str
    why: str
    evicted: bool = False


class Grant(Struct, frozen=True):
    """The ticket may go to the model now. ``waited`` is seconds in all, ``loading`` those of a load it waited for.

    ``passed`` tells, for each offer of its route that was passed over, why.
    """

    ticket: int
    model: str
    waited: float
    loading: float | None = None
    passed: tuple[str, ...] = ()


class Refuse(Struct, frozen=True):
    """The ticket is not served."""

    ticket: int
    refusal: Refusal


class Warm(Struct, frozen=True):
    """Send the idle model a light request, so that its memory stays in memory."""

    model: str


Action = Start | Stop | Grant | Refuse | Warm
