from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec import structs

from assay.errors import NoRoom, StoreError
from assay.store.records import read_record, write_record
from assay.types import Interval, Proof, Stored
from tests.store.conftest import offer

PROOF = Proof(
    original="hf:org/m",
    original_digest=None,
    product_digest="d",
    engine="e",
    engine_version=None,
    prompts=1,
    tokens=2,
    agreement=Interval(value=1.0),
    kl=Interval(value=0.0, low=0.0, high=0.1),
    perplexity_original=Interval(value=3.0),
    perplexity_ratio=Interval(value=1.0),
)
STORED = Stored(
    variant=offer("M:q4", {"m.gguf": b"weights"}),
    added="2026-11-22T07:15:01Z",
    origin="compile",
    links={"m.gguf": "/elsewhere/m.gguf"},
    proof=PROOF,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records" / "m--q4.json"


def test_what_is_written_is_read_back_without_the_place(path: Path) -> None:
    write_record(path, structs.replace(STORED, variant=structs.replace(STORED.variant, path="/old/place")))
    assert read_record(path) == STORED
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_newer_record_is_refused(path: Path) -> None:
    write_record(path, STORED)
    newer = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({"schema": newer["schema"] + 1, "stored": {"another": "shape"}}), "utf-8")
    with pytest.raises(StoreError, match="newer Assay") as caught:
        read_record(path)
    assert caught.value.remedy


def test_a_record_cut_anywhere_is_refused(path: Path) -> None:
    write_record(path, STORED)
    content = path.read_bytes().rstrip()
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(StoreError, match="cannot be read"):
            read_record(path)


def test_a_record_of_another_name_is_refused(path: Path) -> None:
    write_record(path.with_name("other.json"), STORED)
    with pytest.raises(StoreError, match="does not fit"):
        read_record(path.with_name("other.json"))


def test_no_record_is_no_damage(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(path)


def test_who_reads_meanwhile_sees_the_old_record_or_the_new_one(path: Path) -> None:
    states = [structs.replace(STORED, used=None), structs.replace(STORED, used="2026-11-22T08:00:00Z" * 500)]
    write_record(path, states[0])
    ended = threading.Event()

    def write() -> None:
        for turn in range(100):
            write_record(path, states[turn % 2])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        assert read_record(path) in states
    writer.join()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from msgspec import structs
from assay.store.records import read_record, write_record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
path = Path(sys.argv[1])
try:
    write_record(path, structs.replace(read_record(path), used="2026-11-22T08:00:00Z"))
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX's")
def test_a_full_disk_leaves_the_old_record(path: Path) -> None:
    write_record(path, STORED)
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{NoRoom.__name__}\n"
    assert read_record(path) == STORED
    assert [p.name for p in path.parent.iterdir()] == [path.name]
