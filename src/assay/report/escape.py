"""Foreign text made safe for where it is printed: a model may answer with anything.

HTML is escaped by the template engine itself; what is here serves terminals, Markdown and spreadsheets.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = re.compile(r"([\\`*\[\]|~#])|(?<!\w)(_)|(_)(?!\w)")


def clean(text: str) -> str:
    """Text without terminal controls, direction overrides and lone surrogates; new lines and tabs stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _BIDI.sub("", _CONTROL.sub("\ufffd", text)))


def one_line(text: str, limit: int | None = None) -> str:
    """Clean text on one line, cut to ``limit`` characters with an ellipsis."""
    plain = text.isprintable() and "  " not in text
    line = text.strip() if plain else _SPACES.sub(" ", clean(text)).strip()
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def markdown_text(text: str, limit: int | None = None) -> str:
    """One line that Markdown shows as it is, inside tables too."""
    line = one_line(text, limit)
    line = line.replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(lambda match: "\\" + match.group(0), line)


def spreadsheet_text(text: str) -> str:
    """Text that a spreadsheet takes for text: one that could start a formula is led by an apostrophe."""
    text = _SURROGATE.sub("\ufffd", text.replace("\x00", "\ufffd"))
    return "'" + text if text.lstrip(" \n").startswith(_FORMULA) else text
