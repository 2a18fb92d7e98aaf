from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from assay.store import Holder, Store
from assay.store.held import holders, mark, unmark
from tests.store.conftest import keep

HOLD = """
import sys
from pathlib import Path
from assay.store import Store
with Store(Path(sys.argv[1])).hold("m:q4"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(store: Store) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_is_seen_until_it_ends(store: Store) -> None:
    keep(store, "m:q4", {"a.gguf": b"a"})
    with start(store) as other, store.hold("m:q4"):
        assert {holder.pid for holder in store.holders("m:q4")} == {other.pid, os.getpid()}
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait(30) == 0
        assert [holder.pid for holder in store.holders("m:q4")] == [os.getpid()]


def test_the_mark_of_a_killed_process_is_swept_also_before_it_is_reaped(store: Store) -> None:
    keep(store, "m:q4", {"a.gguf": b"a"})
    with start(store) as other:
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert store.holders("m:q4") == []
        assert list(store.layout.in_use.iterdir()) == []


def test_a_number_that_another_process_has_now_does_not_count(tmp_path: Path) -> None:
    path = mark(tmp_path / "m", "2026-11-22T07:15:01Z")
    old = msgspec.json.decode(path.read_bytes(), type=Holder)
    assert old.started is not None
    (tmp_path / "m" / "1.json").write_bytes(
        msgspec.json.encode(Holder(pid=old.pid, started=old.started - 60, since="2020-01-01T00:00:00Z"))
    )
    assert holders(tmp_path / "m") == [old]
    assert [p.name for p in (tmp_path / "m").iterdir()] == [path.name]


def test_a_damaged_mark_is_swept(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"{")
    assert holders(tmp_path) == []


def test_unmarking_twice_is_no_error(tmp_path: Path) -> None:
    path = mark(tmp_path / "m", "2026-11-22T07:15:01Z")
    unmark(path)
    unmark(path)
    assert not (tmp_path / "m").exists()
