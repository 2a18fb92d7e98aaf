from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec import structs

from assay.errors import AssayError, BadInput, StoreError, VariantInUse
from assay.store import Store
from assay.store.move import HALF, WHOLE, move
from assay.store.part_lock import locked
from assay.types import Silent
from tests.store import as_nobody
from tests.store.conftest import content_of, keep
from tests.store.test_held import start


class Setting:
    """Where the user's setting points."""

    def __init__(self) -> None:
        self.folder: Path | None = None

    def __call__(self, folder: Path) -> None:
        self.folder = folder


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture
def full(store: Store, tmp_path: Path) -> Store:
    """A store with own files, a twin of one, a link out of it and one within, a part, and a lock that nobody holds."""
    keep(store, "a:q4", {"a.gguf": b"a" * 5000, "sub/b": b"b"})
    keep(store, "b:q4", {"a.gguf": b"a" * 5000, "link": b"linked", "inner": b"inner"})
    folder = store.folder_of("b:q4")
    (folder / "a.gguf").unlink()
    (folder / "a.gguf").hardlink_to(store.folder_of("a:q4") / "a.gguf")
    (folder / "link").rename(tmp_path / "there")
    (folder / "link").symlink_to(tmp_path / "there")
    (folder / "inner").rename(store.folder / "inner")
    (folder / "inner").symlink_to(store.folder / "inner")
    stored = store.find("b:q4")
    assert stored is not None
    links = {"link": str(tmp_path / "there"), "inner": str(store.folder / "inner")}
    store.put(structs.replace(stored, links=links))
    store.layout.partial.mkdir()
    store.layout.part("x").write_bytes(b"half")
    store.layout.locks.mkdir(exist_ok=True)
    (store.layout.locks / "stale.lock").write_text("1")
    return store


def contents(folder: Path) -> dict[str, dict[str, bytes]]:
    store = Store(folder)
    assert store.problems() == []
    return {stored.variant.id: content_of(store, stored) for stored in store.list()}


FULL = {
    "a:q4": {"a.gguf": b"a" * 5000, "sub/b": b"b"},
    "b:q4": {"a.gguf": b"a" * 5000, "link": b"linked", "inner": b"inner"},
}


def check_moved(new: Path, old: Path, tmp_path: Path) -> None:
    """All of it is in ``new``, and nothing is in ``old``."""
    assert contents(new) == FULL
    assert not old.exists()
    store = Store(new)
    stored = store.find("b:q4")
    assert stored is not None
    assert stored.links == {"link": str(tmp_path / "there"), "inner": str(new / "inner")}
    assert (store.folder_of("b:q4") / "inner").readlink() == new / "inner"
    assert (store.folder_of("b:q4") / "a.gguf").samefile(store.folder_of("a:q4") / "a.gguf")
    assert store.layout.part("x").read_bytes() == b"half"
    assert not (new / HALF).exists()
    assert not (new / WHOLE).exists()
    assert not list(new.rglob("*.moving"))


def test_on_one_file_system_the_folder_is_renamed(full: Store, tmp_path: Path, setting: Setting) -> None:
    new = tmp_path / "deep" / "new"
    (full.folder / WHOLE).write_text("what an earlier move left")
    inode = (full.folder_of("a:q4") / "a.gguf").stat().st_ino
    moved = move(full.folder, new, how="move", point=setting, reporter=Silent())
    assert (moved.folder, moved.how, moved.files) == (new, "renamed", 0)
    assert setting.folder == new
    assert (Store(new).folder_of("a:q4") / "a.gguf").stat().st_ino == inode
    check_moved(new, full.folder, tmp_path)


def test_to_another_file_system_all_is_copied(full: Store, other: Path, tmp_path: Path, setting: Setting) -> None:
    (other / "new").mkdir()
    times = {p.name: p.stat().st_mtime_ns for p in full.folder_of("a:q4").iterdir() if p.is_file()}
    moved = move(full.folder, other / "new", how="move", point=setting, reporter=Silent())
    assert (moved.how, setting.folder) == ("copied", other / "new")
    assert moved.files == 9
    for name, time in times.items():
        assert abs((Store(other / "new").folder_of("a:q4") / name).stat().st_mtime_ns - time) < 2e9
    check_moved(other / "new", full.folder, tmp_path)


MOVER = """
import sys, time
from pathlib import Path
from assay.store.move import move
from assay.types import Silent

class Stops(Silent):
    def __init__(self, at):
        self.at = at
    def progress(self, done, total, text=""):
        self.at -= 1
        if self.at == 0:
            print("stopped", flush=True)
            time.sleep(600)

def point(folder):
    Path(sys.argv[4]).write_text(str(folder))
    stops.progress(0, 0)

stops = Stops(int(sys.argv[3]))
move(Path(sys.argv[1]), Path(sys.argv[2]), how="move", point=point, reporter=stops)
print("through")
"""


