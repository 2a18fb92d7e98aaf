"""The service on the command line, for real: what it says, its exit codes, what it leaves, what it imports."""

from __future__ import annotations

import json
import plistlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.serve.event_log import EventLog
from assay.serve.place import Born, Place, born
from tests.cli.conftest import Command, Shell, Told
from tests.waiting import kill

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, whose service is gone when the test is over."""
    place = tmp_path / "own"
    monkeypatch.setenv("ASSAY_HOME", str(place))
    monkeypatch.setenv("ASSAY_SERVE_PORT", "0")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    yield place
    pid = Place(place).look().pid
    if pid is not None:
        kill(pid)


def as_json(told: Told) -> Any:
    assert told.code == 0, told.err
    return json.loads(told.out)


def test_from_start_to_stop(call: Command, own: Path) -> None:
    told = call("service", "start")
    assert told.code == 0, told.err
    found = re.search(r"http://127\.0\.0\.1:\d+", told.out)
    assert found is not None
    again = call("service", "start")
    assert again.code == 0
    assert "already running" in again.out
    assert found[0] in again.out
    assert again.err == ""
    other = call("service", "start", "--ttl", "5")
    assert (other.code, other.out) == (0, again.out)
    assert "what was given now is not used" in other.err
    assert "what was given now is not used" in call("service", "start", "--log-prompts").err
    status = call("service", "status")
    assert status.code == 0
    first = re.search(r"http://[^\s/]+", status.out)
    assert first is not None
    assert first[0] == found[0]
    assert "no model is loaded" in status.out
    asked = as_json(call("service", "status", "-o", "json"))
    assert (asked["kind"], asked["address"], asked["answers"]) == ("running", found[0], True)
    assert call("service", "ps").out == "no model is loaded\n"
    assert as_json(call("service", "ps", "-o", "json")) == []
    created = born(asked["pid"])
    assert created is not None
    stopped = call("service", "stop")
    assert stopped.code == 0
    assert str(asked["pid"]) in stopped.out
    assert not Born(asked["pid"], created).lives
    gone = call("service", "status")
    assert gone.code == 1
    assert "not running" in gone.out


def test_without_a_service(call: Command, own: Path) -> None:
    for words in (["stop"], ["ps"]):
        told = call("service", *words)
        assert told.code == 1
        assert told.out == ""
        assert told.err == "assay: the service is not running\n  try: assay service start\n"
    status = call("service", "status", "-o", "json")
    assert status.code == 1
    assert json.loads(status.out)["kind"] == "stopped"
    assert not own.exists()


def test_killed(call: Command, own: Path) -> None:
    pid = as_json(call("service", "start", "-o", "json"))["pid"]
    kill(pid)
    status = call("service", "status")
    assert status.code == 1
    assert "it was killed" in status.out
    told = call("service", "start")
    assert told.code == 0
    assert f"process {pid} was killed" in told.err
    assert call("service", "stop", "--now").code == 0


@pytest.mark.engines
def test_a_preload_that_cannot_be_is_told_by_the_start_and_by_the_status(call: Command, own: Path) -> None:
    told = call("service", "start", "--memory", "1KB", "notes-0.5m")
    assert told.code == 0
    assert told.err.startswith("assay: notes-0.5m was to be preloaded and is not up: notes-0.5m")
    assert "1.0 kB" in told.err
    assert told.err.removeprefix("assay: ") in call("service", "status").out
    (row,) = as_json(call("service", "restart", "-o", "json"))["preload"]
    assert row["name"] == "notes-0.5m"
    assert "1.0 kB" in row["problem"]


def test_restart_of_nothing_is_a_start(call: Command, own: Path) -> None:
    assert as_json(call("service", "restart", "-o", "json"))["started"] is True


def test_a_start_that_fails_is_told_in_three_lines(call: Command, own: Path) -> None:
    told = call("service", "start", "--tls-cert", "none.pem", "--tls-key", "none.key")
    assert told.code == 2
    assert told.out == ""
    assert "none.pem" in told.err
    assert len(told.err.splitlines()) == 3
    half = call("service", "start", "--tls-cert", "none.pem")
    assert "--tls-key" in half.err
    assert call("service", "status").code == 1


def test_flags_that_cannot_be_used_are_told_before_anything_starts(call: Command, own: Path) -> None:
    for flag, value, said in (
        ("--port", "x", "a port from 1 to 65535"),
        ("--ttl", "0", "or never"),
        ("--memory", "much", "8GB"),
        ("--route", "fast", "fast=model-a,model-b"),
        ("--parallel", "0", "1 or more"),
        ("--keep-warm", "-1", "or never"),
        ("--stall", "0", "above 0"),
        ("--queue", "0", "1 or more"),
    ):
        told = call("service", "start", flag, value)
        assert told.code == 2, flag
        assert f"set by {flag}" in told.err
        assert said in told.err
    assert not own.exists()


def test_a_projects_file_does_not_say_which_web_pages_come_in(call: Command, own: Path, tmp_path: Path) -> None:
    (tmp_path / "assay.toml").write_text('[serve]\nallow_origins = ["https://evil.example"]\n', encoding="utf-8")
    told = call("service", "start")
    assert told.code == 2
    assert "assay.toml" in told.err
    assert "--allow-origin" in told.err


def test_a_status_needs_nothing_heavy_and_finds_the_address(call: Command, own: Path, shell: Shell) -> None:
    address = as_json(call("service", "start", "-o", "json"))["address"]
    program = (
        "import sys; from assay.cli import main\n"
        "code = main(['service', 'status'])\n"
        "print(*sorted(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    told = shell(f'{sys.executable} -c "{program}"', ASSAY_HOME=str(own))
    assert told.returncode == 0, told.stderr
    assert address in told.stdout.decode()
    heavy = {"aiohttp", "asyncio", "numpy", "rich", "huggingface_hub", "psutil", "jinja2", "tomlkit", "ssl", "uvloop"}
    # http.client imports ssl itself.
    assert set(told.stderr.decode().split()) & heavy <= {"ssl"}


def test_logs(call: Command, own: Path, shell: Shell) -> None:
    told = call("service", "logs")
    assert told.code == 0
    assert "nothing has been logged" in told.err
    Place(own).make()
    log = EventLog(Place(own).log)
    for n in range(60):
        log.say(f"event-{n}")
    assert len(call("service", "logs").out.splitlines()) == 50
    assert [line.split()[1] for line in call("service", "logs", "-n", "2").out.splitlines()] == ["event-58", "event-59"]
    none = call("service", "logs", "-n", "0")
    assert (none.code, none.out, none.err) == (0, "", "")
    assert call("service", "logs", "-n", "x").code == 2
    command = [sys.executable, "-m", "assay", "service", "logs", "-n", "1", "-f", "--home", str(own)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().endswith("event-59\n")
            log.say("fresh")
            assert process.stdout.readline().endswith("fresh\n")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    log.close()


def test_the_log_says_what_happened_but_no_secret(call: Command, own: Path) -> None:
    call("service", "start")
    key = json.loads(Place(own).file.read_text(encoding="utf-8"))["admin_key"]
    call("service", "stop")
    said = call("service", "logs").out
    assert "serving address=http://127.0.0.1:" in said
    assert "stopped drained=yes" in said
    assert key not in said


def test_diag_is_one_piece_without_secrets(call: Command, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    call("service", "start")
    key = json.loads(Place(own).file.read_text(encoding="utf-8"))["admin_key"]
    for words in ([], ["-o", "json"]):
        told = call("service", "diag", *words)
        assert told.code == 0, told.err
        assert "aiohttp" in told.out
        assert "serving address=" in told.out
        for secret in (key, "hf_very_secret"):
            assert secret not in told.out
    assert "running at http://127.0.0.1:" in call("service", "diag").out


def test_keys_are_among_its_commands(call: Command, own: Path) -> None:
    told = call("service", "keys", "add", "laptop")
    assert told.code == 0, told.err
    assert "laptop" in call("service", "keys", "list").out
    assert call("service", "keys", "revoke", "laptop").code == 0


def test_a_unit_for_systemd_is_shown_written_and_removed(call: Command, own: Path, tmp_path: Path) -> None:
    words = ["--for", "systemd"]
    shown = call("service", "install", *words, "--print", "--ttl", "60", "--allow-host", "a b%h$x", "notes-4m").out
    start = next(line for line in shown.splitlines() if line.startswith("ExecStart="))
    flags = f'--ttl 60 --allow-host "a b%%h$$x" --home {own} notes-4m'
    assert start == f"ExecStart={sys.executable} -P -m assay serve {flags}"
    assert "KillMode=mixed" in shown
    path = tmp_path / "user" / ".config" / "systemd" / "user" / "assay.service"
    assert not path.exists()
    told = call("service", "install", *words)
    assert told.code == 0
    assert str(path) in told.out
    assert "systemctl --user enable --now assay.service" in told.out
    assert path.read_text(encoding="utf-8").startswith("[Unit]")
    assert f"removed {path}" in call("service", "uninstall", *words).out
    assert not path.exists()
    assert "nothing was installed" in call("service", "uninstall", *words).out


def test_a_property_list_for_launchd(call: Command, own: Path, tmp_path: Path) -> None:
    told = call("service", "install", "--for", "launchd", "--no-key", "--route", "fast=a,b", "--route", "big=c")
    assert told.code == 0, told.err
    path = tmp_path / "user" / "Library" / "LaunchAgents" / "dev.assay.service.plist"
    made = plistlib.loads(path.read_bytes())
    assert made["ProgramArguments"] == [
        sys.executable, "-P", "-m", "assay", "serve", "--route", "fast=a,b", "--route", "big=c", "--no-key",
        "--home", str(own),
    ]  # fmt: skip
    assert made["RunAtLoad"] is True
    assert "launchctl" in told.out


def test_a_unit_is_not_made_of_flags_that_cannot_be_used(call: Command, own: Path) -> None:
    told = call("service", "install", "--for", "systemd", "--port", "x")
    assert told.code == 2
    assert "--port" in told.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["ps"], "service ps"),
        (["start"], "service start"),
        (["stop"], "service stop"),
        (["status"], "service status"),
        (["logs"], "service logs"),
        (["up"], "service start"),
        (["service", "up"], "service start"),
        (["service", "list"], "service ps"),
    ],
)
def test_other_runners_words_are_understood(call: Command, words: list[str], meant: str) -> None:
    told = call(*words)
    assert told.code == 2
    assert f"try: assay {meant}" in told.err
