from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec import structs

from assay.errors import UnknownModel
from assay.store import Store, slug
from assay.types import File, Stored
from tests.store.conftest import keep


def test_an_empty_store_holds_nothing_and_is_not_made(store: Store) -> None:
    assert store.list() == []
    assert store.problems() == []
    assert store.find("m:q4") is None
    assert store.holders("m:q4") == []
    assert not store.folder.exists()


def test_what_is_put_is_listed_and_found_without_regard_to_case(store: Store) -> None:
    first, second = keep(store, "Zeta:Q4", {"z.gguf": b"z"}), keep(store, "alpha", {"a.gguf": b"a"})
    assert store.list() == [second, first]
    assert store.find("ZETA:q4") == first
    assert Store(store.folder).find("zeta:Q4") == first


def test_damaged_and_newer_records_are_told_and_the_rest_is_listed(store: Store) -> None:
    good = keep(store, "good", {"a.gguf": b"a"})
    (store.layout.records / "bad.json").write_bytes(b"{")
    (store.layout.records / "late.json").write_bytes(b'{"schema": 99, "stored": {}}')
    (store.layout.records / ".half.new").write_bytes(b"{")
    assert store.list() == [good]
    first, second = store.problems()
    assert "bad.json cannot be read" in first
    assert "newer Assay" in second
    assert store.find("bad") is None


@pytest.mark.parametrize(
    ("form", "names", "entry"),
    [
        ("gguf", ["m.gguf"], "m.gguf"),
        ("gguf", ["m-00002-of-00002.gguf", "m-00001-of-00002.gguf"], "m-00001-of-00002.gguf"),
        ("gguf", ["mmproj-m.gguf", "sub/zm.gguf"], "sub/zm.gguf"),
        ("gguf", ["mmproj-m.gguf"], "mmproj-m.gguf"),
        ("gguf", ["blob"], "blob"),
        ("onnx", ["genai_config.json", "model.onnx"], ""),
        ("safetensors", ["model.safetensors"], ""),
    ],
)
def test_a_placed_variant_has_the_path_that_engines_open(
    store: Store,
    form: str,
    names: list[str],
    entry: str,
) -> None:
    stored = keep(store, "m:q4", dict.fromkeys(names, b"x"))
    changed = structs.replace(stored, variant=structs.replace(stored.variant, format=form))
    placed = store.placed(changed)
    assert placed.path == str(store.folder_of("m:q4") / entry)
    assert Path(placed.path).is_absolute()
    assert Path(placed.path).exists()


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store(Path("models")).folder == tmp_path / "models"


def test_dropping_takes_record_and_files_and_leaves_what_lies_elsewhere(store: Store, tmp_path: Path) -> None:
    stored = keep(store, "m:q4", {"a.gguf": b"a"})
    other = keep(store, "m:q8", {"a.gguf": b"b"})
    outside = tmp_path / "outside.gguf"
    outside.write_bytes(b"mine")
    (store.folder_of("m:q4") / "b.gguf").symlink_to(outside)
    (store.folder_of("m:q4") / "folder").symlink_to(tmp_path)
    store.drop("M:q4")
    assert store.list() == [other]
    assert not store.folder_of(stored.variant.id).exists()
    assert outside.read_bytes() == b"mine"
    store.drop("m:q4")


def test_using_marks_and_touches(store: Store) -> None:
    keep(store, "m:q4", {"a.gguf": b"a"})
    with store.hold("M:Q4"), store.hold("m:q4"):
        (holder,) = store.holders("m:q4")
        assert holder.pid == os.getpid()
        found = store.find("m:q4")
        assert found is not None
        assert found.used is not None
        assert found.used >= holder.since
    assert store.holders("m:q4") == []
    assert not (store.layout.in_use / slug("m:q4")).exists()


def test_what_is_not_here_cannot_be_used(store: Store) -> None:
    with pytest.raises(UnknownModel, match="m:q4 is not on this machine"), store.hold("m:q4"):
        pass
    assert store.holders("m:q4") == []


def test_a_mark_goes_when_the_use_ends_with_an_error(store: Store) -> None:
    keep(store, "m:q4", {"a.gguf": b"a"})
    with pytest.raises(ZeroDivisionError), store.hold("m:q4"):
        raise ZeroDivisionError
    assert store.holders("m:q4") == []


class TestDisk:
    def disk(self, store: Store, stored: Stored) -> tuple[int, int]:
        return store.disk(stored)

    def test_own_files_are_what_removing_frees(self, store: Store) -> None:
        assert self.disk(store, keep(store, "m:q4", {"a.gguf": b"12345", "b.json": b"67"})) == (7, 0)

    def test_links_stay(self, store: Store, tmp_path: Path) -> None:
        stored = keep(store, "m:q4", {"a.gguf": b"12345", "b.gguf": b"678", "c.gguf": b"9"})
        folder = store.folder_of("m:q4")
        (tmp_path / "real").write_bytes(b"12345")
        (folder / "a.gguf").unlink()
        (folder / "a.gguf").symlink_to(tmp_path / "real")
        (tmp_path / "second").hardlink_to(folder / "b.gguf")
        assert self.disk(store, stored) == (1, 8)
        (tmp_path / "real").unlink()
        assert self.disk(store, stored) == (1, 3)

    def test_two_names_in_one_variant_are_freed_together(self, store: Store) -> None:
        stored = keep(store, "m:q4", {"a.json": b"{}"})
        folder = store.folder_of("m:q4")
        (folder / "b.json").hardlink_to(folder / "a.json")
        files = (*stored.variant.files, File(path="b.json", size=2))
        stored = structs.replace(stored, variant=structs.replace(stored.variant, files=files))
        assert self.disk(store, stored) == (2, 0)


def test_many_are_listed_by_id(store: Store) -> None:
    for number in range(50):
        keep(store, f"{'Mm'[number % 2]}{number}:q4", {})
    ids = [stored.variant.id for stored in store.list()]
    assert len(ids) == 50
    assert ids == sorted(ids, key=str.casefold)
