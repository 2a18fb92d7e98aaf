from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from assay.errors import (
    DownloadFailed,
    HubBusy,
    HubError,
    HubRefused,
    NoRoom,
    StoreError,
    VariantInUse,
)
from assay.store import Store, fetch, slug
from assay.store.obtain import Obtaining, Want
from assay.store.room import needed
from assay.types import File, RemoteFile
from tests.store.conftest import FILES, Shelf, Told, blob, content_of, keep, leftovers, offer


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_variant_comes_whole(store: Store, told: Told) -> None:
    shelf = Shelf(m=FILES | {"another.gguf": b"not needed"})
    (stored,) = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
    assert store.list() == [stored]
    assert content_of(store, stored) == FILES
    assert sorted(shelf.asked) == sorted((path, 0) for path in FILES)
    assert leftovers(store) == []
    assert (stored.origin, stored.links, stored.variant.path) == ("download", {}, None)
    assert stored.verified is not None
    assert told.done == {path: (len(content), len(content)) for path, content in FILES.items()}
    assert store.placed(stored).path == str(store.folder_of("m:q4") / "m-00001-of-00002.gguf")


def test_what_is_here_is_not_fetched_again(store: Store, told: Told) -> None:
    shelf = Shelf(m=FILES)
    first = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
    assert fetch(store, [offer("M:Q4", FILES, revision="r2")], Shelf(), transfers=told) == first


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_what_lacks_a_file_is_mended(store: Store, told: Told, damage: str) -> None:
    shelf = Shelf(m=FILES)
    fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
    file = store.folder_of("m:q4") / "m-00002-of-00002.gguf"
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"secon")
    shelf.asked.clear()
    (again,) = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
    assert content_of(store, again) == FILES
    assert shelf.asked == [("m-00002-of-00002.gguf", 0)]
    assert leftovers(store) == []


def test_files_below_a_folder_of_the_repository(store: Store, told: Told) -> None:
    shelf = Shelf(m={"onnx/cpu/model.onnx": b"graph", "onnx/cpu/sub/a.json": b"[]"})
    variant = structs.replace(
        offer("m:int4", {"model.onnx": b"graph", "sub/a.json": b"[]"}), folder="onnx/cpu", format="onnx"
    )
    (stored,) = fetch(store, [variant], shelf, transfers=told)
    assert content_of(store, stored) == {"model.onnx": b"graph", "sub/a.json": b"[]"}


def test_a_file_with_a_git_name_only_is_checked_by_it(store: Store, told: Told) -> None:
    variant = offer("m:q4", FILES, git=("config.json",))
    (stored,) = fetch(store, [variant], Shelf(m=FILES), transfers=told)
    config = next(file for file in stored.variant.files if file.path == "config.json")
    assert config == File(path="config.json", size=2, sha256=sha(b"{}"), git_sha1=blob(b"{}"))


def test_a_file_that_does_not_have_its_git_name_is_refused(store: Store, told: Told) -> None:
    changed = Shelf(m=FILES | {"config.json": b"[]"})
    with pytest.raises(DownloadFailed, match=r"config\.json") as caught:
        fetch(store, [offer("m:q4", FILES, git=("config.json",))], changed, transfers=told)
    assert caught.value.why == f"expected git blob {blob(b'{}')}, found {blob(b'[]')}"
    assert store.list() == []


def test_a_file_of_which_nothing_is_told_is_taken_and_told(store: Store, told: Told) -> None:
    (stored,) = fetch(store, [offer("m:q4", FILES, untold=("config.json",))], Shelf(m=FILES), transfers=told)
    config = next(file for file in stored.variant.files if file.path == "config.json")
    assert config == File(path="config.json", size=2, sha256=sha(b"{}"))
    assert [note for note in told.notes if "config.json" in note and sha(b"{}") in note]


def test_the_rest_of_a_part_is_fetched(store: Store, told: Told) -> None:
    variant = offer("m:q4", {"m.gguf": b"0123456789"})
    store.layout.partial.mkdir(parents=True)
    store.layout.part(sha(b"0123456789")).write_bytes(b"0123")
    shelf = Shelf(m={"m.gguf": b"0123456789"})
    (stored,) = fetch(store, [variant], shelf, transfers=told)
    assert shelf.asked == [("m.gguf", 4)]
    assert content_of(store, stored) == {"m.gguf": b"0123456789"}


