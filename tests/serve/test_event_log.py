"""The service's log: a line per event, bounded, readable while it is written."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.serve.event_log import EventLog, follow, numbered, tail
from tests.waiting import until

FILLED_UP = """
import signal, sys
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, setrlimit
from assay.serve.event_log import EventLog

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
log = EventLog(path)
log.say("one")
setrlimit(RLIMIT_FSIZE, (path.stat().st_size + 60, RLIM_INFINITY))
log.say("two", text="y" * 200)
setrlimit(RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))
log.say("three")
assert log.dropped == 1
"""


def test_a_line_has_its_time_its_event_and_its_facts(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "service.log")
    log.say("model ready", model="notes-4m", seconds=0.75, problem=None, why="two words", count=3)
    log.close()
    (line,) = (tmp_path / "service.log").read_text(encoding="utf-8").splitlines()
    when, _, rest = line.partition(" ")
    assert rest == 'model ready model=notes-4m seconds=0.75 why="two words" count=3'
    assert when.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()) < 60


def test_foreign_text_stays_on_its_line(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "service.log")
    log.say("refused", model="a\nb\x1b[31m\u202e\udcff\r\n2026 forged")
    log.close()
    (line,) = (tmp_path / "service.log").read_text(encoding="utf-8").splitlines()
    assert line.isprintable()
    assert r"a\nb\x1b[31m" in line


TEXTS = st.text(max_size=40) | st.text(alphabet=' "\\=a', max_size=9)


@given(TEXTS, TEXTS)
def test_no_text_passes_for_another_fact(tmp_path_factory: pytest.TempPathFactory, name: str, why: str) -> None:
    path = tmp_path_factory.mktemp("log") / "service.log"
    log = EventLog(path)
    log.say("refused", name=name, why=why)
    log.close()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r'\S+ refused name=("(\\.|[^"\\])*"|[^" ]+) why=("(\\.|[^"\\])*"|[^" ]+)', line)


@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=80), most=st.integers(60, 400))
def test_it_never_grows_past_its_bound_and_ends_with_the_newest(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], most: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "service.log"
    heard: list[str] = []
    log = EventLog(path, echo=heard.append, most=most)
    for text in texts:
        log.say("event", text=text)
    log.close()
    files = sorted(path.parent.iterdir())
    assert len(files) <= 3
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        assert file.stat().st_size <= most or len(lines) == 1
    kept = tail(path, len(texts) + 1)
    assert kept == heard[len(heard) - len(kept) :]
    assert tail(path, 1) == heard[-1:]
    assert tail(path, 0) == []


def test_the_last_lines_come_from_older_files_too(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    log = EventLog(path, most=200)
    for n in range(12):
        log.say(f"event-{n}")
    log.close()
    assert numbered(path, 1).exists()
    assert [line.split()[1] for line in tail(path, 6)] == [f"event-{n}" for n in range(6, 12)]
    assert tail(tmp_path / "none.log", 5) == []


def test_a_long_file_is_not_read_whole_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"".join(b"%06d %s\n" % (n, b"x" * 90) for n in range(3000)))
    assert [line[:6] for line in tail(path, 3)] == ["002997", "002998", "002999"]
    assert len(tail(path, 2000)) == 2000


def test_lines_are_followed_into_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    log = EventLog(path, most=300)
    log.say("before")
    heard: list[str] = []

    def listen() -> None:
        following = follow(path, rest_s=0.01)
        for line in itertools.islice(following, 20):
            heard.append(line.split()[1])  # noqa: PERF401 - it grows as lines come
        following.close()

    listener = threading.Thread(target=listen)
    listener.start()
    end = time.monotonic() + 20
    while not heard:
        assert time.monotonic() < end
        log.say("begin")
        time.sleep(0.01)
    for n in range(20):
        log.say(f"event-{n}")
        while listener.is_alive() and f"event-{n}" not in heard:
            assert time.monotonic() < end
            time.sleep(0.001)
    listener.join(timeout=20)
    log.close()
    events = [event for event in heard if event != "begin"]
    assert len(heard) == 20
    assert events == [f"event-{n}" for n in range(len(events))]
    assert numbered(path, 2).exists()


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    following = follow(path, rest_s=0.01)
    heard = threading.Event()

    def write() -> None:
        while not heard.wait(0.05):  # more than once: where it comes before the first look, that line is not followed
            with path.open("a", encoding="utf-8") as file:
                file.write("first\n")

    writer = threading.Thread(target=write)
    writer.start()
    line = next(following)
    heard.set()
    following.close()
    writer.join()
    assert line == "first"


def test_where_nothing_can_be_written_the_service_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    log = EventLog(folder / "service.log")
    log.say("lost")
    assert log.dropped == 1
    folder.mkdir()
    log.say("kept")
    log.close()
    assert log.dropped == 1
    assert tail(folder / "service.log", 5)[0].endswith("kept")


def test_a_line_that_was_cut_off_is_not_glued_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"first\nhalf a li")  # as a full disk or a kill leaves it
    log = EventLog(path)
    log.say("next")
    log.close()
    log.say("last")
    log.close()
    first, half, fresh, last = path.read_text(encoding="utf-8").splitlines()
    assert (first, half) == ("first", "half a li")
    assert fresh.endswith("Z next")
    assert last.endswith("Z last")


@pytest.mark.skipif(sys.platform == "win32", reason="a process has a limit on its files")
def test_a_disk_that_fills_up_in_a_line_leaves_the_others_whole(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    subprocess.run([sys.executable, "-c", FILLED_UP, str(path)], check=True, timeout=60)
    first, half, last = tail(path, 5)
    assert first.endswith("Z one")
    assert "Z two text=yyy" in half
    assert last.endswith("Z three")


def test_a_terminal_that_is_gone_is_left_alone(tmp_path: Path) -> None:
    asked: list[str] = []

    def echo(line: str) -> None:
        asked.append(line)
        raise BrokenPipeError

    log = EventLog(tmp_path / "service.log", echo=echo)
    log.say("one")
    log.say("two")
    log.close()
    assert len(asked) == 1
    assert len(tail(tmp_path / "service.log", 5)) == 2


def test_nothing_is_missed_between_the_last_lines_and_the_next(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    log = EventLog(path)
    for n in range(5):
        log.say(f"event-{n}")
    following = follow(path, last=2, rest_s=0.01)
    first = next(following)
    for n in range(5, 8):
        log.say(f"event-{n}")
    log.close()
    heard = [first, *itertools.islice(following, 4)]
    following.close()
    assert [line.split()[1] for line in heard] == [f"event-{n}" for n in range(3, 8)]


def test_what_is_told_in_the_middle_of_a_line_comes_after_it(tmp_path: Path) -> None:
    heard: list[str] = []

    def echo(line: str) -> None:
        if not heard:
            log.say("inner")  # as the collector does where it finds an error that nobody asked for
        heard.append(line)

    log = EventLog(tmp_path / "service.log", echo=echo)
    telling = threading.Thread(target=log.say, args=("outer",), daemon=True)
    telling.start()
    until(lambda: not telling.is_alive())
    log.close()
    assert [line.split()[1] for line in heard] == ["outer", "inner"]
    assert tail(tmp_path / "service.log", 5) == heard


def test_lines_of_many_threads_are_all_there_in_one_order(tmp_path: Path) -> None:
    heard: list[str] = []
    log = EventLog(tmp_path / "service.log", echo=heard.append)

    def tell(who: int) -> None:
        for n in range(200):
            log.say("event", who=who, n=n)

    threads = [threading.Thread(target=tell, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert len(heard) == 800
    assert tail(tmp_path / "service.log", 1000) == heard
