"""The curated list: open models that people run locally, by the names they know them by.

What it says of a model was read on the pages that the entry names, its publisher's before others'; what they do not
tell is None or empty. Repositories in which others package a model are those that public projects fetch it from. Sizes,
commits and hashes are not in it: the Hub is asked for them.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec
from msgspec import Struct

from assay.errors import BadInput

LIST = "curated.json"


class CuratedEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of the list.

    ``alias`` is the name shown, lower-case; ``names`` are other spellings of it, lower-case too. ``repo`` is the
    publisher's checkpoint in safetensors (``owner/name``); ``gguf`` and ``onnx`` are repositories with GGUF files and
    with folders of ONNX Runtime GenAI, the publisher's own first. ``parameters`` are as the publisher rounds them,
    ``context_length`` is in tokens, without ways to stretch it. ``licence`` is an SPDX id or expression, else the Hub's
    tag. ``languages`` are ISO 639 codes. ``gated`` says whether terms must be agreed to before a download of ``repo``.
    ``pages`` are where this was read.
    """

    alias: str
    family: str
    publisher: str
    repo: str
    pages: tuple[str, ...]
    names: tuple[str, ...] = ()
    gguf: tuple[str, ...] = ()
    onnx: tuple[str, ...] = ()
    parameters: int | None = None
    context_length: int | None = None
    licence: str | None = None
    tasks: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    gated: bool | None = None
    notes: str | None = None


def curated() -> tuple[CuratedEntry, ...]:
    """The list, in its order: families together, small models before large ones.

    Raises:
        BadInput: the list that came with Assay is missing or damaged.
    """
    try:
        content = (files(__package__) / LIST).read_bytes()
        return msgspec.json.decode(content, type=tuple[CuratedEntry, ...])
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput("the curated list cannot be read", why=str(error), remedy="install Assay again") from error
