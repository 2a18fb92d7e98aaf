"""Plain tables for a terminal or a pipe: aligned columns, no frame, text first in every line."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from assay.report.escape import one_line

GAP = "  "
LEAST = 8
"""No column is cut to fewer characters than this."""


def columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), width: int | None = None
) -> list[str]:
    """Lines of a table with ``head`` above it; columns numbered in ``right`` are aligned to the right.

    With ``width`` the widest columns are cut, with an ellipsis, until a line fits; without it nothing is cut.
    """
    cells = [[one_line(cell, 500) for cell in row] for row in (head, *rows)]
    widths = [max(shown_width(row[n]) for row in cells) for n in range(len(head))]
    while width is not None and sum(widths) + len(GAP) * (len(widths) - 1) > width and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        fitted = [_fit(cell, widths[n], right=n in right) for n, cell in enumerate(row)]
        lines.append(GAP.join(fitted).rstrip())
    return lines


def shown_width(text: str) -> int:
    """Cells that ``text`` takes on a terminal: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(text: str, width: int, *, right: bool) -> str:
    taken = shown_width(text)
    if taken > width:
        kept = ""
        for character in text:
            if shown_width(kept) + _cells(character) > width - 1:
                break
            kept += character
        text = kept + "\N{HORIZONTAL ELLIPSIS}"
        taken = shown_width(text)
    room = " " * (width - taken)
    return room + text if right else text + room
