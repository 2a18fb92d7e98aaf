"""Markdown that comes in pieces -> styled spans, each piece shown once and for good.

Nothing is drawn twice, so nothing flickers: text is held back only until it is known how to show it (the end of a
word, of ``**bold**``, of a table's row). Code goes out as it came, to the character; prose breaks between words. List
marks, fences and quotes stay, so that what is copied is Markdown again; only the marks of emphasis and headings go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

HELD = 200
"""Characters that emphasis may span; a mark that is not closed within them is shown as it is."""
WINDOW = 2 * HELD + 10
"""Characters after a mark within which it is closed, or not at all."""
HEADING, CODE, LINK, DIM, BOLD, ITALIC, MARK = "bold cyan", "green", "underline", "dim", "bold", "italic", "cyan"
_SPAN = re.compile(
    rf"(?P<ticks>`+)(?!`)(?P<coded>.{{1,{HELD}}}?)(?<!`)(?P=ticks)(?!`)"
    rf"|\*\*(?=\S)(?!\*\*)(?P<strong>.{{1,{HELD}}}?)(?<=\S)\*\*(?![\w*])"
    rf"|\*(?![\s*])(?P<leaning>[^*]{{1,{HELD}}}?)(?<=\S)\*(?![\w*])"
    rf"|\[(?P<name>[^\[\]]{{1,{HELD}}})\](?P<target>\([^()\s]{{1,{HELD}}}\))"
)
_HOPELESS = re.compile(r"\*{1,2}\s|\*{4}|\[(?:\]|[^\[\]]*(?:\[|\][^(]))")
"""Beginnings that no text after them makes a span."""
_OPENER = re.compile(r"[`*\[\\]")
_RULE = re.compile(r" {0,3}([-*_])(?:\s*\1){2,}\s*")
_LIST = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)]) +(?=\S)")
_QUOTE = re.compile(r"(?: {0,3}>)+ *")
_HEADING = re.compile(r" {0,3}#{1,6} +(?=\S)")
_FENCE = re.compile(r"\s*(?:(?P<ticks>`{3,})[^`]*|(?P<waves>~{3,}).*)")
_UNDECIDED = re.compile(
    r"\s*(?:`*|~*|#{0,6} *|\+? *|\d{0,9}(?:[.)] *)?|[>\s]*|([-*_])(?:\s*\1)*\s*)|\s*(?:`{3,}[^`]*|~{3,}.*|\|.*)"
)
"""Lines so far whose kind the next character may still change."""
_CELL = re.compile(r"(?<!\\)\|")


class Span(NamedTuple):
    """Text in one style, in rich's words for styles."""

    text: str
    style: str = ""


