"""OpenAI's own client for JavaScript, from npm."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Running

MODULES = os.environ.get("ASSAY_TEST_NODE_MODULES", "")
"""A folder in which ``npm install openai`` was run."""


@pytest.mark.engines
def test_the_tour(running: Running) -> None:
    node = shutil.which("node")
    if node is None or not (Path(MODULES) / "node_modules" / "openai").is_dir() or not MODULES:
        pytest.skip("no node, or ASSAY_TEST_NODE_MODULES names no folder with npm's package openai")
    program = Path(__file__).parent / "openai.mjs"
    names = [running.url, running.chat, running.tools, running.embeddings]
    done = subprocess.run(
        [node, str(program), *names],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "CLIENT_MODULES": MODULES},
    )
    assert done.stdout.endswith("toured\n"), done.stderr
