"""What the process that makes a product is told."""

from __future__ import annotations

from msgspec import Struct

from assay.compile.family import Target


class Job(Struct, frozen=True, kw_only=True):
    """What to make: ``out`` is the file or the folder to write, ``cache`` a folder for what is not kept."""

    to: Target
    checkpoint: str
    name: str
    quantisation: str
    out: str
    cache: str
