"""One service for each home: who holds the place, what a look tells, what a killed one leaves."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assay.disk import try_lock
from assay.errors import BadInput, ServiceRunning
from assay.serve import place as module
from assay.serve.keys import add
from assay.serve.place import Born, Place, ServiceState, born
from tests.waiting import until

TAKER = """
import sys, time
from pathlib import Path
from assay.errors import ServiceRunning
from assay.serve.place import Place, ServiceState
try:
    held = Place(Path(sys.argv[1])).take()
except ServiceRunning as error:
    print("refused", flush=True)
    sys.exit(3)
if sys.argv[2] == "told":
    held.tell(ServiceState(pid=held.own.pid, created=held.own.created, host="127.0.0.1", port=1, tls=False,
                           version="0", started="2026-01-01T00:00:00+00:00", log="log", admin_key="secret"))
print("holds", flush=True)
sys.stdin.read()
if sys.argv[2] == "close":
    held.close()
"""


def state_of(held_by: Born, **changed: object) -> ServiceState:
    facts: dict[str, object] = {
        "pid": held_by.pid,
        "created": held_by.created,
        "host": "127.0.0.1",
        "port": 5273,
        "tls": False,
        "version": "0.1.0",
        "started": "2026-01-01T00:00:00+00:00",
        "log": "service.log",
        "admin_key": "sesame",
        **changed,
    }
    return ServiceState(**facts)  # type: ignore[arg-type]


@contextlib.contextmanager
def taker(place: Place, how: str = "told") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that takes the place, and ends when the test has seen enough."""
    command = [sys.executable, "-c", TAKER, str(place.home), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() in {b"holds\n", b"refused\n"}
            yield process
        finally:
            process.kill()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


def test_a_home_without_a_service(place: Place) -> None:
    assert place.look().kind == "stopped"
    assert not place.folder.exists()


def test_from_the_first_moment_to_the_last(place: Place) -> None:
    with place.take() as held:
        standing = place.look()
        assert (standing.kind, standing.pid, standing.state) == ("starting", os.getpid(), None)
        held.tell(state_of(held.own))
        standing = place.look()
        assert standing.kind == "running"
        assert standing.state == state_of(held.own)
    assert place.look().kind == "stopped"
    assert not place.file.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="rights are kept otherwise there")
def test_nobody_else_can_read_the_key(place: Place) -> None:
    before = os.umask(0)
    try:
        with place.take() as held:
            held.tell(state_of(held.own))
            assert stat.S_IMODE(place.file.stat().st_mode) == 0o600
            assert stat.S_IMODE(place.lock.stat().st_mode) == 0o600
            assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert "sesame" not in repr(state_of(Born(1, 1.0)))


def test_a_second_one_is_refused_with_the_address_of_the_first(place: Place) -> None:
    with taker(place) as first:
        with pytest.raises(ServiceRunning) as caught:
            place.take()
        assert "http://127.0.0.1:1" in caught.value.message
        assert str(first.pid) in (caught.value.why or "")
        assert place.look().pid == first.pid


def test_a_second_one_is_refused_while_the_first_is_coming_up(place: Place) -> None:
    with taker(place, "silent"), pytest.raises(ServiceRunning, match="already starting"):
        place.take()


def test_of_many_at_once_one_gets_it(place: Place) -> None:
    command = [sys.executable, "-c", TAKER, str(place.home), "close"]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(6)]
    said = [process.stdout.readline() for process in started if process.stdout is not None]
    for process in started:
        process.communicate(timeout=30)
    assert sorted(said) == [b"holds\n", *[b"refused\n"] * 5]
    assert place.look().kind == "stopped"


@pytest.mark.parametrize("how", ["told", "silent"])
def test_one_that_was_killed_is_told_of_and_replaced_at_once(place: Place, how: str) -> None:
    with taker(place, how) as first:
        first.send_signal(signal.SIGKILL)
        first.wait(timeout=20)
    standing = place.look()
    assert standing.kind == ("killed" if how == "told" else "stopped")
    assert standing.pid is None
    if standing.state is not None:
        assert standing.state.pid == first.pid
    with place.take() as held:
        assert place.look().kind == "starting"
        assert not place.file.exists()
        held.tell(state_of(held.own))
    assert place.look().kind == "stopped"


