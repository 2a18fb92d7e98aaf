from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from assay.errors import RunError, RunInUse, RunNotFound
from assay.runs import Writer, create, read, reopen
from assay.types import Phase, Reading, RequestError, RunRecord, Sample, Score

LATE = RequestError(kind="timeout", message="late")


def sample(
    i: int, turn: int, *, phase: Phase = "measure", error: RequestError | None = None, attempt: int = 0
) -> Sample:
    return Sample(
        i=i,
        variant="m:q8",
        engine="e",
        prompt="p",
        round=turn,
        phase=phase,
        error=error,
        attempt=attempt,
        text="caf\u00e9\n",
    )


def test_what_is_written_is_read_back(tmp_path: Path, record: RunRecord) -> None:
    reading = Reading(variant="m:q8", engine="e", t_ns=5, memory=7, memory_kind="pss")
    score = Score(sample=0, judge="check", criterion="answer", value=1.0)
    with create(tmp_path, record) as writer:
        writer.sample(sample(0, 0))
        writer.score(score)
        writer.reading(reading)
        while_open = read(writer.path)
        writer.update(msgspec.structs.replace(record, status="complete", finished="2026-11-22T07:16:00Z"))
    data = read(tmp_path / record.id)
    assert while_open.record == record
    assert while_open.samples == data.samples == (sample(0, 0),)
    assert (data.scores, data.readings, data.damaged_lines) == ((score,), (reading,), 0)
    assert data.record.status == "complete"
    assert sorted(p.name for p in writer.path.iterdir()) == [
        ".lock",
        "meters.jsonl",
        "run.json",
        "samples.jsonl",
        "scores.jsonl",
    ]


def test_reopening_says_what_is_done(tmp_path: Path, record: RunRecord) -> None:
    with create(tmp_path, record) as writer:
        assert (writer.done, writer.next_i) == (frozenset(), 0)
        writer.sample(sample(0, 0, phase="warmup"))
        writer.sample(sample(1, 0))
        writer.sample(sample(2, 1, error=LATE))
        writer.sample(sample(3, 2, error=LATE))
        writer.sample(sample(9, 2, error=LATE, attempt=1))
    with reopen(writer.path) as again:
        assert again.done == {sample(0, 0, phase="warmup").key, sample(1, 0).key, sample(3, 2).key}
        assert again.next_i == 10
        assert again.done == writer.done


def test_a_duplicate_is_refused_and_not_written(tmp_path: Path, record: RunRecord) -> None:
    with create(tmp_path, record) as writer:
        writer.sample(sample(0, 0))
    with reopen(writer.path) as again:
        for duplicate in (sample(0, 5), sample(1, 0)):
            with pytest.raises(ValueError, match="in the run already"):
                again.sample(duplicate)
        again.sample(sample(1, 0, phase="warmup"))
        again.sample(sample(2, 1))
    assert [s.i for s in read(writer.path).samples] == [0, 1, 2]


def test_a_cut_line_is_counted_and_taken_away_on_reopening(tmp_path: Path, record: RunRecord) -> None:
    with create(tmp_path, record) as writer:
        writer.sample(sample(0, 0))
        writer.sample(sample(1, 1))
    for name, tail in (("samples.jsonl", -5), ("scores.jsonl", 0), ("meters.jsonl", 0)):
        file = writer.path / name
        file.write_bytes(file.read_bytes()[:tail] if tail else b'{"sam')
    assert read(writer.path).damaged_lines == 3
    with reopen(writer.path) as again:
        assert again.next_i == 1
        again.sample(sample(1, 1))
    data = read(writer.path)
    assert [s.i for s in data.samples] == [0, 1]
    assert data.damaged_lines == 0


def test_two_cannot_write_one_run(tmp_path: Path, record: RunRecord) -> None:
    with create(tmp_path, record) as writer, pytest.raises(RunInUse, match=f"process {os.getpid()}"):
        reopen(writer.path)
    reopen(writer.path).close()


HOLD = """
import sys, time
from pathlib import Path
from assay.runs import reopen
writer = reopen(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_goes_with_its_process(tmp_path: Path, record: RunRecord) -> None:
    create(tmp_path, record).close()
    path = tmp_path / record.id
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunInUse, match=f"process {holder.pid}"):
            reopen(path)
        assert read(path).record == record
        holder.kill()
        holder.wait()
    reopen(path).close()


def test_a_run_is_made_once_and_keeps_its_id(tmp_path: Path, record: RunRecord) -> None:
    with create(tmp_path, record) as writer:
        with pytest.raises(RunError, match="cannot make"):
            create(tmp_path, record)
        with pytest.raises(ValueError, match="cannot become"):
            writer.update(msgspec.structs.replace(record, id="other"))
    with pytest.raises(ValueError, match="no run id"):
        create(tmp_path, msgspec.structs.replace(record, id="../elsewhere"))
    with pytest.raises(ValueError, match="schema 2"):
        create(tmp_path, msgspec.structs.replace(record, id="b", schema=2))


def test_places_where_no_run_can_be(tmp_path: Path, record: RunRecord) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot make"):
        create(tmp_path / "file", record)
    with pytest.raises(RunNotFound, match="is no run"):
        reopen(tmp_path / "nowhere")


def _replace_all_the_time(path: Path, stop: multiprocessing.synchronize.Event) -> None:
    with reopen(path) as writer:
        while not stop.is_set():
            writer.update(writer.record)


def test_the_record_is_whole_at_every_moment(tmp_path: Path, record: RunRecord) -> None:
    create(tmp_path, record).close()
    path = tmp_path / record.id
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_replace_all_the_time, args=(path, stop))
    process.start()
    try:
        assert all(read(path).record == record for _ in range(500))
    finally:
        stop.set()
        process.join()


FAST = """
import os, sys
from pathlib import Path
from assay.runs import reopen
from assay.types import Sample

with reopen(Path(sys.argv[1])) as writer:
    os.write(1, b"go\\n")
    for n in range(1_000_000):
        sample = Sample(i=writer.next_i, variant="m:q8", engine="e", prompt=f"p{n}", round=0, phase="measure",
                        chunk_ns=tuple(range(n % 200)), text="caf\\u00e9 " * (n % 50))
        if sample.key not in writer.done:
            writer.sample(sample)
            os.write(1, b"%d\\n" % sample.i)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX")
def test_fifty_kills_lose_and_double_nothing(tmp_path: Path, record: RunRecord) -> None:
    rng = random.Random(7)
    writer: Writer = create(tmp_path, record)
    writer.close()
    acknowledged: list[int] = []
    for _ in range(50):
        with subprocess.Popen([sys.executable, "-c", FAST, str(writer.path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"go\n"
            acknowledged += [int(child.stdout.readline()) for _ in range(rng.randrange(40))]
            child.send_signal(signal.SIGKILL)
            acknowledged += [
                int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")
            ]
        assert child.returncode == -signal.SIGKILL
    samples = read(writer.path).samples
    assert set(acknowledged) <= {s.i for s in samples}
    assert len({s.i for s in samples}) == len({s.key for s in samples}) == len(samples)
    assert len(samples) >= len(acknowledged) == len(set(acknowledged))
