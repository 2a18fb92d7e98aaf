"""What a look at the hub found: models with their packagings, and what was set aside and why."""

from __future__ import annotations

from msgspec import Struct

from assay.types.hub import Repo
from assay.types.variant import Format, Variant


class Fold(Struct, frozen=True, kw_only=True):
    """A repository that is not shown by itself.

    ``rule`` is the rule's short name, ``why`` says it of this repository, ``into`` is the find that it counts for; None
    where it counts for none.
    """

    id: str
    rule: str
    why: str
    into: str | None = None


class Packaging(Struct, frozen=True, kw_only=True):
    """A repository that holds a model in a form of its own.

    ``formats`` are those that an engine here may read, empty where there is none. ``variants`` are what its files
    offer, empty where they were not asked for.
    """

    id: str
    formats: tuple[Format, ...] = ()
    variants: tuple[Variant, ...] = ()
    downloads: int | None = None


class Find(Struct, frozen=True, kw_only=True):
    """One model. ``id`` is its repository, or the one that its packagings name; ``repo`` is None if that was not seen.

    ``score`` is its rank, 0 to 1. ``fits`` is None where nobody can say, ``choice`` what would be fetched to run it.
    """

    id: str
    repo: Repo | None = None
    packagings: tuple[Packaging, ...] = ()
    folded: tuple[Fold, ...] = ()
    licence: str | None = None
    licence_class: str = "unknown"
    parameters: int | None = None
    task: str | None = None
    created: str | None = None
    gated: bool | None = None
    score: float = 0.0
    why: tuple[str, ...] = ()
    fits: bool | None = None
    fit_reason: str | None = None
    choice: Variant | None = None

    @property
    def runnable(self) -> tuple[Packaging, ...]:
        """Its packagings in formats that an engine here may read, best first."""
        return tuple(packaging for packaging in self.packagings if packaging.formats)

    @property
    def reference(self) -> str | None:
        """The name by which what would be run is fetched: ``hf:owner/name:q8_0``."""
        return f"{self.choice.source}:{self.choice.selector}" if self.choice is not None else None

    @property
    def size(self) -> int | None:
        """Bytes of what would be fetched, else of the smallest variant known; None where no size is known."""
        if self.choice is not None:
            return self.choice.disk
        sizes = [variant.disk for packaging in self.packagings for variant in packaging.variants]
        return min((size for size in sizes if size is not None), default=None)


class Discovery(Struct, frozen=True, kw_only=True):
    """What one look found, best first, and what was left out. Times are ISO 8601 in UTC."""

    finds: tuple[Find, ...]
    left: tuple[Fold, ...]
    since: str
    until: str
