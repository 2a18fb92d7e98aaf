"""The service in the background for real: started once, told of, restarted with what it had, stopped, killed."""

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

import msgspec
import psutil
import pytest
import trustme
from msgspec import structs

from assay.app.background import (
    Started,
    log_lines,
    restart_service,
    service_status,
    start_service,
    stop_service,
)
from assay.app.configuring import set_config
from assay.app.diagnosis import diagnose
from assay.app.serve_options import Asked, wanted_service
from assay.app.service_client import ServiceClient, find_service, need_service
from assay.errors import BadConfig, BadInput, ServiceError, ServiceNotRunning
from assay.serve.overhear import KINDS
from assay.serve.place import Born, Place, ServiceState
from tests.waiting import kill, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet_environment: None) -> Iterator[Path]:
    """A home of its own, whose service is gone when the test is over."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    place = tmp_path / "home"
    monkeypatch.setenv("ASSAY_HOME", str(place))
    yield place
    pid = Place(place).look().pid
    if pid is not None:
        kill(pid)


def wanted(**flags: object) -> Asked:
    return wanted_service(home=None, flags={"serve_port": "0", **flags})


def left(home: Path) -> list[psutil.Process]:
    """Every process that was started for this home, workers too."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("ASSAY_HOME") == str(home):
                found.append(process)
    return found


def test_started_told_of_and_stopped_without_a_trace(home: Path) -> None:
    started = start_service(wanted())
    assert started.fresh
    assert started.replaced is None
    status = service_status()
    assert (status.kind, status.address, status.pid) == ("running", started.state.address, started.state.pid)
    assert status.answers
    client = find_service()
    assert client is not None
    assert client.models() == []
    assert left(home)
    assert stop_service().pid == started.state.pid
    assert left(home) == []
    assert service_status().kind == "stopped"
    assert find_service() is None


@pytest.mark.engines
def test_its_models_end_with_it(home: Path) -> None:
    start_service(wanted(serve_preload=["notes-0.5m"]))
    client = need_service()
    until(lambda: [row["state"] for row in client.models()] == ["ready"])
    assert len(left(home)) > 1
    assert service_status().told["models"] == [row["id"] for row in client.models()]
    stop_service()
    assert left(home) == []


@pytest.mark.engines
def test_killed_while_a_model_loads_it_leaves_no_process(home: Path) -> None:
    chance = random.Random(3)
    for _ in range(3):
        state = start_service(wanted(serve_preload=["notes-0.5m"])).state
        time.sleep(chance.uniform(0.0, 1.0))
        kill(state.pid)
        assert service_status().kind == "killed"
        until(lambda: left(home) == [])


def test_over_tls_its_own_certificate_is_trusted_and_no_other(home: Path, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("models.example")
    certificate, key = tmp_path / "cert.pem", tmp_path / "cert.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    state = start_service(wanted(serve_tls_cert=certificate, serve_tls_key=key)).state
    assert state.address.startswith("https://")
    assert service_status().answers
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().issue_cert("models.example").cert_chain_pems[0].bytes())
    with pytest.raises(ServiceError, match="does not answer"):
        ServiceClient(structs.replace(state, cert=str(other))).status(timeout_s=10)


def test_a_second_start_finds_the_first(home: Path) -> None:
    first = start_service(wanted())
    second = start_service(wanted(serve_ttl_s="5"))
    assert not second.fresh
    assert second.state == first.state


