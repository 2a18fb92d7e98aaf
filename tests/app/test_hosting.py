"""What stands around a service: one for each home, its port, signals, its end, and a killed one's successor."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from assay.app.background import Started, start_service, stop_service
from assay.app.serve_options import wanted_service
from assay.app.service_client import ServiceClient
from assay.errors import ServiceError
from assay.serve.event_log import tail
from assay.serve.place import Place, ServiceState
from tests.waiting import until

PROGRAM = Path(__file__).with_name("hosted.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def started(home: Path, *words: str, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), str(home), str(port), *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=30)
    return process.returncode, err


def running(home: Path) -> ServiceState:
    state = Place(home).look().state
    assert state is not None
    return state


def events(home: Path) -> list[str]:
    return [line.partition(" ")[2] for line in tail(Place(home).log, 200)]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quiet_environment: None) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_tells_where_and_ends_on_a_signal(tmp_path: Path, number: int) -> None:
    with started(tmp_path) as process:
        told = address(process)
        state = running(tmp_path)
        assert state.address == told
        assert state.pid == process.pid
        assert ServiceClient(state).ask("GET", "/health", timeout_s=10) == {"key": True}
        process.send_signal(number)
        assert ended(process) == (0, "")
    assert Place(tmp_path).look().kind == "stopped"
    with pytest.raises(ServiceError, match="does not answer"):
        ServiceClient(state).ask("GET", "/health", timeout_s=10)
    assert [event for event in events(tmp_path) if event.startswith("at ")] == [
        "at make",
        "at begin",
        "at drain",
        "at close",
    ]


def test_answers_under_way_are_waited_for(tmp_path: Path) -> None:
    with started(tmp_path, "slow-drain") as process:
        address(process)
        process.send_signal(signal.SIGTERM)
        until(lambda: running(tmp_path).stopping)
        assert process.poll() is None
        assert Place(tmp_path).look().kind == "running"
        (tmp_path / "go").touch()
        assert ended(process) == (0, "")


def test_answers_that_were_cut_off_are_told(tmp_path: Path) -> None:
    with started(tmp_path, "cut-off") as process:
        address(process)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (7, "")
    assert "stopped drained=no" in events(tmp_path)


@pytest.mark.parametrize("how", ["signal", "request"])
def test_a_second_word_ends_it_at_once(tmp_path: Path, how: str) -> None:
    with started(tmp_path, "slow-drain") as process:
        address(process)
        state = running(tmp_path)
        process.send_signal(signal.SIGTERM)
        until(lambda: running(tmp_path).stopping)
        if how == "signal":
            process.send_signal(signal.SIGTERM)
        else:
            ServiceClient(state).stop()
        assert ended(process) == (7, "")
    assert "at close" in events(tmp_path)
    assert Place(tmp_path).look().kind == "stopped"


@pytest.mark.parametrize(("now", "code"), [(False, 0), (True, 7)])
def test_a_request_ends_it_too(tmp_path: Path, now: bool, code: int) -> None:
    with started(tmp_path, *(["slow-drain"] if now else [])) as process:
        address(process)
        ServiceClient(running(tmp_path)).stop(now=now)
        assert ended(process) == (code, "")


@pytest.mark.parametrize("body", [{"now": "yes"}, {"later": True}, {"now": 1}])
def test_a_request_that_makes_no_sense_ends_nothing(tmp_path: Path, body: dict[str, object]) -> None:
    with started(tmp_path) as process:
        address(process)
        client = ServiceClient(running(tmp_path))
        with pytest.raises(ServiceError, match="the body is"):
            client.ask("POST", "/assay/stop", body, timeout_s=10)
        assert client.healthy(timeout_s=10)
        assert not running(tmp_path).stopping


@pytest.mark.parametrize("key", ["", "assay-somebody-elses"])
def test_a_key_of_the_service_does_not_end_it(tmp_path: Path, key: str) -> None:
    with started(tmp_path) as process:
        address(process)
        state = running(tmp_path)
        with pytest.raises(ServiceError, match="only commands of the user who started"):
            ServiceClient(structs.replace(state, admin_key=key)).stop()
        assert ServiceClient(state).healthy(timeout_s=10)
        assert not running(tmp_path).stopping


def test_a_start_waits_for_one_that_is_stopping(tmp_path: Path) -> None:
    told: list[Started] = []
    with started(tmp_path, "slow-drain") as process:
        address(process)
        process.send_signal(signal.SIGTERM)
        until(lambda: running(tmp_path).stopping)
        wanted = wanted_service(home=tmp_path, flags={"serve_port": "0"})
        start = threading.Thread(target=lambda: told.append(start_service(wanted)))
        start.start()
        (tmp_path / "go").touch()
        assert ended(process) == (0, "")
        start.join(timeout=60)
    (one,) = told
    try:
        assert one.fresh
        assert one.replaced is None
    finally:
        stop_service(home=tmp_path, now=True)


def test_a_hang_up_has_it_read_anew(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        address(process)
        process.send_signal(signal.SIGHUP)
        until(lambda: "read anew" in events(tmp_path))
        assert ServiceClient(running(tmp_path)).healthy(timeout_s=10)


@pytest.mark.parametrize("moment", ["make", "begin", "drain", "close"])
def test_killed_at_any_moment_it_starts_again_at_once_on_the_same_port(tmp_path: Path, moment: str) -> None:
    port = free_port()
    with started(tmp_path, f"die:{moment}", port=port) as process:
        if moment in {"drain", "close"}:
            address(process)
            process.send_signal(signal.SIGTERM)
        assert ended(process) == (-signal.SIGKILL, "")
    assert Place(tmp_path).look().kind == ("stopped" if moment == "make" else "killed")
    with started(tmp_path, port=port) as process:
        assert address(process) == f"http://127.0.0.1:{port}"
        assert running(tmp_path).pid == process.pid
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (0, "")


def test_killed_at_random_moments_it_never_leaves_anything_in_the_way(tmp_path: Path) -> None:
    port, chance = free_port(), random.Random(5)
    for _ in range(8):
        with started(tmp_path, port=port) as process:
            time.sleep(chance.uniform(0.0, 0.9))
            process.kill()
            process.wait(timeout=20)
        standing = Place(tmp_path).look()
        assert standing.kind in {"stopped", "killed"}
        assert standing.problem is None
    with started(tmp_path, port=port) as process:
        assert address(process) == f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (0, "")
    left = {path.name for path in Place(tmp_path).folder.iterdir() if path.suffix != ".new"}
    assert left == {"lock", "service.log"}


def test_a_second_one_in_the_same_home_is_refused(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        told = address(first)
        with started(tmp_path) as second:
            code, err = ended(second)
            assert code == 2
            assert f"already running at {told}" in err
        assert ServiceClient(running(tmp_path)).healthy(timeout_s=10)


def test_a_port_that_is_taken_is_told_with_who_has_it_and_no_other_is_used(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with started(tmp_path, port=port) as process:
            code, err = ended(process)
    assert code == 2
    assert f"127.0.0.1:{port} is taken by another program" in err
    assert f"process {os.getpid()}: " in err
    assert Place(tmp_path).look().kind == "stopped"


def test_a_service_that_cannot_be_made_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, "bad-make") as process:
        code, err = ended(process)
    assert (code, err) == (2, "make failed\n  why: it was told to\n  try: tell it otherwise\n")
    assert Place(tmp_path).look().kind == "stopped"
    assert any(event.startswith("failed ") for event in events(tmp_path))


def test_what_cannot_be_brought_up_at_first_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    with started(tmp_path, "bad-begin") as process:
        address(process)
        until(lambda: any(event.startswith("preload failed") for event in events(tmp_path)))
        assert ServiceClient(running(tmp_path)).healthy(timeout_s=10)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (0, "")


def test_a_librarys_warning_is_in_the_log_without_what_it_quotes(tmp_path: Path) -> None:
    with started(tmp_path, "warn") as process:
        address(process)
        until(lambda: any("it went wrong" in event for event in events(tmp_path)))
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0
    (line,) = [event for event in events(tmp_path) if "it went wrong" in event]
    assert "error=ValueError" in line
    assert any('told="request req-7"' in event for event in events(tmp_path))
    assert any('told="it was lost"' in event for event in events(tmp_path))
    assert "secret" not in "".join(events(tmp_path))


def test_no_secret_is_in_the_log(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        address(process)
        key = running(tmp_path).admin_key
        process.send_signal(signal.SIGTERM)
        ended(process)
    assert len(key) >= 32
    assert key not in "".join(events(tmp_path))
