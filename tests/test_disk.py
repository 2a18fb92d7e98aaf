"""Room, full disks, small files written whole, and paths as people write them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assay.disk import expanded, free, is_full, sha256_of, try_lock, write_whole

LIMITED = """
import resource, signal, sys
from pathlib import Path
from assay.disk import is_full, write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_whole(Path(sys.argv[1]), bytes(101))
except OSError as error:
    print(is_full(error))
"""


def test_free_space_is_that_of_the_disk_also_below_folders_that_are_not_there(tmp_path: Path) -> None:
    assert abs(free(tmp_path / "not" / "yet") - shutil.disk_usage(tmp_path).free) < 1 << 30


def test_which_errors_mean_a_full_disk() -> None:
    assert all(is_full(OSError(code, "")) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    assert not is_full(OSError(errno.EACCES, ""))


def test_a_file_is_made_with_its_folder_and_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    for content in (b"one", b"another"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX's")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_home_that_nobody_has() -> None:
    assert expanded("~/x") == Path.home() / "x"
    assert expanded("~nobody-has-this-name/x") == Path("~nobody-has-this-name/x")


def test_a_hash_tells_of_each_piece(tmp_path: Path) -> None:
    content = b"ab" * 3_000_000
    (tmp_path / "file").write_bytes(content)
    pieces: list[int] = []
    assert sha256_of(tmp_path / "file", pieces.append) == hashlib.sha256(content).hexdigest()
    assert sum(pieces) == len(content)
    assert len(pieces) > 1


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert try_lock(first)
    assert not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)
