"""Plain tables for a terminal or a pipe: aligned columns, no frame, text first in every line."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from assay.report.escape import one_line

GAP = "  "
LEAST = 6
"""No column is cut to fewer characters than this."""


def columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), width: int | None = None
) -> list[str]:
    """Lines of a table with ``head`` above it; columns numbered in ``right`` are aligned to the right.

    With ``width`` the widest columns are cut, with an ellipsis, until a line fits; without it nothing is cut.
    """
    cells = [[one_line(cell, 500) for cell in row] for row in (head, *rows)]
    taken = [[shown_width(cell) for cell in row] for row in cells]
    widths = [max(column) for column in zip(*taken, strict=True)]
    while width is not None and sum(widths) + len(GAP) * (len(widths) - 1) > width and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    to_right = [n in right for n in range(len(head))]
    return [GAP.join(map(_fit, row, sizes, widths, to_right)).rstrip() for row, sizes in zip(cells, taken, strict=True)]


def shown_width(text: str) -> int:
    """Cells that ``text`` takes on a terminal: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(text: str, taken: int, width: int, right: bool) -> str:
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
