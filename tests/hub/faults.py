"""The faults that the Hub server can be told to have: which requests they hit, and how often."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

Kind = Literal[
    "stall", "cut", "wrong", "short", "status", "norange", "change", "trickle", "redirect", "chunked", "away"
]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault; see ``running.py`` for what each kind does. ``times`` counts down; None: always."""

    kind: Kind
    file: str = "*"
    times: int | None = 1
    skip: int = 0
    method: str = "GET"
    host: Literal["hub", "cdn"] | None = None
    at: int = 0
    length: int = 1
    reset: bool = False
    code: int = 503
    retry_after: str | None = None
    error_code: str | None = None
    body: str | None = None
    echo: bool = False
    grow: int = 0
    piece: int = 16
    pause_s: float = 0.001

    def hits(self, method: str, target: str, host: str) -> bool:
        """Whether this request is one of those, counting it when it is."""
        name = target if "/" in self.file else target.rpartition("/")[2]
        if self.method not in {"*", method} or self.host not in {None, host} or self.times == 0:
            return False
        if not fnmatchcase(name, self.file):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """Those that are set now, in the order in which they were set."""

    def __init__(self) -> None:
        self.all: list[Fault] = []

    def hit(self, log: dict[str, Any], target: str, *kinds: Kind) -> Fault | None:
        """The first of these kinds that the logged request runs into; its log then tells so."""
        for fault in self.all:
            if fault.kind in kinds and fault.hits(log["method"], target, log["host"]):
                log["fault"] = fault.kind
                return fault
        return None
