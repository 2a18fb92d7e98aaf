"""A room whose modules are imported when they are first used has a table of contents that holds."""

from __future__ import annotations

import importlib

import pytest

LAZY = ("app", "report", "serve")


@pytest.mark.parametrize("room", LAZY)
def test_every_name_of_the_table_is_there_and_no_other(room: str) -> None:
    table = importlib.import_module(f"assay.{room}")
    assert sorted(table._HOMES) == sorted(table.__all__) == sorted(set(table.__all__))
    for name in table.__all__:
        assert hasattr(table, name)
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        table.nobody  # noqa: B018 - the look is what is tested
