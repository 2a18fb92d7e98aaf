"""What people type -> variants that are here, without a hub."""

from __future__ import annotations

from collections.abc import Sequence

from assay.catalog.bundled import bundled_variants
from assay.catalog.catalog import Catalog
from assay.catalog.registry import Registry
from assay.errors import UnknownModel
from assay.types import Variant


def resolve(
    text: str,
    *,
    registry: Registry | None = None,
    bundled: Sequence[Variant] | None = None,
) -> list[Variant]:
    """The variants that ``text`` names among a registry, the bundled models, paths and addresses; see ``Catalog.find``.

    ``bundled`` are the package's own unless given.

    Raises:
        UnknownModel: nothing of that name is here; the error names near ones. BadInput: a file is broken.
    """
    own = tuple(bundled if bundled is not None else bundled_variants())
    found = Catalog(registries=(registry,) if registry else (), bundled=own).find(text)
    if not found.variants:
        asked = found.wanted[0].name
        raise UnknownModel(
            f"{text.strip()} is not on this machine",
            why=f"it is {asked}",
            remedy=f"assay model download {text.strip()}",
        )
    return list(found.variants)
