"""Sizes and ages as people give them to a flag -> bytes and seconds; None stays None."""

from __future__ import annotations

from datetime import UTC, datetime

from assay import amounts, catalog
from assay.errors import BadInput


def size(flag: str, text: str | None) -> int | None:
    """Bytes; a number without a unit is GB. Raise ``BadInput``, naming ``flag``, for what is no amount."""
    if text is None:
        return None
    try:
        return amounts.parse_amount(text, "GB")
    except ValueError as error:
        raise BadInput(f"{flag} cannot be {text!r}", why=str(error), remedy="write it like 40GB") from error


def age(text: str | None) -> float | None:
    """Seconds from ``30d``, ``12h`` or a date until now. Raise ``BadInput`` for what is none."""
    if text is None:
        return None
    now = datetime.now(UTC)
    return (now - catalog.start_of_look(text, None, now)).total_seconds()
