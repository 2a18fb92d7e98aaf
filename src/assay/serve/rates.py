"""How often and how many at once: rates as people write them, a token bucket, and the counts behind a refusal."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from msgspec import Struct

from assay.serve.keys import Key
from assay.serve.rate import Rate
from assay.serve.refusal import Refusal

FAILURES = Rate(20, 60.0)
"""Wrong keys that an address may send before it is told to wait."""
ADDRESSES = 4096
"""Addresses whose failures are remembered; the one that failed longest ago is forgotten first."""


class Bucket(Struct, frozen=True):
    """What is left of a rate at a moment: ``level`` requests, at ``at`` (seconds of a monotonic clock)."""

    level: float
    at: float


def take(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """Take one from the bucket (None: a full one): the bucket after it, and 0.0 or the seconds until there is one.

    A bucket holds as many as the rate allows in its time, and fills evenly. What is refused takes nothing.
    """
    each = rate.seconds / rate.count
    level = float(rate.count)
    if bucket is not None:
        level = min(level, bucket.level + max(0.0, now - bucket.at) / each)
    if level >= 1 - 1e-6:  # what rounding took does not make anybody wait twice
        return Bucket(max(0.0, level - 1), now), 0.0
    return Bucket(level, now), (1 - level) * each


def client_address(peer: object) -> str:
    """Whom a connection's other end counts as: its IPv4 address, or the /64 that one IPv6 customer usually has.

    ``peer`` is what a transport calls ``peername``; ``"local"`` for what has no address.
    """
    return _counted_as(str(peer[0])) if isinstance(peer, tuple) and peer else "local"


@lru_cache(maxsize=1024)
def _counted_as(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Rates:
    """What each key has used and has under way, and which addresses send wrong keys."""

    def __init__(self, failures: Rate = FAILURES) -> None:
        self._failures = failures
        self._used: dict[str, Bucket] = {}
        self._running: dict[str, int] = {}
        self._failed: dict[str, Bucket] = {}

    def enter(self, key: Key, now: float) -> Refusal | None:
        """Count a request of ``key`` in; ``leave`` must follow, unless it is refused (a 429)."""
        running = self._running.get(key.name, 0)
        if key.at_once is not None and running >= key.at_once:
            return _too_many(f"this key may have {key.at_once} requests under way, and has {running}", 1.0)
        if key.rate is not None:
            self._used[key.name], wait = take(self._used.get(key.name), key.rate, now)
            if wait:
                return _too_many(f"this key may send {key.rate}", wait)
        self._running[key.name] = running + 1
        return None

    def leave(self, key: Key) -> None:
        """A request that was counted in has ended."""
        left = self._running[key.name] - 1
        if left:
            self._running[key.name] = left
        else:
            del self._running[key.name]

    def failed(self, address: str, now: float) -> Refusal | None:
        """``address`` sent a wrong key: None, or a 429 where it does so too often."""
        # Moved to the end, so that the first is the one that failed longest ago.
        bucket, wait = take(self._failed.pop(address, None), self._failures, now)
        self._failed[address] = bucket
        if len(self._failed) > ADDRESSES:
            del self._failed[next(iter(self._failed))]
        return _too_many("too many wrong keys came from this address", wait) if wait else None


def _too_many(message: str, wait: float) -> Refusal:
    return Refusal(status=429, code="rate_limit_exceeded", kind="rate_limit_error", message=message, retry_after=wait)
