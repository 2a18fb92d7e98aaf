"""A process that does a job: what it is given, what is heard of it, and that nothing of it is left."""

from __future__ import annotations

import sys

import psutil
import pytest

from assay.child import Ended, run_child

PYTHON = (sys.executable, "-c")
ENDLESS = (
    "import os, subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(os.getpid(), child.pid, flush=True); sys.stdin.read()"
)


def run(program: str, heard: list[bytes] | None = None, *, timeout_s: float | None = None, **environment: str) -> Ended:
    lines = heard if heard is not None else []
    return run_child((*PYTHON, program), b'{"a": 1}', lines.append, timeout_s=timeout_s, environment=environment)


def test_the_job_is_one_line_and_every_line_is_heard() -> None:
    heard: list[bytes] = []
    program = (
        "import os, sys; print(sys.stdin.readline().strip()); print(os.environ['WORD']); print('x', file=sys.stderr)"
    )
    ended = run(program, heard, WORD="given")
    assert heard == [b'{"a": 1}\n', b"given\n"]
    assert ended == Ended(0, late=False, log="x\n")


def test_an_exit_is_told_with_the_end_of_its_log() -> None:
    ended = run("import sys; sys.stderr.write('\\n'.join(map(str, range(20)))); sys.exit(7)")
    assert (ended.code, ended.how) == (7, "exit code 7")
    assert ended.tail(2) == "18\n19"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_is_told_by_its_number() -> None:
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)").how == "signal 9"


def test_one_that_does_not_read_its_job_is_no_error() -> None:
    assert run("pass").code == 0


def test_time_that_is_up_ends_it_with_what_it_has_started() -> None:
    heard: list[bytes] = []
    ended = run(ENDLESS, heard, timeout_s=3)
    assert ended.late
    assert ended.code != 0
    gone(heard[0])


def test_a_listener_that_fails_ends_it_too() -> None:
    heard: list[bytes] = []

    def listen(line: bytes) -> None:
        heard.append(line)
        raise ValueError("heard enough")

    with pytest.raises(ValueError, match="heard enough"):
        run_child((*PYTHON, ENDLESS), b"", listen)
    gone(heard[0])


def gone(line: bytes) -> None:
    """Neither of the processes that the line names runs on."""
    for pid in map(int, line.split()):
        try:
            process = psutil.Process(pid)
            assert process.status() == psutil.STATUS_ZOMBIE or process.wait(10) is None
        except psutil.NoSuchProcess:
            continue
