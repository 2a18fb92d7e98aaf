from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from assay.errors import UnknownModel, VariantInUse
from assay.store import Store
from assay.store.remove import Removed, remove
from tests.store import as_nobody
from tests.store.conftest import keep
from tests.store.test_held import start


def test_what_is_removed_is_gone_and_tells_what_it_freed(store: Store) -> None:
    keep(store, "a:q4", {"a.gguf": b"a" * 10, "sub/b": b"b"})
    other = keep(store, "b:q4", {"b.gguf": b"b"})
    assert remove(store, ["A:q4"]) == [Removed("a:q4", 11)]
    assert store.list() == [other]
    assert not store.folder_of("a:q4").exists()


def test_links_go_and_what_they_point_at_stays(store: Store, tmp_path: Path) -> None:
    keep(store, "m:q4", {"own": b"own", "link": b"linked", "twin": b"twin"})
    folder = store.folder_of("m:q4")
    (folder / "link").rename(tmp_path / "there")
    (folder / "link").symlink_to(tmp_path / "there")
    (tmp_path / "twin").hardlink_to(folder / "twin")
    assert remove(store, ["m:q4"]) == [Removed("m:q4", 3)]
    assert (tmp_path / "there").read_bytes() == b"linked"
    assert (tmp_path / "twin").read_bytes() == b"twin"


def test_of_twins_in_the_store_the_last_one_frees(store: Store) -> None:
    for id_ in ("a:q4", "b:q4"):
        keep(store, id_, {"f": b"x" * 7})
    twin = store.folder_of("b:q4") / "f"
    twin.unlink()
    twin.hardlink_to(store.folder_of("a:q4") / "f")
    assert remove(store, [], everything=True) == [Removed("a:q4", 0), Removed("b:q4", 7)]
    assert store.list() == []


def test_everything_of_nothing_is_no_error(store: Store) -> None:
    assert remove(store, [], everything=True) == []
    assert remove(store, []) == []


def test_an_id_that_is_not_here_removes_nothing(store: Store) -> None:
    there = keep(store, "m:q4", {"f": b"x"})
    with pytest.raises(UnknownModel, match="nothing:q4"):
        remove(store, ["m:q4", "nothing:q4"])
    assert store.list() == [there]


@pytest.mark.parametrize("everything", [False, True])
def test_what_another_process_uses_is_refused_before_anything_goes(store: Store, everything: bool) -> None:
    for id_ in ("a:q4", "m:q4"):
        keep(store, id_, {"f": b"x"})
    with start(store) as other:
        with pytest.raises(VariantInUse, match="m:q4 is in use") as caught:
            remove(store, ["a:q4", "m:q4"], everything=everything)
        assert f"process {other.pid} (python" in str(caught.value.why)
        assert len(store.list()) == 2
        assert (store.folder_of("a:q4") / "f").read_bytes() == b"x"
        end(other)
    assert [removed.id for removed in remove(store, ["a:q4", "m:q4"], everything=everything)] == ["a:q4", "m:q4"]


def end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0


def test_what_a_killed_process_used_is_removed(store: Store) -> None:
    keep(store, "m:q4", {"f": b"x"})
    with start(store) as other:
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert remove(store, ["m:q4"]) == [Removed("m:q4", 1)]


def test_a_folder_without_rights_is_told_of_and_the_record_is_gone_first() -> None:
    imports = """
import shutil, sys
from pathlib import Path
from assay.errors import StoreError
from assay.store import Store
from assay.store.remove import remove
"""
    script = """
store = Store(Path(sys.argv[1]))
try:
    remove(store, ["m:q4"])
except StoreError as error:
    print(error.message, store.list())
"""
    with as_nobody.open_folder() as folder:
        store = Store(folder)
        keep(store, "m:q4", {"f": b"x"})
        for own in (folder / "records", folder):
            own.chmod(0o777)
        (folder / "records" / "m--q4.json").chmod(0o666)
        ended = as_nobody.run(imports, script, folder)
    assert ended.stdout == "m:q4 cannot be removed []\n", ended.stderr
