"""The token is in no message, log or representation, and goes nowhere but to the endpoint."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from assay.errors import AssayError, BadConfig
from assay.hub import Hub
from assay.hub.failures import Place
from assay.types import File, RemoteFile
from tests.hub.conftest import TOKEN
from tests.hub.conftest import Place as Put
from tests.hub.running import Server

FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "code": 401},
    {"kind": "status", "code": 403},
    {"kind": "status", "code": 403, "error_code": "GatedRepo"},
    {"kind": "status", "code": 404},
    {"kind": "status", "code": 404, "error_code": "RepoNotFound"},
    {"kind": "status", "code": 429},
    {"kind": "status", "code": 500},
    {"kind": "status", "code": 400},
    {"kind": "cut"},
    {"kind": "redirect"},
]


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']}{fault.get('code', '')}")
def test_in_no_message_nor_log(
    fault: dict[str, Any], echo: bool, server: Server, place: Put, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages and the traceback that ``--debug`` shows do not have it even where the server says it back."""
    repo_id = place({"model.gguf": b"weights"})
    server.fault(**fault, echo=echo, file="*model*", times=None)
    if fault["kind"] == "redirect":
        server.fault("status", "*model*", times=None, host="cdn", code=403)
    hub = Hub(server.url, token=TOKEN, sleep=lambda _: None)
    source = RemoteFile(repo=repo_id, revision="main", path="model.gguf", file=File(path="model.gguf", size=7))
    said: list[str] = [repr(hub), str(hub)]
    asks = (
        lambda: hub.fetch(source, tmp_path / "part", lambda *_: None, said.append),
        lambda: hub.read(repo_id, "main", "model.gguf"),
        lambda: next(hub.search("model")),
    )
    with caplog.at_level(logging.DEBUG):
        for ask in asks:
            try:
                ask()
            except (AssayError, StopIteration) as error:
                said += [str(error), repr(error), *traceback.format_exception(error)]
    assert len(said) > 4
    assert any(entry["authorization"] for entry in server.log())
    assert TOKEN not in "\n".join(said)
    assert echo or TOKEN not in caplog.text


def test_settings_do_not_show_it() -> None:
    hub = Hub("https://hub.example", token=TOKEN)
    shown = [repr(hub), str(hub), *(repr(value) for value in vars(hub).values())]
    assert TOKEN not in "\n".join(shown)
    assert hub.endpoint == "https://hub.example"
    assert repr(Place("https://hub.example", TOKEN)) == "Place('https://hub.example')"


def test_password_in_the_address_is_not_shown() -> None:
    hub = Hub("http://user:password@127.0.0.1:1/hf/", sleep=lambda _: None)
    with pytest.raises(AssayError) as failed:
        hub.repo("a/b")
    assert "password" not in str(failed.value)
    assert "http://127.0.0.1:1/hf" in str(failed.value)
    assert repr(hub) == "Hub('http://127.0.0.1:1/hf')"
    assert "password" not in "".join(map(repr, vars(hub).values()))


@pytest.mark.parametrize("token", ["hf_two words", "hf_line\nbreak", "hf_\u00fcml", "hf_\x00"])
def test_token_that_no_header_can_hold(token: str) -> None:
    with pytest.raises(BadConfig) as bad:
        Hub(token=token)
    assert token not in str(bad.value)
    assert "hf_" + token[3:5] not in str(bad.value)


def test_spaces_around_the_token_are_none_of_it(server: Server, place: Put) -> None:
    repo_id = place({"a.txt": b"a"}, gated="auto")
    assert Hub(server.url, token=f" {TOKEN}\n").read(repo_id, "main", "a.txt") == b"a"


def test_no_token_is_taken_from_elsewhere(server: Server, place: Put, tmp_path: Path) -> None:
    """Neither the environment nor a saved login is looked at here, and nothing but what was asked for is asked."""
    repo_id = place({"a.txt": b"a"})
    (tmp_path / "token").write_text(TOKEN)
    code = "import sys; from assay.hub import Hub; print(Hub(sys.argv[1]).repo(sys.argv[2]).id)"
    environment = {**os.environ, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path), "HF_DEBUG": "1"}
    environment.pop("HF_HUB_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", code, server.url, repo_id]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"{repo_id}\n"
    assert TOKEN not in done.stderr
    log = server.log()
    assert [entry["path"].split("/")[1:3] for entry in log] == [["api", "models"], ["api", "models"]]
    assert not any(entry["authorization"] for entry in log)
    assert all("assay/" in entry["agent"] and "torch" not in entry["agent"] for entry in log)
    assert not any("agent/" in entry["agent"] for entry in log)


def test_debug_log_hides_it(server: Server, place: Put) -> None:
    repo_id = place({"a.txt": b"a"})
    code = "import sys; from assay.hub import Hub; Hub(sys.argv[1], token=sys.stdin.read()).repo(sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", code, server.url, repo_id],
        env={**os.environ, "HF_DEBUG": "1"},
        input=TOKEN,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "curl" in done.stderr
    assert TOKEN not in done.stderr
    assert all(entry["authorization"] for entry in server.log())