@pytest.mark.parametrize(("part", "asked"), [(b"0123456789", []), (b"01234x6789", [0]), (b"0123456789ab", [0])])
def test_a_part_of_full_size_is_hashed_before_anything_is_asked(
    store: Store, told: Told, part: bytes, asked: list[int]
) -> None:
    store.layout.partial.mkdir(parents=True)
    store.layout.part(sha(b"0123456789")).write_bytes(part)
    shelf = Shelf(m={"m.gguf": b"0123456789"})
    (stored,) = fetch(store, [offer("m:q4", {"m.gguf": b"0123456789"})], shelf, transfers=told)
    assert [at for _, at in shelf.asked] == asked
    assert content_of(store, stored) == {"m.gguf": b"0123456789"}


@pytest.mark.parametrize("untold", [(), ("m.gguf",)], ids=["digest told", "nothing told"])
def test_a_part_of_an_older_revision_is_never_mixed_in(store: Store, told: Told, untold: tuple[str, ...]) -> None:
    old, new = {"m.gguf": b"old content"}, {"m.gguf": b"new content"}
    shelf = Shelf(m=old)
    shelf.cut_at = 5
    with pytest.raises(HubBusy):
        fetch(store, [offer("m:q4", old, untold=untold)], shelf, transfers=told)
    (part,) = store.layout.partial.iterdir()
    assert part.read_bytes() == b"old c"
    shelf = Shelf(m=new)
    (stored,) = fetch(store, [offer("m:q4", new, revision="r2", untold=untold)], shelf, transfers=told)
    assert shelf.asked == [("m.gguf", 0)]
    assert content_of(store, stored) == new
    assert leftovers(store) == [part.name]


def test_a_new_revision_takes_the_place_of_the_old_one(store: Store, told: Told) -> None:
    new = FILES | {"config.json": b'{"new": 1}'}
    fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)
    shelf = Shelf(m=new)
    (stored,) = fetch(store, [offer("m:q4", new, revision="r2")], shelf, transfers=told)
    assert shelf.asked == [("config.json", 0)]
    assert content_of(store, stored) == new
    assert stored.variant.revision == "r2"
    assert store.list() == [stored]
    assert leftovers(store) == []


def test_an_old_revision_in_use_stays(store: Store, told: Told) -> None:
    fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)
    new = FILES | {"config.json": b"[]"}
    with store.hold("m:q4"), pytest.raises(VariantInUse, match=f"process {os.getpid()}"):
        fetch(store, [offer("m:q4", new, revision="r2")], Shelf(m=new), transfers=told)
    (stored,) = store.list()
    assert content_of(store, stored) == FILES
    shelf = Shelf()
    (stored,) = fetch(store, [offer("m:q4", new, revision="r2")], shelf, transfers=told)
    assert content_of(store, stored) == new
    assert leftovers(store) == []


def test_another_model_of_that_name_is_not_replaced(store: Store, told: Told) -> None:
    mine = structs.replace(keep(store, "m:q4", {"m.gguf": b"mine"}), origin="import")
    store.put(mine)
    with pytest.raises(StoreError, match="another model is here"):
        fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)
    assert store.list() == [mine]
    assert content_of(store, mine) == {"m.gguf": b"mine"}


def test_a_file_of_which_nothing_is_told_comes_anew_with_each_revision(store: Store, told: Told) -> None:
    old, new = FILES | {"config.json": b"[]"}, FILES
    fetch(store, [offer("m:q4", old, untold=("config.json",))], Shelf(m=old), transfers=told)
    shelf = Shelf(m=new)
    (stored,) = fetch(store, [offer("m:q4", new, untold=("config.json",), revision="r2")], shelf, transfers=told)
    assert shelf.asked == [("config.json", 0)]
    assert content_of(store, stored) == new