def test_a_place_that_was_removed_and_made_again_is_not_the_first_ones_any_more(place: Place) -> None:
    first = place.take()
    first.tell(state_of(first.own))
    shutil.rmtree(place.home)
    first.tell(state_of(first.own))
    assert not place.home.exists()
    with place.take() as second:
        second.tell(state_of(second.own))
        told = place.file.read_bytes()
        first.tell(state_of(Born(1, 1.0)))
        assert place.file.read_bytes() == told
        first.close()
        assert place.look().kind == "running"
    assert place.look().kind == "stopped"


def test_a_state_without_a_lock_is_not_believed_whoever_has_its_number_now(place: Place) -> None:
    place.make()
    with place.take() as held:
        held.tell(state_of(held.own))
        kept, named = place.file.read_bytes(), place.lock.read_bytes()
    place.file.write_bytes(kept)
    place.lock.write_bytes(named)
    standing = place.look()
    assert standing.kind == "killed"
    assert standing.state is not None


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff\xfe", b'{"pid": "many"}'])
def test_a_file_of_rubbish_is_told_and_replaced(place: Place, rubbish: bytes) -> None:
    place.make()
    place.file.write_bytes(rubbish)
    standing = place.look()
    assert standing.kind == "killed"
    assert str(place.file) in (standing.problem or "")
    with place.take() as held:
        place.file.write_bytes(rubbish)
        assert place.look().kind == "starting"
        held.tell(state_of(held.own))
        assert place.look().kind == "running"


def test_rubbish_in_the_lock_is_nobody(place: Place) -> None:
    place.make()
    place.lock.write_bytes(b"not json")
    assert place.look().kind == "stopped"
    with place.take():
        assert place.look().pid == os.getpid()


def test_a_disk_without_locks_is_told_of(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    place.make()
    place.lock.write_bytes(b"")
    monkeypatch.setattr(module, "try_lock", none)
    assert place.look().kind == "stopped"
    with pytest.raises(BadInput, match=r"lock cannot be locked") as caught, place.take():
        pass
    assert "network drives know no locks" in str(caught.value.why)
    with pytest.raises(BadInput, match=r"keys\.json\.lock cannot be locked"):
        add(place.folder / "keys.json", "ines", now=datetime.now(UTC))


def test_somebody_who_looks_is_no_service_and_is_waited_for(place: Place) -> None:
    place.make()
    place.lock.write_bytes(b"")
    looking = os.open(place.lock, os.O_RDWR)
    assert try_lock(looking)
    assert place.look().kind == "stopped"
    timer = threading.Timer(0.1, os.close, (looking,))
    timer.start()
    with place.take():
        assert place.look().kind == "starting"
    timer.join()


def test_looks_do_not_disturb_one_another_or_the_service(place: Place) -> None:
    kinds: set[str] = set()

    def look() -> None:
        for _ in range(50):
            kinds.add(place.look().kind)

    with taker(place):
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert kinds == {"running"}


def test_a_process_is_known_by_its_birth() -> None:
    own = born(os.getpid())
    assert own is not None
    assert Born(os.getpid(), own).lives
    assert not Born(os.getpid(), own - 100).lives
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        until(lambda: born(child.pid) is None)  # it has ended, though nobody has asked for its exit code
    assert born(child.pid) is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:5273"),
        ("0.0.0.0", "http://127.0.0.1:5273"),
        ("::", "http://[::1]:5273"),
        ("::1", "http://[::1]:5273"),
        ("box.example", "http://box.example:5273"),
    ],
)
def test_the_address_is_one_that_can_be_dialled(host: str, address: str) -> None:
    assert state_of(Born(1, 1.0), host=host).address == address
    assert state_of(Born(1, 1.0), host=host, tls=True).address == address.replace("http", "https")


def test_halves_of_files_are_swept_but_not_what_is_being_written(place: Place) -> None:
    place.make()
    old, new = place.folder / ".old.new", place.folder / ".young.new"
    for half in (old, new):
        half.write_bytes(b"{")
    os.utime(old, (time.time() - 3600,) * 2)
    with place.take():
        assert (old.exists(), new.exists()) == (False, True)
