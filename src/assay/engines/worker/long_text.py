"""How many tokens a text has, without reading the whole of one that has far too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assay.engines.worker.model import PromptInput

CHARACTERS = 8
"""Of a token that is read at first: nearly every text with as many of them as the context has tokens is whole then."""
SURE = 256
"""Tokens at the end of a part that might be fewer in the whole text, which goes on where the part is cut."""


def prompt_of(text: str, context: int | None, ids_of: Callable[[str], Sequence[int]]) -> PromptInput:
    """``text`` as the tokens that ``ids_of`` gives; where they are more than ``context``, only enough to know that.

    The time that tokenizers take grows with the square of some texts: a megabyte of special tokens takes a minute.
    """
    size = len(text) if context is None else CHARACTERS * context
    while context is not None and size < len(text):
        ids = ids_of(text[:size])
        if len(ids) > context + SURE:
            return PromptInput(ids=tuple(ids[:-SURE]), length=len(ids) - SURE, more=True)
        size *= 2
    ids = ids_of(text)
    return PromptInput(ids=tuple(ids), length=len(ids))
