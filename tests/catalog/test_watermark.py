"""The time of the last look: read whatever lies there, moved forward only, written whole."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog.watermark import FIRST_LOOK, REMEMBERED, Watermark, move_watermark, read_watermark, start_of_look
from assay.errors import BadInput

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_look_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "discover.json"
    assert read_watermark(path) is None
    move_watermark(path, NOW, ["a/b", "c/d"])
    assert read_watermark(path) == Watermark(looked=NOW, ids=("a/b", "c/d"))
    assert [file.name for file in path.parent.iterdir()] == ["discover.json"]


def test_it_only_moves_forward(tmp_path: Path) -> None:
    path = tmp_path / "discover.json"
    move_watermark(path, NOW, ["a/b"])
    mark = move_watermark(path, NOW - timedelta(days=3), ["c/d", "a/b"])
    assert mark == read_watermark(path) == Watermark(looked=NOW, ids=("a/b", "c/d"))
    assert move_watermark(path, NOW + timedelta(days=1), []).looked == NOW + timedelta(days=1)


def test_the_oldest_ids_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "discover.json"
    move_watermark(path, NOW, ["old/one"])
    mark = move_watermark(path, NOW, [f"x/{number}" for number in range(REMEMBERED)])
    assert len(mark.ids) == REMEMBERED
    assert "old/one" not in mark.ids


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"looked": 3}', b"\xff\xfe", b'{"looked": "2026-11-01T00:00:00"}', b'{"ids": []}']
)
def test_a_damaged_file_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "discover.json"
    path.write_bytes(content)
    assert read_watermark(path) is None
    assert move_watermark(path, NOW, []).looked == NOW


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match=r"cannot be written") as caught:
        move_watermark(tmp_path / "file" / "discover.json", NOW, [])
    assert caught.value.remedy
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(BadInput, match=r"cannot be written"):
        move_watermark(tmp_path / "folder.json", NOW, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.json"]


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        (" 2 W ", NOW - timedelta(weeks=2)),
        ("0d", NOW),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T06:30", datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
        ("2026-11-01T06:30+02:00", datetime(2026, 11, 1, 4, 30, tzinfo=UTC)),
    ],
)
def test_since_as_people_write_it(text: str, when: datetime) -> None:
    assert start_of_look(text, Watermark(looked=NOW - timedelta(hours=1)), NOW) == when


@pytest.mark.parametrize(
    "text",
    ["", "7", "d", "-7d", "7m", "soon", "2026-13-01", "2027-01-01", "999999w", "1.5d", "0001-01-01T00:00:00+23:00"],
)
def test_since_that_says_nothing(text: str) -> None:
    with pytest.raises(BadInput, match=re.escape(repr(text))) as caught:
        start_of_look(text, None, NOW)
    assert "7d" in str(caught.value.remedy)


def test_without_words_the_last_look_counts() -> None:
    assert start_of_look(None, None, NOW) == NOW - FIRST_LOOK
    assert start_of_look(None, Watermark(looked=NOW - timedelta(days=40)), NOW) == NOW - timedelta(days=40)
    assert start_of_look(None, Watermark(looked=NOW + timedelta(days=40)), NOW) == NOW


@given(st.text())
def test_any_text_is_a_time_before_now_or_an_error(text: str) -> None:
    with suppress(BadInput):
        assert start_of_look(text, None, NOW) <= NOW
