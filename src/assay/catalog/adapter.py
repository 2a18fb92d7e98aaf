"""A person's own model behind an adapter: ``module:Class`` or an installed one's name, with or without ``@weights``."""

from __future__ import annotations

import re
from pathlib import Path

from assay.catalog.digest import with_digests
from assay.disk import expanded
from assay.errors import BadInput
from assay.types import File, Variant

INSTALLED = re.compile(r"[-.]")
"""What the name of an entry point may hold besides letters, digits and underscores."""


def adapter_variant(
    adapter: str, weights: Path | None = None, *, name: str | None = None, hashes: Path | None = None
) -> Variant:
    """The variant that ``adapter`` runs; nothing is imported here.

    ``weights`` is the file or folder handed to ``load`` (it may follow ``@`` in ``adapter`` instead), ``name`` the
    alias (the class's name unless given). With ``hashes``, the file that remembers digests, the weights are hashed.

    Raises:
        BadInput: neither ``module:Class`` nor a name, or weights that are not there.
    """
    target, _, written = adapter.partition("@")
    module, separator, attribute = target.strip().partition(":")
    parts = (*module.split("."), *attribute.split(".")) if separator else (INSTALLED.sub("_", module),)
    if not all(part.isidentifier() for part in parts):
        raise BadInput(
            f"{adapter!r} names no adapter",
            why="module:Class or an installed adapter's name is expected, with @weights after it where it has some",
            remedy="write it like my_models.tiny:TinyAdapter",
        )
    place = weights if weights is not None else expanded(written) if written else None
    if place is not None and not place.exists():
        raise BadInput(f"there are no weights at {place}", remedy="check the path of the weights")
    alias = name or attribute or module
    variant = Variant(
        id=alias,
        alias=alias,
        format="adapter",
        source=target.strip(),
        adapter=target.strip(),
        path=str(place.absolute()) if place else None,
        files=_files(place) if place else (),
    )
    return variant if hashes is None else with_digests(variant, hashes)


def _files(place: Path) -> tuple[File, ...]:
    folder = place if place.is_dir() else place.parent
    files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
    return tuple(File(path=file.relative_to(folder).as_posix(), size=file.stat().st_size) for file in files)