def test_what_a_killed_process_left_is_taken_where_it_can_be_checked(store: Store, told: Told) -> None:
    """Of another revision, and with one file damaged: all have the right size."""
    fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)
    store.layout.record(slug("m:q4")).unlink()
    (store.folder_of("m:q4") / "m-00001-of-00002.gguf").write_bytes(b"first p#rt")
    (store.folder_of("m:q4") / "config.json").write_bytes(b"[]")
    shelf = Shelf(m=FILES)
    variant = offer("m:q4", FILES, untold=("config.json",), revision="r2")
    sized = [file if file.sha256 else structs.replace(file, size=2) for file in variant.files]
    (stored,) = fetch(store, [structs.replace(variant, files=tuple(sized))], shelf, transfers=told)
    assert sorted(shelf.asked) == [("config.json", 0), ("m-00001-of-00002.gguf", 0)]
    assert content_of(store, stored) == FILES
    assert leftovers(store) == []


class TestWrongBytes:
    def test_they_are_fetched_once_more(self, store: Store, told: Told) -> None:
        shelf = Shelf(m=FILES)
        shelf.wrong["config.json"] = 1
        (stored,) = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
        assert content_of(store, stored) == FILES
        assert shelf.asked.count(("config.json", 0)) == 2
        assert any("once more" in note for note in told.notes)

    def test_twice_is_an_error_that_names_both(self, store: Store, told: Told) -> None:
        shelf = Shelf(m=FILES)
        shelf.wrong["config.json"] = 2
        with pytest.raises(DownloadFailed, match=r"config\.json of org/m") as caught:
            fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
        assert caught.value.why == f"expected SHA-256 {sha(b'{}')}, found {sha(b'{|')}"
        assert shelf.asked.count(("config.json", 0)) == 2
        assert store.list() == []
        assert f"{sha(b'{}')}.part" not in leftovers(store)

    def test_a_wrong_size_is_wrong(self, store: Store, told: Told) -> None:
        variant = offer("m:q4", {"m.gguf": b"12345"})
        file = structs.replace(variant.files[0], size=4)
        with pytest.raises(DownloadFailed) as caught:
            fetch(store, [structs.replace(variant, files=(file,))], Shelf(m={"m.gguf": b"12345"}), transfers=told)
        assert caught.value.why == "expected 4 bytes, found 5"


def test_without_a_commit_nothing_is_asked_for(store: Store, told: Told) -> None:
    """A branch may mean other files for each of them."""
    shelf = Shelf(m=FILES)
    with pytest.raises(DownloadFailed, match="cannot be downloaded"):
        fetch(store, [structs.replace(offer("m:q4", FILES), revision=None)], shelf, transfers=told)
    assert shelf.asked == []


