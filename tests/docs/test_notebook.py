"""docs/bench.ipynb: kept without outputs, runs from top to end in a kernel of its own, and shows its charts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.blocks import ROOT, clean_environment

NOTEBOOK = ROOT / "docs" / "bench.ipynb"


def _read(path: Path) -> Any:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook with its outputs, from a kernel that no other test shares."""
    folder = tmp_path_factory.mktemp("notebook")
    program = (
        "import sys, nbformat; from nbclient import NotebookClient; source, target = sys.argv[1:];"
        "notebook = nbformat.read(source, as_version=4);"
        "NotebookClient(notebook, timeout=120, kernel_name='python3').execute();"
        "nbformat.write(notebook, target)"
    )
    # Nothing may be fetched: an address that cannot be reached stands in the way of every request that goes out.
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = clean_environment(dict(os.environ)) | offline | {"ASSAY_HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    told = subprocess.run(
        [sys.executable, "-c", program, str(NOTEBOOK), "executed.ipynb"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return _read(folder / "executed.ipynb")


def test_it_is_kept_without_outputs() -> None:
    code = [cell for cell in _read(NOTEBOOK).cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_it_measures_chooses_and_shows_figures(executed: Any) -> None:
    printed = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for cell in executed.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "2 candidates" in printed
    assert "notes-1.5m:q8_0 @ llamacpp" in printed
    assert "peak_memory" in printed
    assert any("text/html" in output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", []))


def test_each_chart_is_a_picture_that_needs_nothing_from_elsewhere(executed: Any) -> None:
    charts = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.startswith("charts[")]
    assert len(charts) == 2
    for cell in charts:
        shown = [output.get("data", {}) for output in cell.outputs]
        pictures = [data["image/svg+xml"] for data in shown if "image/svg+xml" in data]
        assert len(pictures) == 1
        assert pictures[0].startswith("<svg")
        assert "notes-1.5m" in pictures[0]
        assert "cdn." not in str(shown)
