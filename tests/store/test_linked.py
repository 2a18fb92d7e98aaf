"""Files that lie on this machine already, in the store or elsewhere, are linked and not fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.store import Store, fetch
from assay.types import File
from tests.store.conftest import FILES, Shelf, Told, content_of, leftovers, offer


class TestEqualContent:
    def test_it_is_linked_from_another_variant(self, store: Store, told: Told) -> None:
        (first,) = fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)
        shelf = Shelf(n={"n.gguf": b"other"})
        (second,) = fetch(store, [offer("n:q4", {"n.gguf": b"other", "n/config.json": b"{}"})], shelf, transfers=told)
        assert shelf.asked == [("n.gguf", 0)]
        assert (store.folder_of("m:q4") / "config.json").samefile(store.folder_of("n:q4") / "n/config.json")
        store.drop("m:q4")
        assert content_of(store, second) == {"n.gguf": b"other", "n/config.json": b"{}"}
        assert first not in store.list()

    def test_it_is_fetched_where_the_other_is_damaged(self, store: Store, told: Told) -> None:
        fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)
        (store.folder_of("m:q4") / "config.json").write_bytes(b"{|")
        shelf = Shelf(n=FILES)
        (second,) = fetch(store, [offer("n:q4", FILES)], shelf, transfers=told)
        assert shelf.asked == [("config.json", 0)]
        assert content_of(store, second) == FILES
        assert any("damaged" in note for note in told.notes)

    def test_one_content_under_two_names_comes_once(self, store: Store, told: Told) -> None:
        files = {"a.json": b"{}", "b.json": b"{}", "c/d.json": b"{}", "empty": b"", "e/empty": b""}
        shelf = Shelf(m=files)
        (stored,) = fetch(store, [offer("m:q4", files)], shelf, transfers=told)
        assert len(shelf.asked) == 2
        assert content_of(store, stored) == files
        assert store.disk(stored) == (2, 0)

    def test_several_variants_share_what_comes(self, store: Store, told: Told) -> None:
        shelf = Shelf(m=FILES, n=FILES)
        stored = fetch(store, [offer("m:q4", FILES), offer("n:q4", FILES)], shelf, transfers=told)
        assert len(shelf.asked) == 3
        assert [content_of(store, one) for one in stored] == [FILES, FILES]
        assert leftovers(store) == []


class TestElsewhere:
    def find(self, folder: Path) -> Callable[[File], Path | None]:
        def find(file: File) -> Path | None:
            path = folder / file.path
            return path if path.exists() and path.stat().st_size == file.size else None

        return find

    def test_what_lies_elsewhere_is_linked(self, store: Store, told: Told, tmp_path: Path) -> None:
        (tmp_path / "m-00001-of-00002.gguf").write_bytes(b"first part")
        shelf = Shelf(m=FILES)
        (stored,) = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told, find_elsewhere=self.find(tmp_path))
        assert {path for path, _ in shelf.asked} == {"m-00002-of-00002.gguf", "config.json"}
        assert stored.links == {"m-00001-of-00002.gguf": str(tmp_path / "m-00001-of-00002.gguf")}
        assert content_of(store, stored) == FILES
        assert store.disk(stored) == (13, 10)
        store.drop("m:q4")
        assert (tmp_path / "m-00001-of-00002.gguf").read_bytes() == b"first part"

    def test_it_is_linked_on_from_there_for_a_second_variant(self, store: Store, told: Told, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes(b"{}")
        fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told, find_elsewhere=self.find(tmp_path))
        (second,) = fetch(store, [offer("n:q4", FILES)], Shelf(), transfers=told)
        assert second.links == {"config.json": str(tmp_path / "config.json")}
        assert content_of(store, second) == FILES

    def test_what_only_looks_the_same_is_fetched(self, store: Store, told: Told, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes(b"[]")
        shelf = Shelf(m=FILES)
        (stored,) = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told, find_elsewhere=self.find(tmp_path))
        assert content_of(store, stored) == FILES
        assert stored.links == {}
        assert len(shelf.asked) == 3
        assert (tmp_path / "config.json").read_bytes() == b"[]"

    def test_what_cannot_be_checked_is_fetched(self, store: Store, told: Told, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes(b"{}")
        shelf = Shelf(m=FILES)
        variant = offer("m:q4", FILES, untold=("config.json",))
        (stored,) = fetch(store, [variant], shelf, transfers=told, find_elsewhere=lambda _: tmp_path / "config.json")
        assert ("config.json", 0) in shelf.asked
        assert "config.json" not in stored.links