class TestRoom:
    def test_it_is_looked_at_before_anything_is_fetched(self, store: Store, told: Told) -> None:
        variant = offer("m:q4", FILES)
        files = (structs.replace(variant.files[0], size=10**18), *variant.files[1:])
        shelf = Shelf(m=FILES)
        with pytest.raises(NoRoom, match=r"m:q4: .* GB are needed and .* are free in .*models"):
            fetch(store, [structs.replace(variant, files=files)], shelf, transfers=told)
        assert shelf.asked == []

    def test_what_is_here_elsewhere_or_partial_needs_none(self, store: Store, told: Told, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_bytes(b"12345")
        store.layout.partial.mkdir(parents=True)
        store.layout.part("part").write_bytes(b"123")
        known = {"a" * 64: tmp_path / "elsewhere", "b" * 64: tmp_path / "gone"}
        obtaining = Obtaining(store, Shelf(), told, known, {"out": tmp_path / "elsewhere"})

        def need(key: str, file: File) -> int:
            source = RemoteFile(repo="org/m", revision="r1", path=file.path, file=file)
            return needed([obtaining.wanted(Want(key, file.path, source))])

        assert need("here", File(path="f", size=5, sha256="A" * 64)) == 0
        assert need("gone", File(path="f", size=5, sha256="b" * 64)) == 5
        assert need("out", File(path="f", size=5, git_sha1="c" * 40)) == 0
        assert need("out", File(path="f", size=6, git_sha1="c" * 40)) == 6
        assert need("out", File(path="f", size=5)) == 5
        assert need("part", File(path="f", size=5, sha256="d" * 64)) == 2
        assert need("none", File(path="f")) == 0

    def test_a_disk_that_fills_up_is_told_as_such(self, store: Store, told: Told) -> None:
        shelf = Shelf(m=FILES)

        def full(path: str) -> None:
            if path == "config.json":
                raise OSError(errno.ENOSPC, "No space left on device")

        shelf.act = full
        with pytest.raises(NoRoom, match=r"config\.json cannot be written") as caught:
            fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
        assert caught.value.why == "No space left on device"
        assert store.list() == []

    def test_a_folder_that_is_a_file_is_told(self, tmp_path: Path, told: Told) -> None:
        (tmp_path / "models").touch()
        with pytest.raises(StoreError):
            fetch(Store(tmp_path / "models"), [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told)


def refusing(*repositories: str) -> Callable[[str], None]:
    def act(path: str) -> None:
        if path in repositories:
            raise HubRefused(f"{path} is gated", why="terms", remedy="agree to them")

    return act


class TestSeveral:
    def test_one_that_fails_does_not_stop_the_others(self, store: Store, told: Told) -> None:
        shelf = Shelf(a={"a.gguf": b"a"}, b={"b.gguf": b"b"}, c={"c.gguf": b"c"})
        shelf.act = refusing("b.gguf")
        variants = [offer("a:q4", {"a.gguf": b"a"}), offer("b:q4", {"b.gguf": b"b"}), offer("c:q4", {"c.gguf": b"c"})]
        with pytest.raises(HubRefused, match=r"1 of 3 models could not be fetched; the others are here") as caught:
            fetch(store, variants, shelf, transfers=told)
        assert caught.value.why == "b:q4: b.gguf is gated (terms)"
        assert caught.value.remedy == "agree to them"
        assert [stored.variant.id for stored in store.list()] == ["a:q4", "c:q4"]

    def test_errors_of_several_kinds_become_the_kind_that_all_are(self, store: Store, told: Told) -> None:
        shelf = Shelf(a={"a.gguf": b"a"}, b={"b.gguf": b"b"})
        shelf.act = refusing("b.gguf")
        shelf.wrong["a.gguf"] = 2
        variants = [offer("a:q4", {"a.gguf": b"a"}), offer("b:q4", {"b.gguf": b"b"})]
        with pytest.raises(HubError) as caught:
            fetch(store, variants, shelf, transfers=told)
        assert type(caught.value) is HubError
        assert caught.value.why is not None
        assert "a:q4: a.gguf of org/a" in caught.value.why
        assert "b:q4: b.gguf is gated" in caught.value.why

    def test_a_file_that_fails_stops_the_others_of_its_variant_only(self, store: Store, told: Told) -> None:
        shelf = Shelf(a={"1": b"one", "2": b"two", "3": b"three"}, b={"2": b"two"})
        shelf.act = refusing("1")
        variants = [offer("a:q4", {"1": b"one", "2": b"two", "3": b"three"}), offer("b:q4", {"2": b"two"})]
        with pytest.raises(HubRefused):
            fetch(store, variants, shelf, transfers=told, parallel=1)
        assert {path for path, _ in shelf.asked} == {"1", "2"}
        assert [stored.variant.id for stored in store.list()] == ["b:q4"]

    def test_a_refused_path_stops_its_variant_only(self, store: Store, told: Told) -> None:
        shelf = Shelf(a={"../evil": b"a"}, b={"b.gguf": b"b"})
        with pytest.raises(DownloadFailed, match="1 of 2"):
            fetch(store, [offer("a:q4", {"../evil": b"a"}), offer("b:q4", {"b.gguf": b"b"})], shelf, transfers=told)
        assert shelf.asked == [("b.gguf", 0)]
        assert not (store.layout.files / "evil").exists()

    def test_the_same_one_twice_is_one(self, store: Store, told: Told) -> None:
        assert (
            len(fetch(store, [offer("m:q4", FILES), offer("M:Q4", FILES)], Shelf(m=FILES, M=FILES), transfers=told))
            == 1
        )


@pytest.mark.parametrize(
    "change",
    [
        {"source": "https://example.org/m"},
        {"files": ()},
        {"folder": ".."},
        {"files": (File(path="m", sha256="../../x"),)},
        {"files": (File(path="m", git_sha1="main"),)},
    ],
)
def test_what_is_no_offer_of_a_hub_is_refused(store: Store, told: Told, change: dict[str, Any]) -> None:
    with pytest.raises(DownloadFailed):
        fetch(store, [structs.replace(offer("m:q4", FILES), **change)], Shelf(m=FILES), transfers=told)
    assert not store.folder.exists()


def test_what_another_process_placed_meanwhile_is_taken_as_it_is(store: Store) -> None:
    lock = contextlib.ExitStack()
    lock.enter_context(store.lock("m:q4"))
    placed = []

    class Placing(Told):
        def note(self, text: str, /) -> None:
            placed.append(keep(store, "m:q4", FILES))
            lock.close()

    assert fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=Placing()) == placed
    assert store.list() == placed


class TestStopping:
    def test_a_stop_keeps_what_has_come_and_lists_nothing(self, store: Store, told: Told) -> None:
        shelf, cancelled = Shelf(m=FILES), threading.Event()
        shelf.slow = "m-00002-of-00002.gguf"

        def stop() -> None:
            assert shelf.sending.wait(60)
            cancelled.set()

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(KeyboardInterrupt):
            fetch(store, [offer("m:q4", FILES)], shelf, transfers=told, cancelled=cancelled)
        stopper.join()
        assert store.list() == []
        assert store.layout.part(sha(b"second part")).read_bytes() == b"s"
        shelf.slow = None
        shelf.asked.clear()
        (stored,) = fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
        assert ("m-00002-of-00002.gguf", 1) in shelf.asked
        assert content_of(store, stored) == FILES

    def test_who_waits_to_place_files_can_be_stopped(self, store: Store) -> None:
        cancelled = threading.Event()

        class Stopping(Told):
            def note(self, text: str, /) -> None:
                super().note(text)
                cancelled.set()

        told = Stopping()
        with store.lock("m:q4"), pytest.raises(KeyboardInterrupt):
            fetch(store, [offer("m:q4", FILES)], Shelf(m=FILES), transfers=told, cancelled=cancelled)
        assert told.notes == [f"m:q4: waiting for process {os.getpid()}, which is placing the same files"]
        assert store.list() == []
        shelf = Shelf()
        fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
        assert shelf.asked == []

    def test_a_stop_before_the_start_asks_for_nothing(self, store: Store, told: Told) -> None:
        shelf, cancelled = Shelf(m=FILES), threading.Event()
        cancelled.set()
        with pytest.raises(KeyboardInterrupt):
            fetch(store, [offer("m:q4", FILES)], shelf, transfers=told, cancelled=cancelled)
        assert store.list() == []

    def test_an_error_that_nobody_foresaw_ends_everything(self, store: Store, told: Told) -> None:
        shelf = Shelf(m=FILES)
        shelf.slow = "m-00002-of-00002.gguf"

        def fail(path: str) -> None:
            if path == "config.json":
                raise ZeroDivisionError

        shelf.act = fail
        with pytest.raises(ZeroDivisionError):
            fetch(store, [offer("m:q4", FILES)], shelf, transfers=told)
        assert store.list() == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    files=st.dictionaries(st.sampled_from(["a", "b", "c", "d/e"]), st.binary(max_size=9), min_size=1),
    parts=st.lists(st.integers(0, 12), min_size=4, max_size=4),
    garble=st.lists(st.booleans(), min_size=4, max_size=4),
    wrong=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_whatever_lies_in_parts_and_comes_wrong_no_wrong_byte_is_accepted(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, bytes],
    parts: list[int],
    garble: list[bool],
    wrong: list[int],
) -> None:
    store, shelf = Store(tmp_path_factory.mktemp("store")), Shelf(m=files)
    store.layout.partial.mkdir(parents=True)
    for content, length, bad in zip(files.values(), parts, garble, strict=False):
        part = (content + b"beyond the end")[:length]
        store.layout.part(sha(content)).write_bytes(b"#" * len(part) if bad else part)
    shelf.wrong = {path: times for (path, content), times in zip(files.items(), wrong, strict=False) if content}
    try:
        (stored,) = fetch(store, [offer("m:q4", files)], shelf, transfers=Told())
    except DownloadFailed:
        assert store.list() == []
    else:
        assert content_of(store, stored) == files
        assert store.list() == [stored]
