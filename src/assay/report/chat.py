"""A chat on a terminal: where its answers are shown, and what is said of them in a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from assay.report.escape import clean
from assay.report.streamed import Markdown, Span
from assay.report.units import UNKNOWN, count, duration, plural, rate

if TYPE_CHECKING:
    from rich.console import Console

NEARLY = 0.8
"""Share of the context from which on each answer tells how much is taken."""


class Screen(Protocol):
    """Where an answer is shown as it comes."""

    def feed(self, text: str, /) -> None:
        """A piece of it, however it was cut."""
        ...

    def end(self) -> None:
        """Nothing more comes: what was held back is shown, and the line ends."""
        ...


class Plain:
    """Writes an answer as it comes, without a style; controls that it may hold are taken out."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._open = False

    def feed(self, text: str, /) -> None:
        shown = _safe(text)
        if shown:
            self._open = not shown.endswith("\n")
            self._write(shown)

    def end(self) -> None:
        if self._open:
            self._write("\n")
        self._open = False


class Styled:
    """Writes an answer as Markdown to a terminal."""

    def __init__(self, console: Console) -> None:
        from rich.cells import cell_len

        self._console = console
        self._markdown = Markdown(cell_len)

    def feed(self, text: str, /) -> None:
        self._show(self._markdown.feed(_safe(text), self._console.width))

    def end(self) -> None:
        self._show(self._markdown.end(self._console.width))

    def _show(self, spans: list[Span]) -> None:
        if spans:
            from rich.text import Text

            self._console.print(Text.assemble(*spans, end=""), end="", soft_wrap=True, highlight=False)


def figures(spoken: Any) -> str:
    """An ``app.Spoken`` in a line: time to the first text, rate, tokens, context."""
    sample = spoken.sample
    cached = f" ({count(sample.cached_tokens)} cached)" if sample.cached_tokens else ""
    parts = [
        f"ttft {duration(sample.ttft)}",
        rate(sample.decode_tps) if sample.decode_tps is not None else f"rate {UNKNOWN}",
        f"{count(sample.prompt_tokens)} tokens in{cached}, {count(sample.output_tokens)} out",
        context(spoken),
    ]
    return " · ".join(parts)


def context(spoken: Any) -> str:
    """How much of the context the conversation takes."""
    used, whole = spoken.used, spoken.context
    share = f" ({used / whole:.0%})" if used is not None and whole else ""
    return f"context {count(used)} of {count(whole)}{share}"


def remarks(spoken: Any) -> list[str]:
    """What a reader must know of an answer even where no figures are wanted."""
    told = []
    if spoken.full:
        told.append(
            f"the answer is cut: the context of {plural(spoken.context, 'token')} is full; "
            "/drop leaves the oldest turn out, /set full drop does so whenever it must, /clear starts anew"
        )
    elif spoken.cut == "length":
        after = f" after {plural(tokens, 'token')}" if (tokens := spoken.sample.output_tokens) is not None else ""
        told.append(f"the answer is cut{after}: /set max_tokens")
    elif spoken.used is not None and spoken.context and spoken.used >= NEARLY * spoken.context:
        told.append(context(spoken))
    return told


def _safe(text: str) -> str:
    return clean(text.replace("\r", ""))
