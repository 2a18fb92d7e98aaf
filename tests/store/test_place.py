from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.store.place import link_elsewhere, link_equal


def test_what_lies_elsewhere_is_linked_to_its_real_place(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"w")
    (tmp_path / "snapshot").symlink_to("blob")
    target = tmp_path / "store" / "sub" / "m.gguf"
    assert link_elsewhere(tmp_path / "snapshot", target, pytest.fail) == tmp_path / "blob"
    assert target.readlink() == tmp_path / "blob"
    assert target.read_bytes() == b"w"


def test_what_lies_in_the_store_gets_a_second_name(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"w")
    assert link_equal(tmp_path / "one", tmp_path / "sub" / "two", pytest.fail) is None
    assert (tmp_path / "one").samefile(tmp_path / "sub" / "two")
    assert not (tmp_path / "sub" / "two").is_symlink()


def test_a_link_in_the_store_is_linked_to_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"w")
    (tmp_path / "one").symlink_to(tmp_path / "real")
    assert link_equal(tmp_path / "one", tmp_path / "two", pytest.fail) == tmp_path / "real"


def test_where_links_cannot_be_made_a_copy_is_and_is_told(tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108 - the usual second file system
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    (tmp_path / "one").write_bytes(b"weights")
    target = other / f"assay-test-{os.getpid()}"
    notes: list[str] = []
    try:
        assert link_equal(tmp_path / "one", target, notes.append) is None
        assert target.read_bytes() == b"weights"
        assert not target.is_symlink()
    finally:
        target.unlink(missing_ok=True)
    assert len(notes) == 1
    assert "copied" in notes[0]
    assert "7 bytes" in notes[0]


def test_a_source_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link_elsewhere(tmp_path / "gone", tmp_path / "m", pytest.fail)
