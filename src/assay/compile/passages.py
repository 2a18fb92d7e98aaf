"""The text that an original and its products are held against, where nobody brings another."""

from __future__ import annotations

from importlib import resources

SEPARATOR = "%%"


def default_text() -> tuple[str, ...]:
    """Twenty passages of about 60 tokens each: prose, letters, code, JSON, lists and tables, German and Spanish."""
    text = resources.files("assay.compile").joinpath("passages.txt").read_text(encoding="utf-8")
    return tuple(passage.strip("\n") for passage in text.split(SEPARATOR))
