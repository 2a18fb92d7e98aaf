"""Fenced blocks of a Markdown file, and which comment stands before each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """``mark`` is the text of the comment on the line before the fence, or empty."""

    mark: str
    language: str
    body: str


def blocks(path: Path) -> Iterator[Block]:
    """Every fenced block of the file, in order."""
    for match in _BLOCK.finditer(path.read_text(encoding="utf-8")):
        yield Block(match["mark"] or "", match["language"], match["body"])


def clean_environment(environment: dict[str, str]) -> dict[str, str]:
    """Without the variables that Assay listens to, which may be set where the tests run."""
    heard = ("BENCH_", "ASSAY_", "OPENAI_", "FOUNDRY_", "API_KEY")
    return {name: value for name, value in environment.items() if not name.startswith(heard)}