class Markdown:
    """Turns pieces of one answer into spans; how it was cut into pieces changes nothing in what comes out.

    ``cells`` gives the columns that a text takes.
    """

    def __init__(self, cells: Callable[[str], int] = len) -> None:
        self._cells = cells
        self._line = ""
        """The part of the current line that was not taken yet."""
        self._begun = False
        """Whether it is known what kind of line it is."""
        self._code = False
        self._fence: str | None = None
        """What ends the code under way."""
        self._style = ""
        self._before = ""
        """The character before ``_line``."""
        self._word: list[Span] = []
        self._space = ""
        self._column = self._hang = 0
        self._widths: list[int] = []

    def feed(self, text: str, width: int) -> list[Span]:
        """What can be shown now, on a terminal of ``width`` columns."""
        spans: list[Span] = []
        for i, part in enumerate(text.split("\n")):
            if i:
                self._take(spans, width, whole=True)
                self._newline(spans)
            self._line += part
        self._take(spans, width, whole=False)
        return _joined(spans)

    def end(self, width: int) -> list[Span]:
        """What was held back; the last line is ended."""
        spans: list[Span] = []
        self._take(spans, width, whole=True)
        if self._column:
            self._newline(spans)
        self._fence, self._widths = None, []
        return _joined(spans)

    def _newline(self, spans: list[Span]) -> None:
        spans.append(Span("\n"))
        self._line = self._style = self._before = self._space = ""
        self._begun = self._code = False
        self._column = self._hang = 0

    def _take(self, spans: list[Span], width: int, *, whole: bool) -> None:
        """Show of the line what can be; ``whole``: nothing of it follows."""
        if not self._begun:
            if not whole and self._undecided():
                return
            self._begun = True
            self._begin(spans)
        if self._code:
            self._verbatim(spans, self._line, CODE)
        else:
            self._inline(spans, width, whole=whole)

    def _undecided(self) -> bool:
        if self._fence is not None:
            return re.fullmatch(rf"\s*{re.escape(self._fence[0])}*\s*", self._line) is not None
        return _UNDECIDED.fullmatch(self._line) is not None

    def _begin(self, spans: list[Span]) -> None:
        """A line's beginning, or all of it where it is shown as a whole."""
        line = self._line
        if self._fence is not None:
            self._code = not self._ends_code(line)
            if not self._code:
                self._fence = None
                self._verbatim(spans, line, DIM)
            return
        if line.lstrip().startswith("|"):
            self._row(spans)
            return
        self._widths = []
        if fence := _FENCE.fullmatch(line):
            self._fence = fence["ticks"] or fence["waves"]
            self._verbatim(spans, line, DIM)
        elif _RULE.fullmatch(line):
            self._verbatim(spans, line, DIM)
        elif heading := _HEADING.match(line):
            self._style, self._line = HEADING, line[heading.end() :]
        else:
            self._indent(spans, line)

    def _ends_code(self, line: str) -> bool:
        mark, stripped = self._fence or "", line.strip()
        return len(stripped) >= len(mark) and stripped == mark[0] * len(stripped)

    def _indent(self, spans: list[Span], line: str) -> None:
        """What stands before the text of a line, and before the further lines that it is broken into."""
        quote = _QUOTE.match(line)
        mark = quote or _LIST.match(line)
        lead = mark.group() if mark else line[: len(line) - len(line.lstrip())]
        self._style = DIM if quote else ""
        self._line = line[len(lead) :]
        if self._line and lead:
            spans.append(Span(lead, self._style or (MARK if mark else "")))
            self._hang = self._column = self._cells(lead)
        elif quote:
            self._verbatim(spans, lead.rstrip(), DIM)

    def _inline(self, spans: list[Span], width: int, *, whole: bool) -> None:
        while self._line:
            opener = _OPENER.search(self._line)
            start = opener.start() if opener else len(self._line)
            if start:
                self._put(spans, Span(self._line[:start], self._style), width)
                self._eat(start)
            elif not self._marked(spans, width, whole=whole):
                return
        if whole:
            self._flush(spans, width)

    def _marked(self, spans: list[Span], width: int, *, whole: bool) -> bool:
        """Take what begins with a mark; False: more of it must come first."""
        line = self._line
        if not (line[0] == "\\" or (line[0] == "*" and self._before.isalnum())):
            found = _SPAN.match(line)
            if found is not None and (whole or found.end() < len(line)):
                self._put_found(spans, found, width)
                self._eat(found.end())
                return True
            if not whole and len(line) < WINDOW and not _HOPELESS.match(line):
                return False
        taken = 2 if line[0] == "\\" else len(line) - len(line.lstrip("`")) or 1
        if not whole and taken >= len(line) and line[0] in "\\`":
            return False
        taken = min(taken, len(line))
        self._put(spans, Span(line[:taken], self._style), width)
        self._eat(taken)
        return True

    def _put_found(self, spans: list[Span], found: re.Match[str], width: int) -> None:
        style = self._style
        if found["coded"] is not None:
            self._put(spans, Span(found["coded"], CODE), width)
        elif found["name"] is not None:
            self._put(spans, Span(found["name"], f"{style} {LINK}".strip()), width)
            self._put(spans, Span(f" {found['target']}", f"{style} {DIM}".strip()), width)
        else:
            more, text = (BOLD, found["strong"]) if found["strong"] is not None else (ITALIC, found["leaning"])
            inner = _within(text, f"{style} {more}".strip())
            for span in inner:
                self._put(spans, span, width)

    def _eat(self, count: int) -> None:
        self._before, self._line = self._line[count - 1], self._line[count:]

    def _put(self, spans: list[Span], span: Span, width: int) -> None:
        """Add to the word under way; a space ends it."""
        for text in re.findall(r"\s+|\S+", span.text):
            if text.isspace():
                self._flush(spans, width)
                self._space += text
            else:
                self._word.append(Span(text, span.style))

    def _flush(self, spans: list[Span], width: int) -> None:
        """Show the word; on the next line where it does not fit on this one, and the space before it then goes."""
        if not self._word:
            return
        size = sum(self._cells(span.text) for span in self._word)
        if self._space and self._column + self._cells(self._space) + size > width and self._column > self._hang:
            hang = min(self._hang, width // 2)
            spans.append(Span("\n" + " " * hang))
            self._column = hang
        else:
            spans.append(Span(self._space))
            self._column += self._cells(self._space)
        spans.extend(self._word)
        self._column += size
        if self._column > width > 0:
            self._column = (self._column - 1) % width + 1
        self._word, self._space = [], ""

    def _row(self, spans: list[Span]) -> None:
        """A row of a table, its cells made as wide as those above it."""
        cells = [cell.strip() for cell in _CELL.split(self._line.strip().removeprefix("|"))]
        if cells and not cells[-1]:
            cells.pop()
        rule = bool(cells) and all(re.fullmatch(r":?-+:?", cell) for cell in cells)
        for i, cell in enumerate(cells):
            self._widths[i : i + 1] = [max(self._cells(cell), *self._widths[i : i + 1], 1)]
        fill = "-" if rule else " "
        padded = [
            _padded(cell, width - self._cells(cell), fill) for cell, width in zip(cells, self._widths, strict=False)
        ]
        self._verbatim(spans, f"| {' | '.join(padded)} |", DIM if rule else "")

    def _verbatim(self, spans: list[Span], text: str, style: str) -> None:
        if text:
            spans.append(Span(text, style))
            self._column += self._cells(text)
        self._line = ""


def _within(text: str, style: str) -> list[Span]:
    """The spans inside emphasis: code and links keep what they are."""
    inner = Markdown()
    inner._begun, inner._style, inner._line = True, style, text
    spans: list[Span] = []
    inner._inline(spans, 1 << 30, whole=True)
    return [*spans, Span(inner._space, style)]


def _padded(cell: str, room: int, fill: str) -> str:
    """``---:`` grows before its colon, text after its end."""
    return cell[:-1] + fill * room + cell[-1:] if fill == "-" else cell + fill * room


def _joined(spans: list[Span]) -> list[Span]:
    """Neighbours of one style made one."""
    found: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if found and found[-1].style == span.style:
            found[-1] = Span(found[-1].text + span.text, span.style)
        else:
            found.append(span)
    return found
