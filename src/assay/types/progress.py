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


class Silent:
    """A reporter that says nothing."""

    def stage(self, _text: str) -> None:
        return None

    def progress(self, _done: int, _total: int, _text: str = "") -> None:
        return None

    def note(self, _text: str) -> None:
        return None