@pytest.mark.parametrize("at", range(1, 8))
def test_a_killed_mover_loses_nothing_and_the_next_goes_on(
    full: Store, other: Path, tmp_path: Path, setting: Setting, at: int
) -> None:
    new, pointed = other / "new", tmp_path / "pointed"
    arguments = [str(full.folder), str(new), str(at), str(pointed)]
    with subprocess.Popen([sys.executable, "-c", MOVER, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        process.kill()
    now = Path(pointed.read_text()) if pointed.exists() else full.folder
    assert contents(now) == FULL, "what is looked at is whole at every moment"
    moved = move(now, new, how="move", point=setting, reporter=Silent())
    assert moved.how == "copied"
    check_moved(new, full.folder, tmp_path)


def test_once_the_setting_is_changed_only_the_old_folder_s_deletion_is_left(full: Store, other: Path) -> None:
    """Whatever of it was deleted, or came into the new folder, when the move was interrupted."""

    def point(folder: Path) -> None:
        assert contents(folder) == FULL
        assert contents(full.folder) == FULL
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(full.folder, other / "new", how="move", point=point, reporter=Silent())
    keep(Store(other / "new"), "late:q4", {"f": b"came after"})
    (full.layout.records / "a--q4.json").unlink()

    def never(_folder: Path) -> None:
        raise AssertionError

    move(other / "new", other / "new", how="move", point=never, reporter=Silent())
    assert contents(other / "new") == FULL | {"late:q4": {"f": b"came after"}}
    assert not full.folder.exists()


def test_what_comes_while_it_is_copied_is_copied_too(
    full: Store, other: Path, tmp_path: Path, setting: Setting
) -> None:
    class Arrival(Silent):
        def stage(self, _text: str) -> None:
            if full.find("late:q4") is None:
                keep(full, "late:q4", {"f": b"late"})

    move(full.folder, other / "new", how="move", point=setting, reporter=Arrival())
    assert contents(other / "new") == FULL | {"late:q4": {"f": b"late"}}
    assert not full.folder.exists()


def test_what_comes_into_use_meanwhile_keeps_the_old_folder(full: Store, other: Path, setting: Setting) -> None:
    with ExitStack() as held:

        class Start(Silent):
            def stage(self, _text: str) -> None:
                held.enter_context(full.hold("a:q4"))

        with pytest.raises(VariantInUse, match="a:q4 is in use"):
            move(full.folder, other / "new", how="move", point=setting, reporter=Start())
        assert setting.folder is None
    move(full.folder, other / "new", how="move", point=setting, reporter=Silent())
    assert contents(other / "new") == FULL


def test_what_comes_after_the_setting_was_changed_stays_where_it_is(full: Store, other: Path) -> None:
    def point(_folder: Path) -> None:
        keep(full, "late:q4", {"f": b"late"})

    move(full.folder, other / "new", how="move", point=point, reporter=Silent())
    assert contents(other / "new") == FULL
    assert contents(full.folder) == {"late:q4": {"f": b"late"}}


def test_a_copy_that_is_not_as_it_was_read_is_made_again(
    full: Store, other: Path, tmp_path: Path, setting: Setting
) -> None:
    """What an interrupted copy left under a final name counts only with the right size and time."""
    new = other / "new"
    target = Store(new).folder_of("a:q4") / "a.gguf"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"z" * 5000)
    os.utime(target, (1, 1))
    (target.parent / "sub").mkdir()
    (target.parent / "sub" / "b").write_bytes(b"bb")
    (new / HALF).write_text(str(full.folder))
    move(full.folder, new, how="move", point=setting, reporter=Silent())
    check_moved(new, full.folder, tmp_path)


def test_only_looking_elsewhere_leaves_the_old_folder(full: Store, tmp_path: Path, setting: Setting) -> None:
    for new in (tmp_path / "fresh", tmp_path / "empty", tmp_path / "store"):
        if new.name != "fresh":
            new.mkdir()
        if new.name == "store":
            keep(Store(new), "m:q4", {"f": b"x"})
        moved = move(full.folder, new, how="point", point=setting, reporter=Silent())
        assert (moved, setting.folder) == ((new, "pointed", 0, 0), new)
        assert new.is_dir()
    assert contents(full.folder) == FULL
    assert contents(tmp_path / "store") == {"m:q4": {"f": b"x"}}


def test_a_store_that_holds_nothing_needs_no_move(tmp_path: Path, setting: Setting) -> None:
    keep(Store(tmp_path / "there"), "m:q4", {"f": b"x"})
    for new in (tmp_path / "there", tmp_path / "fresh"):
        moved = move(tmp_path / "nowhere", new, how="move", point=setting, reporter=Silent())
        assert (moved.how, setting.folder) == ("pointed", new)


def test_a_linked_folder_is_kept_as_it_was_named(full: Store, tmp_path: Path, setting: Setting) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    move(full.folder, tmp_path / "link", how="move", point=setting, reporter=Silent())
    assert setting.folder == tmp_path / "link"
    assert contents(tmp_path / "link") == contents(tmp_path / "real") == FULL


def refusal(full: Store, new: Path, how: str = "move") -> AssayError:
    setting = Setting()
    with pytest.raises(AssayError) as caught:
        move(full.folder, new, how=how, point=setting, reporter=Silent())  # type: ignore[arg-type]
    assert setting.folder is None
    assert contents(full.folder) == FULL
    return caught.value


@pytest.mark.parametrize("how", ["move", "point"])
def test_places_that_cannot_be_are_refused(full: Store, tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.doc").write_bytes(b"mine")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / HALF).write_text("/somewhere/else")
    (tmp_path / "link").symlink_to(full.folder)
    for place, message in {
        full.folder: "already",
        tmp_path / "link": "already",
        tmp_path / "x" / ".." / "models": "already",
        full.folder / "below": "lies within",
        tmp_path / "link" / "below": "lies within",
        tmp_path: "it is not empty",
        tmp_path / "file": "is a file",
        tmp_path / "taken": "it is not empty",
        tmp_path / "half": "from /somewhere/else was interrupted",
    }.items():
        error = refusal(full, place, how)
        assert type(error) is BadInput, place
        assert message in str(error)
    assert (tmp_path / "taken" / "thesis.doc").read_bytes() == b"mine"


def test_two_stores_are_not_mixed(full: Store, tmp_path: Path) -> None:
    keep(Store(tmp_path / "store"), "m:q4", {"f": b"x"})
    assert "two stores are not mixed" in str(refusal(full, tmp_path / "store").why)
    assert contents(tmp_path / "store") == {"m:q4": {"f": b"x"}}


def test_what_is_in_use_or_just_coming_is_not_moved(full: Store, tmp_path: Path, setting: Setting) -> None:
    with locked(full.layout.lock("0123abcd")):
        error = refusal(full, tmp_path / "new")
        assert type(error) is VariantInUse
        assert "0123abcd" in str(error.why)
    keep(full, "m:q4", {"f": b"x"})
    with start(full) as process:
        with pytest.raises(VariantInUse, match="m:q4 is in use"):
            move(full.folder, tmp_path / "new", how="move", point=setting, reporter=Silent())
        assert setting.folder is None
        process.kill()
    move(full.folder, tmp_path / "new", how="move", point=setting, reporter=Silent())
    assert contents(tmp_path / "new") == FULL | {"m:q4": {"f": b"x"}}


def test_a_place_that_cannot_be_written_is_refused(full: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert type(refusal(full, tmp_path / "file" / "below")) is StoreError
    imports = """
import sys
from pathlib import Path
import psutil
from assay.errors import StoreError
from assay.store.move import move
from assay.types import Silent
"""
    script = """
old, new = map(Path, sys.argv[1:])
for how in ("move", "point"):
    try:
        move(old, new, how=how, point=print, reporter=Silent())
    except StoreError as error:
        print(error.message, error.why)
"""
    with as_nobody.open_folder() as folder:
        keep(Store(folder / "old"), "m:q4", {"f": b"x"})
        (folder / "new").mkdir(mode=0o755)
        ended = as_nobody.run(imports, script, folder / "old", folder / "new")
        assert ended.stdout == f"{folder / 'new'} cannot be written to Permission denied\n" * 2, ended.stderr
        assert contents(folder / "old") == {"m:q4": {"f": b"x"}}


LIMITED = """
import resource, signal, sys
from pathlib import Path
from assay.errors import NoRoom
from assay.store.move import move
from assay.types import Silent
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    move(Path(sys.argv[1]), Path(sys.argv[2]), how="move", point=print, reporter=Silent())
except NoRoom as error:
    print("no room:", error.remedy, error.message)
"""


def limited(old: Path, new: Path) -> subprocess.CompletedProcess[str]:
    """Move where no file may grow beyond 3,000 bytes."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(old), str(new)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_disk_that_fills_up_loses_nothing(full: Store, other: Path, tmp_path: Path, setting: Setting) -> None:
    new = other / "new"
    ended = limited(full.folder, new)
    assert ended.stdout.startswith("no room: nothing is lost"), ended.stderr
    assert contents(full.folder) == FULL
    assert not list(new.rglob("*.moving"))
    move(full.folder, new, how="move", point=setting, reporter=Silent())
    check_moved(new, full.folder, tmp_path)


def test_too_little_room_is_told_before_anything_is_copied(full: Store, other: Path) -> None:
    """In a process that cannot write much, so that this ends well whatever happens."""
    huge = full.folder_of("a:q4") / "a.gguf"
    with huge.open("r+b") as file:
        file.truncate(os.statvfs(other).f_bavail * os.statvfs(other).f_frsize + (1 << 20))
    ended = limited(full.folder, other / "new")
    assert "are needed and" in ended.stdout, ended.stderr
    assert [path.name for path in (other / "new").iterdir()] == [HALF]
