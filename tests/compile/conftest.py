"""Checkpoints of every family, made once for all tests of this room."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from assay.compile import Product
from assay.compile.family import Target
from tests.compile.models import BUNDLED, MISSING, SKIP, checkpoint_of, product_of


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A conversion sets variables of its process, which elsewhere is one of its own; other rooms' tests get none."""
    if Path(__file__).parent not in item.path.parents:
        return (yield)
    import huggingface_hub.constants  # noqa: F401 - it reads them once, when it is imported

    before = dict(os.environ)
    try:
        return (yield)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny checkpoint; not to be written to."""
    if MISSING:
        pytest.skip(SKIP)
    folder = tmp_path_factory.mktemp("tiny")
    return lambda family: checkpoint_of(folder / family, family)


@pytest.fixture(scope="session")
def bundled_product(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Target, str], Product]:
    """A product of the bundled checkpoint, in a format and precision; not to be written to."""
    home = tmp_path_factory.mktemp("products")
    return lambda to, precision: product_of(BUNDLED, to, precision, home)
