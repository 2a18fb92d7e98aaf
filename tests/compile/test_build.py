"""Products are whole or not there: made, kept, made anew, after failures, kills and Ctrl-C."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from assay.compile import Plan, Product, build, plan, read_checkpoint
from assay.compile.build import COMMAND
from assay.errors import BadInput, CompileError
from assay.types import Silent
from tests.compile.models import BUNDLED, MISSING, SKIP

pytestmark = pytest.mark.skipif(bool(MISSING), reason=SKIP)

PYTHON = (sys.executable, "-c")
WRITES = (
    "import sys, json, os, signal, time; job = json.loads(sys.stdin.readline()); open(job['out'], 'w').write('half');"
)


class Told(Silent):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.shares: list[tuple[int, int]] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: int, total: int, text: str = "") -> None:
        self.shares.append((done, total))


def planned(*precisions: str, folder: Path = BUNDLED) -> Plan:
    return plan(read_checkpoint(folder, name="notes"), "gguf", precisions, free_disk=None, free_memory=None)


def made(asked: Plan, home: Path, command: tuple[str, ...] = COMMAND) -> list[Product]:
    return list(build(asked, home / "products", reporter=Silent(), work=home / "work", command=command))


def left(home: Path) -> list[str]:
    """Every file below the two folders, logs aside."""
    return sorted(p.name for p in home.rglob("*") if p.is_file() and p.suffix != ".log")


def test_products_are_variants_with_hashed_files(tmp_path: Path) -> None:
    told = Told()
    products = list(build(planned("q8_0", "f32"), tmp_path / "p", reporter=told, work=tmp_path / "w"))
    assert [product.variant.id for product in products] == ["notes:q8_0", "notes:f32"]
    for product in products:
        variant, path = product.variant, Path(product.variant.path or "")
        assert (variant.format, variant.alias, variant.context_length) == ("gguf", "notes", 2048)
        assert [file.sha256 for file in variant.files] == [hashlib.sha256(path.read_bytes()).hexdigest()]
        assert variant.disk == path.stat().st_size
        assert product.seconds > 0
        assert not product.reused
    assert told.stages[1:] == ["Making notes:q8_0", "Making notes:f32"]
    assert all(0 < done <= total for done, total in told.shares)
    assert not any((tmp_path / "w" / "staging").iterdir())


def test_what_is_finished_is_kept_and_what_changed_is_made_anew(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(BUNDLED, source)
    first = made(planned("q8_0", folder=source), tmp_path)
    again = made(planned("q8_0", "q4_0", folder=source), tmp_path)
    assert [product.reused for product in again] == [True, False]
    assert again[0].variant == first[0].variant
    weights = source / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(content)
    anew = made(planned("q8_0", folder=source), tmp_path)
    assert not anew[0].reused
    assert anew[0].variant.digest != first[0].variant.digest
    Path(anew[0].variant.path or "").write_bytes(b"short")
    assert not made(planned("q8_0", folder=source), tmp_path)[0].reused


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (
            "print(json.dumps({'failed': 'no such layer', 'why': 'it is strange'}), flush=True); sys.exit(3)",
            "no such layer",
        ),
        ("sys.stderr.write('out of luck'); sys.exit(7)", "out of luck"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory may have run out"),
        ("sys.exit(0)", "ended with 0"),
    ],
)
def test_a_failed_product_leaves_nothing_and_earlier_ones_stay(end: str, says: str, tmp_path: Path) -> None:
    made(planned("q8_0"), tmp_path)
    before = left(tmp_path)
    with pytest.raises(CompileError, match="notes:q4_0 could not be made") as caught:
        made(planned("q8_0", "q4_0"), tmp_path, command=(*PYTHON, WRITES + end))
    assert says in str(caught.value)
    assert left(tmp_path) == before
    assert [product.reused for product in made(planned("q8_0", "q4_0"), tmp_path)] == [True, False]


def test_a_worker_that_writes_nothing_has_failed(tmp_path: Path) -> None:
    idle = "import sys; sys.stdin.readline(); print('{\"finished\": true}', flush=True)"
    with pytest.raises(CompileError, match="wrote nothing"):
        made(planned("q8_0"), tmp_path, command=(*PYTHON, idle))
    assert left(tmp_path) == []


DRIVER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have Ctrl-C ignored
from pathlib import Path
from assay.compile import build, plan, read_checkpoint
from assay.types import Silent
asked = plan(read_checkpoint(Path(sys.argv[1]), name="notes"), "gguf", ["q8_0"], free_disk=None, free_memory=None)
home = Path(sys.argv[2])
worker = (sys.executable, "-c", sys.argv[3])
list(build(asked, home / "products", reporter=Silent(), work=home / "work", command=worker))
"""
SLOW = WRITES + "print(os.getpid(), file=open(job['out'] + '.pid', 'w'), flush=True); "
WATCHES = "sys.stdin.read(); os._exit(0)"


def started(tmp_path: Path, worker: str) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A build in a process of its own, whose worker has written half a file and goes on."""
    command = [sys.executable, "-c", DRIVER, str(BUNDLED), str(tmp_path), worker]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for file in (tmp_path / "work").rglob("*.pid"):
            if file.read_text().strip():
                return process, psutil.Process(int(file.read_text()))
        time.sleep(0.02)
    process.kill()
    raise AssertionError("the worker did not start")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_worker_and_leaves_nothing(tmp_path: Path) -> None:
    process, worker = started(tmp_path, SLOW + "time.sleep(60)")
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(30) != 0
    finally:
        process.kill()
        process.wait()
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert left(tmp_path) == []
    assert not made(planned("q8_0"), tmp_path)[0].reused


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_build_leaves_no_process_and_no_product(tmp_path: Path) -> None:
    process, worker = started(tmp_path, SLOW + WATCHES)
    process.kill()
    process.wait(30)
    worker.wait(30)
    assert not list((tmp_path / "products").rglob("*"))
    assert not made(planned("q8_0"), tmp_path)[0].reused
    assert left(tmp_path) == [".assay-compile.json", "notes-q8_0.gguf"]


def test_the_real_worker_ends_when_its_parent_does(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-P", "-m", "assay.compile.worker"], stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.close()
    assert process.wait(60) != 0


def test_two_file_systems_are_refused(tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108 - the one file system besides the root that most Linux machines have
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system to write to")
    work = other / f"assay-{os.getpid()}"
    try:
        with pytest.raises(BadInput, match="not on one file system"):
            list(build(planned("q8_0"), tmp_path / "p", reporter=Silent(), work=work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def test_a_stray_module_in_the_folder_of_the_moment_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Callable[[str], Path]
) -> None:
    (tmp_path / "gguf.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert made(planned("q8_0", folder=tiny("llama")), tmp_path)
