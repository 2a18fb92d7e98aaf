"""Plain tables: aligned, cut only where a width is given, and safe with text from elsewhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.report.columns import columns, shown_width

rows_of_three = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30)), max_size=6)


def test_columns_are_aligned_and_numbers_to_the_right() -> None:
    assert columns(("Alias", "Size"), [("a", "1 MB"), ("long name", "20 MB")], right=[1]) == [
        "Alias       Size",
        "a           1 MB",
        "long name  20 MB",
    ]


def test_the_widest_column_is_cut_first() -> None:
    lines = columns(("A", "B"), [("short", "x" * 50)], width=30)
    assert lines[1] == "short  " + "x" * 22 + "…"


@given(rows=rows_of_three, width=st.integers(40, 100))
def test_no_line_is_wider_than_asked(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = columns(("one", "two", "three"), rows, width=width)
    assert len(lines) == len(rows) + 1
    assert all(shown_width(line) <= width for line in lines)


@given(rows=rows_of_three)
def test_without_a_width_nothing_is_cut_and_nothing_breaks_the_line(rows: list[tuple[str, str, str]]) -> None:
    lines = columns(("one", "two", "three"), rows)
    assert len(lines) == len(rows) + 1
    assert not any("\n" in line or "\x1b" in line for line in lines)


def test_wide_characters_take_two_cells() -> None:
    lines = columns(("名前", "b"), [("x", "y")])
    assert [line.index("b" if n == 0 else "y") + (2 if n == 0 else 0) for n, line in enumerate(lines)] == [6, 6]
