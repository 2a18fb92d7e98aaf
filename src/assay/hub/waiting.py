"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

FIRST_S = 1.0
LAST_S = 30.0


def backoff(tried: int, random: float) -> float:
    """Seconds before try ``tried`` + 2: 1, 2, 4... and at most 30, half to all of it by ``random`` in 0..1."""
    return min(FIRST_S * 2.0 ** min(tried, 16), LAST_S) * (0.5 + 0.5 * random)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait (``Retry-After``, a number or a date; RFC 9110), None where it does not."""
    from email.utils import parsedate_to_datetime

    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds())
