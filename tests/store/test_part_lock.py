from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from assay.errors import StoreError
from assay.store.part_lock import Stopped, locked

HOLD = """
import sys
from pathlib import Path
from assay.store.part_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

COUNT = """
import sys
from pathlib import Path
from assay.store.part_lock import locked
lock, count = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(40):
    with locked(lock):
        count.write_text(str(int(count.read_text()) + 1))
"""


OVERTAKEN = """
import fcntl, os, sys
from pathlib import Path
from assay.store.part_lock import locked

path, taken = Path(sys.argv[1]), []

def overtake(event, arguments):
    if event == "fcntl.flock" and not taken:
        taken.append(None)
        path.unlink()
        taken.append(os.open(path, os.O_RDWR | os.O_CREAT))
        fcntl.flock(taken[1], fcntl.LOCK_EX)

def waits(pid):
    print("waited")
    os.close(taken[1])

sys.addaudithook(overtake)
with locked(path, waits):
    print("held")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "key.lock"


def test_a_second_process_waits_and_is_told_for_whom(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        told: list[int | None] = []

        def waits(pid: int | None) -> None:
            told.append(pid)
            holder.kill()

        with locked(path, waits):
            assert told == [holder.pid]


def test_a_wait_can_be_called_off(path: Path) -> None:
    cancelled = threading.Event()
    with locked(path), pytest.raises(Stopped), locked(path, lambda _pid: cancelled.set(), cancelled):
        pass


def test_threads_exclude_each_other_too(path: Path) -> None:
    told: list[int | None] = []
    with locked(path):
        waiting = threading.Event()

        def waits(pid: int | None) -> None:
            told.append(pid)
            waiting.set()

        def second() -> None:
            with locked(path, waits):
                told.append(-1)

        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        assert told == [os.getpid()]
    thread.join(30)
    assert told == [os.getpid(), -1]


def test_nothing_is_left_and_nobody_gets_in_between(path: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    command = [sys.executable, "-c", COUNT, str(path), str(count)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert count.read_text() == "120"
    assert list(path.parent.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be taken away")
def test_a_lock_file_that_was_taken_away_does_not_count(path: Path) -> None:
    """Between the opening and the locking, its holder lets go and another process takes a new one of that name."""
    done = subprocess.run([sys.executable, "-c", OVERTAKEN, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["waited", "held"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot lock"), locked(tmp_path / "file" / "key.lock"):
        pass


FULL = """
import resource, signal, sys
from pathlib import Path
from assay.store.part_lock import locked
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with locked(Path(sys.argv[1])):
    print("held")
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX's")
def test_a_full_disk_does_not_stop_who_wants_to_make_room(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == "held\n", done.stderr
