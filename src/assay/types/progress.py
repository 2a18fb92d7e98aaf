"""Where long work tells of itself."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Where long work tells of itself; an effect that is passed in. Every method must return at once."""

    def stage(self, text: str, /) -> None:
        """A new step begins."""
        ...

    def progress(self, done: int, total: int, text: str = "", /) -> None:
        """``done`` of ``total`` units of the current step."""
        ...

    def note(self, text: str, /) -> None:
        """Something a person should read; it stays on the screen."""
        ...


class Transfers(Protocol):
    """Where downloads and copies tell of themselves; called from several threads, and must return at once."""

    def file(self, name: str, done: int, total: int | None, /) -> None:
        """``done`` of ``total`` bytes of a file are here; less than before where it begins anew."""
        ...

    def note(self, text: str, /) -> None:
        """Something a person should read: a retry, a file that was found elsewhere."""
        ...


class Silent:
    """A reporter, and a teller of transfers, that says nothing."""

    def stage(self, _text: str) -> None:
        return None

    def progress(self, _done: int, _total: int, _text: str = "") -> None:
        return None

    def note(self, _text: str) -> None:
        return None

    def file(self, _name: str, _done: int, _total: int | None) -> None:
        return None
