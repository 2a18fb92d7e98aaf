"""The dependency rule, read from the imports: types, errors <- stages <- app <- cli; no stage knows another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "assay"
LEAVES = {"types", "errors", "amounts", "disk", "child", "formats"}
STAGES = {
    "machine",
    "hub",
    "catalog",
    "store",
    "compile",
    "engines",
    "serve",
    "measure",
    "judge",
    "runs",
    "decide",
    "report",
    "fleet",
}
ALLOWED = {
    "types": set(),
    "errors": set(),
    "amounts": set(),
    "disk": set(),
    "child": set(),
    "formats": {"types", "errors"},
    "settings": {"errors", "disk", "amounts"},
    **dict.fromkeys(STAGES, LEAVES),
    "app": LEAVES | STAGES | {"settings", ""},
    "cli": LEAVES | {"settings", "app", "report", ""},
    "__init__": {"app"},
    "__main__": {"cli"},
}
"""Room -> rooms it may import, besides itself; "" is the package itself (its version)."""


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(node: ast.AST) -> set[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [f"assay.{alias.name}" for alias in node.names] if node.module == "assay" else [node.module or ""]
    rooms = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "assay":
            room = parts[1] if len(parts) > 1 else ""
            rooms.add(room if (SOURCE / room).is_dir() or (SOURCE / f"{room}.py").is_file() else "")
    return rooms


def wrong_arrows(text: str, room: str) -> list[str]:
    tree = ast.parse(text)
    inside = {
        node for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(f)
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"line {node.lineno}: relative import")
        rooms = imported_rooms(node)
        if rooms and node in inside:
            found.append(f"line {node.lineno}: imports ours inside a function")
        found += [f"line {node.lineno}: {room} -> {other or 'assay'}" for other in rooms - {room} - ALLOWED[room]]
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    assert wrong_arrows(path.read_text(encoding="utf-8"), room_of(path)) == []


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("measure", "from assay.judge import checks"),
        ("judge", "from assay import app"),
        ("types", "import assay.errors"),
        ("cli", "from assay.engines import load"),
        ("decide", "def f():\n    from assay.types import Sample"),
        ("runs", "from . import reader"),
    ],
)
def test_a_wrong_arrow_is_found(room: str, text: str) -> None:
    assert wrong_arrows(text, room)


def test_every_room_is_known() -> None:
    assert {room_of(path) for path in FILES} <= set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_is_over_500_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