def test_of_starts_at_once_one_makes_the_service_and_all_are_told_of_it(home: Path) -> None:
    told: list[Started] = []
    starts = [threading.Thread(target=lambda: told.append(start_service(wanted()))) for _ in range(3)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(told) == 3
    assert len({one.state.pid for one in told}) == 1
    assert sum(one.fresh for one in told) == 1
    assert service_status().answers
    assert [process.pid for process in left(home)] == [told[0].state.pid]


def test_killed_it_is_not_running_and_starts_again_at_once(home: Path) -> None:
    first = start_service(wanted())
    port = first.state.port
    kill(first.state.pid)
    status = service_status()
    assert status.kind == "killed"
    assert str(first.state.pid) in (status.problem or "")
    with pytest.raises(ServiceNotRunning, match="not running"):
        stop_service()
    again = start_service(wanted(serve_port=str(port)))
    assert again.fresh
    assert again.state.port == port
    assert str(first.state.pid) in (again.replaced or "")
    assert again.state.admin_key != first.state.admin_key


def test_killed_at_random_moments_of_its_start(home: Path) -> None:
    chance = random.Random(9)
    command = [sys.executable, "-m", "assay.app.detached", str(home)]
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    for _ in range(6):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(wanted(serve_port=port)))
            process.stdin.close()
            time.sleep(chance.uniform(0.1, 1.2))
            process.kill()
        status = service_status()
        assert status.kind in {"stopped", "killed"}
    assert start_service(wanted(serve_port=port)).state.port == int(port)


def test_a_restart_keeps_flags_and_takes_new_settings(home: Path, tmp_path: Path) -> None:
    first = start_service(wanted(serve_ttl_s="77"))
    set_config("serve.ttl", "55")
    set_config("serve.queue", "9")
    os.chdir(tmp_path)
    second = restart_service()
    assert second.fresh
    assert second.state.pid != first.state.pid
    assert second.state.asked == first.state.asked
    assert second.state.asked["flags"] == {"serve_port": "0", "serve_ttl_s": "77"}
    assert second.state.asked["folder"] == str(tmp_path / "work")
    assert not Born(first.state.pid, first.state.created).lives


def test_a_restart_with_settings_that_cannot_be_used_leaves_it_running(home: Path) -> None:
    first = start_service(wanted())
    (home / "config.toml").write_text("[serve]\nqueue = 0\n", encoding="utf-8")
    with pytest.raises(BadConfig, match=r"serve\.queue"):
        restart_service()
    (home / "config.toml").write_text('[serve]\nhost = "0.0.0.0"\n', encoding="utf-8")
    with pytest.raises(BadInput, match="without keys"):
        restart_service()
    (home / "config.toml").unlink()
    assert service_status().pid == first.state.pid


def test_a_restart_of_a_killed_one_has_its_flags(home: Path) -> None:
    first = start_service(wanted(serve_ttl_s="77"))
    kill(first.state.pid)
    assert restart_service().state.asked == first.state.asked


def test_a_start_that_fails_says_what_the_process_said(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServiceError) as caught:
            start_service(wanted(serve_port=str(port)))
    assert caught.value.message == f"the service did not start: 127.0.0.1:{port} is taken by another program"
    assert str(os.getpid()) in (caught.value.why or "")
    assert "--port" in (caught.value.remedy or "")
    assert service_status().kind == "stopped"


