"""The service in the foreground: what it says first, its log, how it ends, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.app.service_client import ServiceClient
from assay.serve.event_log import tail
from assay.serve.place import Place, ServiceState
from tests.cli.conftest import Command
from tests.waiting import until

IN_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from assay.cli import main
sys.exit(main())
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")


class Served:
    """``assay serve`` in a process of its own."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        command = [sys.executable, "-m", "assay", "serve", "--home", str(home), "--port", "0", *words]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def state(self) -> ServiceState:
        state = Place(self.home).look().state
        assert state is not None
        return state

    def end(self, *numbers: int) -> tuple[int, str, str]:
        for number in numbers:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path / "served")
    yield one
    one.process.kill()
    one.process.communicate()


def test_it_says_where_and_how_to_ask_and_ends_on_ctrl_c(served: Served) -> None:
    address = re.search(r"http://127\.0\.0\.1:\d+", served.line())
    assert address is not None
    assert address[0] == served.state().address
    assert f"curl {address[0]}/v1/chat/completions" in served.line()
    assert ServiceClient(served.state()).healthy(timeout_s=10)
    code, _, err = served.end(signal.SIGINT)
    assert code == 0
    lines = err.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line) for line in lines), err
    assert any("serving address=" in line for line in lines)
    assert lines[-1].endswith("stopped drained=yes")
    assert Place(served.home).look().kind == "stopped"


def test_a_fallback_list_that_lacks_something_is_told_in_the_log(tmp_path: Path) -> None:
    one = Served(tmp_path / "served", "--route", "fast=notes-4m,no-such-model")
    try:
        assert one.process.stderr is not None
        told = next(line for line in one.process.stderr if "warning" in line)
        assert "fallback list fast: " in told
        assert "no-such-model" in told
    finally:
        assert one.end(signal.SIGTERM)[0] == 0


def test_its_json_is_its_address(tmp_path: Path) -> None:
    one = Served(tmp_path / "served", "-o", "json")
    try:
        text = "".join(iter(one.line, "}\n")) + "}"
        told = json.loads(text)
        assert told["address"] == one.state().address
        assert told["pid"] == one.process.pid
    finally:
        assert one.end(signal.SIGTERM)[0] == 0


def test_the_background_commands_know_it(served: Served, call: Command) -> None:
    served.line()
    home = ["--home", str(served.home)]
    status = call("service", "status", *home)
    assert status.code == 0
    assert served.state().address in status.out
    second = call("serve", "--port", "0", *home)
    assert second.code == 2
    assert f"already running at {served.state().address}" in second.err
    started = call("service", "start", *home)
    assert started.code == 0
    assert "already running" in started.out
    assert call("service", "stop", *home).code == 0
    assert served.end()[0] == 0


def test_a_port_of_another_service_is_told(served: Served, call: Command, tmp_path: Path) -> None:
    served.line()
    told = call("serve", "--home", str(tmp_path / "other"), "--port", str(served.state().port))
    assert told.code == 2
    assert "taken by another Assay service" in told.err
    assert f"process {served.process.pid}" in told.err
    assert "assay service status" in told.err


def test_a_port_of_another_program_is_told(call: Command, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        told = call("serve", "--home", str(tmp_path / "other"), "--port", str(other.getsockname()[1]))
    assert told.code == 2
    assert "taken by another program" in told.err
    assert "--port" in told.err


def test_an_address_that_is_none_is_told(call: Command, tmp_path: Path) -> None:
    told = call("serve", "--home", str(tmp_path / "other"), "--host", "nowhere.invalid", "--port", "0")
    assert told.code == 2
    assert "nowhere.invalid" in told.err


def test_a_reader_who_goes_away_does_not_end_it(served: Served) -> None:
    served.line()
    assert served.process.stderr is not None
    served.process.stderr.close()
    state = served.state()
    served.process.send_signal(signal.SIGHUP)  # which is logged
    assert ServiceClient(state).healthy(timeout_s=10)
    served.process.stderr = None
    assert served.end(signal.SIGTERM)[0] == 0


def test_an_output_that_is_closed_does_not_change_how_it_ends(tmp_path: Path) -> None:
    home = tmp_path / "served"
    terminal, inner = os.openpty()
    os.close(terminal)  # before a line is printed
    command = [sys.executable, "-m", "assay", "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner) as process:
        os.close(inner)
        until(lambda: Place(home).look().kind == "running" or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_reader_who_does_not_read_holds_it_up_no_more_than_a_moment(tmp_path: Path) -> None:
    home = tmp_path / "served"
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    command = [sys.executable, "-m", "assay", "serve", "--home", str(home), "--port", "0"]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=writing) as process:
        os.close(writing)
        try:
            until(lambda: Place(home).look().kind == "running" or process.poll() is not None)
            state = Place(home).look().state
            assert state is not None
            assert ServiceClient(state).healthy(timeout_s=30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            os.close(reading)
    assert tail(Place(home).log, 1)[0].endswith("stopped drained=yes")


def test_a_terminal_that_is_closed_ends_it(tmp_path: Path) -> None:
    home = tmp_path / "served"
    terminal, inner = os.openpty()
    command = [sys.executable, "-c", IN_A_TERMINAL, "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, start_new_session=True) as process:
        os.close(inner)
        end = time.monotonic() + 30
        while Place(home).look().kind != "running":
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        os.close(terminal)
        assert process.wait(timeout=30) == 0
    assert Place(home).look().kind == "stopped"
