"""How much the service takes on: every bound in one place."""

from __future__ import annotations

from msgspec import Struct

MOST_TTL_S = 366 * 86400
"""How long a request may ask a model to stay."""


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds and times (seconds, bytes); the defaults suit a laptop and a small team.

    ``memory`` is what all models together may take; None: what is free at each moment.
    """

    memory: int | None = None
    queue_per_model: int = 128
    queue: int = 512
    queue_per_client: int = 128
    wait_s: float = 600.0
    """How long a request may wait for its model, a load included."""
    ttl_s: float | None = 1800.0
    """How long an idle model stays; None: until its memory is needed."""
    keep_warm_s: float | None = None
    """How often an idle model is sent a light request; None: never."""
    stall_s: float = 120.0
    """How long a model at work may make no progress before it is killed."""
    load_s: float = 300.0
    drain_s: float = 30.0
    """How long a shutdown waits for answers under way."""
    grace_s: float = 5.0
    """How long a worker that is told to stop may take."""
    backoff_s: float = 1.0
    """After a first crash; doubled with each further one, up to ``backoff_most_s``."""
    backoff_most_s: float = 60.0
    body: int = 32 << 20
    """Bytes of a request's body."""
    bodies: int = 512 << 20
    """Bytes of the bodies of all requests that are read, wait or are answered."""
    header: int = 32 << 10
    """Bytes of a request's head."""
    read_s: float = 60.0
    """How long a request's head and body may take to arrive."""
    write_s: float = 60.0
    """How long a reader may take nothing of its answer."""
    idle_s: float = 75.0
    """How long a connection without a request is kept."""
    handshake_s: float = 10.0
    """How long TLS may take until the first head can come."""
    connections: int = 4096
