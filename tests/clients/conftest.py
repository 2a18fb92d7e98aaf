"""A real service of the bundled models for other people's clients: ``assay serve`` as anybody would start it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from served import EMBEDDER, TOOLS, Served, furnish  # noqa: E402 - lies in benchmarks/


class Running(NamedTuple):
    """A service that answers. ``url`` ends in ``/v1``; the models are names that it serves."""

    url: str
    chat: str = "notes-4m"
    tools: str = TOOLS
    embeddings: str = EMBEDDER


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service; it is stopped in good order, which is checked."""
    home = tmp_path_factory.mktemp("home")
    furnish(home)
    served = Served(home)
    served.start()
    try:
        yield Running(f"{served.address}/v1")
    finally:
        code = served.stop()
    assert code == 0, served.told(3000)
