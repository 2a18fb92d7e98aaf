"""What the documents name is there: commands, flags, files, links, headings, names of the Python API."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import assay
from assay.cli import COMMANDS, command_parser
from tests.docs.blocks import ROOT, blocks

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
PLACEHOLDER = re.compile(r"[A-Z_|]+")
"""What a document writes for any value: MODEL, RUN."""
ROOMS = "benchmarks|docs|examples|src|tests|training"


def _plain(path: Path) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def _spans(path: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", _plain(path))


def _command_lines(path: Path) -> Iterator[str]:
    """Every ``assay ...`` in a code span or a block of shell."""
    lines = [span for span in _spans(path) if not re.match(r"##+ ", span)]
    for block in blocks(path):
        if block.language in {"sh", "console", "bash"}:
            body = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block.body, flags=re.DOTALL | re.MULTILINE)
            lines += re.split(r"\n|&&|;", body.replace("\\\n", " "))
    for line in lines:
        found = re.search(r"(?:^|[\s/$])assay (?=[a-z-])(.*)", line)
        if found:
            yield found[1].partition(" > ")[0].partition(" #")[0].strip()


@cache
def _parser(name: str) -> argparse.ArgumentParser:
    return command_parser(name, importlib.import_module(COMMANDS[name][0]))


def _flags(parser: argparse.ArgumentParser) -> set[str]:
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    below = {flag for action in nested for sub in action.choices.values() for flag in _flags(sub)}
    return below | {flag for action in parser._actions for flag in action.option_strings}


@each_document
def test_every_command_is_understood(path: Path) -> None:
    for line in _command_lines(path):
        words = shlex.split(line)
        if words[0].startswith("-"):
            assert words[0] in {"--help", "--version", "-h"}, line
            continue
        assert words[0] in COMMANDS, f"{path.name}: assay {line}"
        known = _flags(_parser(words[0]))
        unknown = [word for word in words[1:] if word.startswith("-") and word.partition("=")[0] not in known]
        assert not unknown, f"{path.name}: assay {line}"
        if not any(PLACEHOLDER.fullmatch(word) or "|" in word for word in words) and len(words) > 1:
            _parser(words[0]).parse_args(words[1:])


@each_document
def test_every_flag_is_of_some_command(path: Path) -> None:
    known = {flag for name in COMMANDS for flag in _flags(_parser(name))} | {"--help", "--version"}
    others = {"--check", "--deselect", "--kills"}
    named = {word for span in _spans(path) for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)}
    named -= {word for span in _spans(path) if not span.startswith(("assay ", "-")) for word in span.split()}
    assert named <= known | others


@each_document
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        place, _, anchor = target.partition("#")
        file = (path.parent / place).resolve() if place else path
        assert file.exists(), f"{path.name} links to {target}"
        assert file.is_relative_to(ROOT), f"{path.name} links out of the project: {target}"
        if anchor:
            assert anchor in _anchors(file), f"{path.name} links to {target}"


def _anchors(file: Path) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", _plain(file), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_path_of_the_tree_is_there(path: Path) -> None:
    named = {span for span in _spans(path) if re.match(rf"(?:{ROOMS}|\.ci)/", span)}
    missing = {name for name in named if not (ROOT / name).exists() and "yours" not in name}
    assert not missing


def test_the_picture_of_the_tree_is_the_tree() -> None:
    tree = next(block.body for block in blocks(ROOT / "ARCHITECTURE.md") if block.body.startswith("src/assay/"))
    rooms = {line.split()[0].rstrip("/") for line in tree.splitlines()[1:]}
    here = {p.name for p in (ROOT / "src" / "assay").iterdir() if (p / "__init__.py").is_file() or p.suffix == ".py"}
    assert rooms == here - {"__init__.py", "__main__.py"}


@each_document
def test_every_name_of_the_api_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in set(re.findall(r"\bassay\.([a-z_]+)\(", text)):
        assert name in assay.__all__, f"{path.name}: assay.{name}"
    for name in set(re.findall(r"\brun\.([a-z_]+)\(", text)):
        assert hasattr(assay.Run, name), f"{path.name}: run.{name}"
    for module in {span for span in _spans(path) if re.fullmatch(r"assay(?:\.\w+)+", span)} - {"assay.toml"}:
        if module not in {"assay.engines", "assay.adapters"}:  # groups of entry points are no modules
            importlib.import_module(module)


@pytest.mark.parametrize(("name", "holds"), [("quickstart", "assay quickstart"), ("tests", "-m pytest")])
def test_the_readme_has_its_two_commands(name: str, holds: str) -> None:
    (block,) = [block for block in blocks(ROOT / "README.md") if block.mark == name]
    assert block.language == "sh"
    assert holds in block.body
    assert len(block.body.strip().splitlines()) == 1


def test_every_document_is_found_by_these_tests() -> None:
    assert len(DOCUMENTS) >= 10
    assert sum(1 for path in DOCUMENTS for _ in _command_lines(path)) > 20
