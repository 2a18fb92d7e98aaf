"""What docs/generate.py writes is current, and is the program's own words whatever argparse's are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT

GENERATE = ROOT / "docs" / "generate.py"
OTHER_WORDS = """
import gettext, runpy, sys
gettext.gettext = lambda text: "ARGPARSE " + text
gettext.ngettext = lambda one, many, count: "ARGPARSE " + many
sys.argv = [sys.argv[1], "--check"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_reference_is_current_at_any_width(columns: str) -> None:
    told = subprocess.run(
        [sys.executable, str(GENERATE), "--check"],
        env={"COLUMNS": columns, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr


def test_it_does_not_depend_on_the_words_of_argparse() -> None:
    told = subprocess.run(
        [sys.executable, "-c", OTHER_WORDS, str(GENERATE)], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == 0, told.stderr


def test_a_stale_reference_is_told_of() -> None:
    program = f"import pathlib, sys; sys.path.insert(0, {str(GENERATE.parent)!r}); import generate; "
    program += "generate.COMMANDS.pop('doctor'); sys.argv = ['generate', '--check']; sys.exit(generate.main())"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1
    assert "cli.md" in told.stderr
    assert "docs/generate.py" in told.stderr
