"""Checkpoints of every family, made once for all tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compile.models import MISSING, SKIP, checkpoint_of


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny checkpoint; not to be written to."""
    if MISSING:
        pytest.skip(SKIP)
    folder = tmp_path_factory.mktemp("tiny")
    return lambda family: checkpoint_of(folder / family, family)
