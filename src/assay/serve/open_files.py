"""How many connections this process may have open."""

from __future__ import annotations

import sys

SPARE = 512
"""Open files that a service needs besides its clients' connections: to its workers, their logs, its own."""

if sys.platform == "win32":

    def make_room(connections: int) -> int:
        """How many of ``connections`` this process may have: all of them, no limit of files stands in the way."""
        return connections

else:
    import contextlib
    import resource

    def make_room(connections: int) -> int:
        """How many of ``connections`` this process may have; its limit of open files is raised as far as it goes."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + SPARE
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return connections
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # a system may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
        return max(1, min(connections, soft - SPARE))