def test_a_start_does_not_wait_for_ever_for_one_that_hangs_as_it_stops(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.app.background.DRAINED_S", 0.1)
    with Place(home).take() as held:
        state = ServiceState(
            pid=held.own.pid, created=held.own.created, host="127.0.0.1", port=1, tls=False, version="0",
            started="2026-01-01T00:00:00+00:00", log="log", admin_key="secret", stopping=True,
        )  # fmt: skip
        held.tell(state)
        with pytest.raises(ServiceError, match=f"process {held.own.pid} has not ended"):
            start_service(wanted())


def test_flags_that_cannot_be_used_start_nothing(home: Path) -> None:
    with pytest.raises(BadConfig, match=r"serve\.port"):
        start_service(wanted(serve_port="many"))
    assert not home.exists()


def test_one_that_does_not_answer_is_told_and_ended(home: Path) -> None:
    state = start_service(wanted()).state
    os.kill(state.pid, signal.SIGSTOP)
    status = service_status()
    assert (status.kind, status.answers) == ("running", False)
    assert "does not answer" in (status.problem or "")
    stop_service(now=True)
    assert not Born(state.pid, state.created).lives


def test_a_state_of_rubbish_is_told_and_replaced(home: Path) -> None:
    Place(home).make()
    Place(home).file.write_text("{half", encoding="utf-8")
    status = service_status()
    assert status.kind == "killed"
    assert "cannot be read" in (status.problem or "")
    started = start_service(wanted())
    assert "cannot be read" in (started.replaced or "")
    assert service_status().kind == "running"


def test_without_a_service_there_is_nobody_to_ask(home: Path) -> None:
    with pytest.raises(ServiceNotRunning) as caught:
        need_service()
    assert caught.value.remedy == "assay service start"
    assert caught.value.exit_code == 1
    assert list(log_lines(10)) == []


@pytest.mark.parametrize("asked", [False, True])
def test_prompts_and_answers_are_written_down_only_where_that_was_asked_for(home: Path, asked: bool) -> None:
    start_service(wanted_service(home=None, flags={"serve_port": "0"}, log_prompts=asked))
    client, prompt = need_service(), "Ann: quokkas will be counted by Ben"
    body = {"model": "notes-0.5m", "messages": [{"role": "user", "content": prompt}], "max_tokens": 8}
    told = client.ask("POST", "/v1/chat/completions", body, timeout_s=60)
    client.ask("POST", "/v1/chat/completions", {**body, "stream": True}, timeout_s=60)
    answer = told["choices"][0]["message"]["content"]
    words = ["quokkas", *(word for word in answer.split() if len(word) > 3 and word.isalpha())]
    with pytest.raises(ServiceError, match="model"):
        client.ask(
            "POST", "/v1/chat/completions", {"model": "quokkas" if asked else "none", "a": "quokkas"}, timeout_s=9
        )
    diagnosed = msgspec.json.encode(diagnose()).decode()
    stop_service()
    log = Place(home).log.read_text(encoding="utf-8")
    elsewhere = [path.read_text(encoding="utf-8") for path in Place(home).folder.iterdir() if path != Place(home).log]
    for word in words:
        assert (word in log) is asked
        assert not any(word in text for text in elsewhere)
    assert prompt not in diagnosed
    assert [line.split()[1] for line in log.splitlines() if line.split()[1] in KINDS] == asked * [
        "prompt", "answer", "prompt", "answer", "prompt",
    ]  # fmt: skip
    assert ("prompts and answers are written" in log) is asked
    assert Place(home).log.stat().st_mode & 0o077 == 0


def test_a_folder_with_files_that_are_called_like_modules_does_not_break_it(home: Path) -> None:
    for name in ("secrets", "aiohttp", "queue", "assay"):
        (Path.cwd() / f"{name}.py").write_text("raise SystemExit('this is not yours')", encoding="utf-8")
    assert start_service(wanted()).fresh


def test_a_diagnosis_has_no_secret_in_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "ASSAY_API_KEY"):
        monkeypatch.setenv(name, "sk-very-secret")
    set_config("hub.address", "https://me:hunter2@hub.example")
    state = start_service(wanted()).state
    found = diagnose()
    text = msgspec.json.encode(found).decode()
    assert found.status.pid == state.pid
    assert found.open_files is None or found.open_files > 0
    assert any("serving" in line for line in found.log)
    assert "hub.example" in text
    for secret in (state.admin_key, "sk-very-secret", "hunter2"):
        assert secret not in text


def test_a_diagnosis_is_there_when_everything_is_broken(home: Path) -> None:
    Place(home).make()
    Place(home).file.write_bytes(b"\xff")
    (home / "config.toml").write_text("[serve\n", encoding="utf-8")
    found = diagnose()
    assert found.status.kind == "killed"
    assert "not valid TOML" in (found.settings_problem or "")
