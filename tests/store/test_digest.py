from __future__ import annotations

import hashlib
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.store import hash_file, mismatch
from assay.store.digest import hash_as
from assay.store.part_lock import Stopped
from assay.types import Digests, File

CONTENT = b"0123456789" * 300_000
RIGHT = Digests(sha256=hashlib.sha256(CONTENT).hexdigest(), git_sha1=None, size=len(CONTENT))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_hashed_with_progress(path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    assert hash_file(path, tell=lambda done, total: told.append((done, total))) == RIGHT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_the_git_name_is_the_one_that_git_gives(path: Path) -> None:
    git = subprocess.run(["git", "hash-object", "--no-filters", str(path)], capture_output=True, text=True, check=True)
    assert hash_file(path, git=True).git_sha1 == git.stdout.strip()
    assert hash_as(File(path="m", git_sha1=git.stdout.strip()), path).git_sha1 == git.stdout.strip()
    assert hash_as(File(path="m", sha256=RIGHT.sha256), path).git_sha1 is None


def test_hashing_can_be_stopped(path: Path) -> None:
    cancelled = threading.Event()
    with pytest.raises(Stopped):
        hash_file(path, tell=lambda _done, _total: cancelled.set(), cancelled=cancelled)


def test_an_empty_file_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert hash_file(tmp_path / "empty").sha256 == hashlib.sha256(b"").hexdigest()


HEX = st.text(alphabet="0123456789abcdef", min_size=1, max_size=4)


@given(st.none() | st.integers(0, 3), st.none() | HEX, st.none() | HEX, HEX, HEX, st.integers(0, 3))
def test_all_that_is_known_must_fit(
    size: int | None, sha256: str | None, git: str | None, found: str, found_git: str, found_size: int
) -> None:
    file = File(path="f", size=size, sha256=sha256, git_sha1=git)
    fits = size in {None, found_size} and sha256 in {None, found} and (sha256 is not None or git in {None, found_git})
    assert (mismatch(file, Digests(sha256=found, git_sha1=found_git, size=found_size)) is None) == fits


def test_a_mismatch_names_both() -> None:
    fault = mismatch(File(path="f", sha256="AB"), Digests(sha256="cd", git_sha1=None, size=1))
    assert fault == "expected SHA-256 ab, found cd"
    assert mismatch(File(path="f", sha256="AB"), Digests(sha256="ab", git_sha1=None, size=1)) is None
    assert mismatch(File(path="f", git_sha1="ab"), Digests(sha256="cd", git_sha1=None, size=1)) is not None
