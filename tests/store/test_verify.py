from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec import structs

from assay.errors import UnknownModel
from assay.store import Store
from assay.store.verify import CheckedFile, check, verify
from assay.types import File, Silent, Stored
from tests.store import as_nobody
from tests.store.conftest import blob, keep, offer
from tests.store.foreign_folders import sha256


class Bar(Silent):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.seen: list[tuple[int, int, str]] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def progress(self, done: int, total: int, text: str = "") -> None:
        self.seen.append((done, total, text))


def states(store: Store, id_: str) -> dict[str, str]:
    (checked,) = verify(store, [id_], Silent())
    return {file.path: file.state for file in checked.files}


def test_what_is_right_is_noted_in_the_record_with_the_time(store: Store) -> None:
    keep(store, "a:q4", {"a.gguf": b"a" * 10, "sub/b": b"b" * 5})
    keep(store, "b:q4", {"c.gguf": b"c"})
    bar = Bar()
    first, second = verify(store, None, bar)
    assert (first.id, first.ok, second.id, second.ok) == ("a:q4", True, "b:q4", True)
    assert first.files == (CheckedFile("a.gguf", "ok"), CheckedFile("sub/b", "ok"))
    assert bar.stages == ["Hashing 2 models"]
    assert [(done, total) for done, total, _ in bar.seen] == [(10, 16), (15, 16), (16, 16)]
    for stored in store.list():
        assert stored.verified is not None
        assert structs.replace(stored, verified=None).origin == "download"


def test_every_fault_is_told_by_file_and_nothing_is_deleted(store: Store, tmp_path: Path) -> None:
    content = {name: name.encode() * 9 for name in ("right", "flipped", "short", "missing", "gone", "loop")}
    stored = keep(store, "m:q4", content)
    folder = store.folder_of("m:q4")
    (folder / "flipped").write_bytes(b"F" + content["flipped"][1:])
    (folder / "short").write_bytes(b"s")
    (folder / "missing").unlink()
    for name, target in (("gone", tmp_path / "nowhere"), ("loop", folder / "loop")):
        (folder / name).unlink()
        (folder / name).symlink_to(target)
    before = sorted(folder.iterdir())
    (checked,) = verify(store, ["M:Q4"], Silent())
    assert not checked.ok
    assert checked.files == (
        CheckedFile("right", "ok"),
        CheckedFile("flipped", "damaged", sha256(content["flipped"]), sha256(b"F" + content["flipped"][1:])),
        CheckedFile("short", "size differs", "45", "1"),
        CheckedFile("missing", "missing"),
        CheckedFile("gone", "link target gone"),
        CheckedFile("loop", "unreadable"),
    )
    assert [file.path for file in checked.damaged] == ["flipped", "short", "missing", "gone", "loop"]
    assert sorted(folder.iterdir()) == before
    assert store.find("m:q4") == stored


def test_a_git_name_is_as_good_as_a_sha256_and_nothing_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    assert check(tmp_path / "f", File(path="f", git_sha1=blob(b"content"))).state == "ok"
    assert check(tmp_path / "f", File(path="f", git_sha1=blob(b"Content"))).state == "damaged"
    assert check(tmp_path / "f", File(path="f", size=7)).state == "unknown"
    assert check(tmp_path / "f", File(path="f", sha256=sha256(b"content").upper())).state == "ok"


def test_a_variant_whose_hashes_nobody_told_does_not_count_as_verified(store: Store) -> None:
    keep(store, "m:q4", {"f": b"x"})
    store.put(
        Stored(variant=offer("m:q4", {"f": b"x"}, untold=("f",)), added="2026-01-01T00:00:00Z", origin="download")
    )
    (checked,) = verify(store, None, Silent())
    assert (checked.ok, checked.damaged) == (False, ())
    stored = store.find("m:q4")
    assert stored is not None
    assert stored.verified is None


def test_an_id_that_is_not_here_is_told_before_anything_is_hashed(store: Store) -> None:
    keep(store, "m:q4", {"f": b"x"})
    bar = Bar()
    with pytest.raises(UnknownModel, match="nothing:q4"):
        verify(store, ["m:q4", "nothing:q4"], bar)
    assert bar.seen == []
    assert verify(Store(store.folder / "empty"), None, bar) == []


def test_a_linked_file_is_read_where_it_lies(store: Store, tmp_path: Path) -> None:
    keep(store, "m:q4", {"f": b"content"})
    path = store.folder_of("m:q4") / "f"
    path.rename(tmp_path / "there")
    path.symlink_to(tmp_path / "there")
    assert states(store, "m:q4") == {"f": "ok"}
    (tmp_path / "there").write_bytes(b"cONTENT")
    assert states(store, "m:q4") == {"f": "damaged"}


def test_a_record_that_is_taken_away_meanwhile_does_not_come_back(store: Store) -> None:
    keep(store, "m:q4", {"f": b"content"})

    class Remover(Silent):
        def progress(self, _done: int, _total: int, _text: str = "") -> None:
            store.drop("m:q4")

    (checked,) = verify(store, None, Remover())
    assert checked.ok
    assert store.list() == []
    assert os.listdir(store.layout.records) == []  # noqa: PTH208


def test_files_without_rights_are_told_of() -> None:
    imports = """
import sys
from pathlib import Path
from assay.store import Store
from assay.store.verify import verify
from assay.types import Silent
"""
    script = "print([file.state for file in verify(Store(Path(sys.argv[1])), None, Silent())[0].files])"
    with as_nobody.open_folder() as folder:
        store = Store(folder)
        keep(store, "m:q4", {"f": b"content", "sub/g": b"more"})
        (store.folder_of("m:q4") / "f").chmod(0)
        (store.folder_of("m:q4") / "sub").chmod(0)
        ended = as_nobody.run(imports, script, folder)
        (store.folder_of("m:q4") / "sub").chmod(0o755)
    assert ended.stdout == "['unreadable', 'unreadable']\n", ended.stderr
